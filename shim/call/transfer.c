/* There is no way to try sendfile or splice without waiting, but SO_SNDTIMEO makes the kernel give up soon, and the wait for room
 * is then ours as in sending.c. What waits to receive is kept by the kernel (SO_RCVTIMEO, set at birth), unless IDLE, LIFETIME or
 * MIN_RATE are to wake it. */
#include "shim/call/transfer.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sys/time.h>

#include "base/clock.h"
#include "shim/limit/carry_over.h"
#include "shim/limit/connection_limits.h"
#include "shim/limit/datagram.h"
#include "shim/limit/expiry.h"
#include "shim/limit/send_space.h"
#include "shim/mode.h"
#include "shim/real.h"
#include "shim/report/slots.h"
#include "shim/socket/ended.h"
#include "shim/socket/kernel_timers.h"
#include "shim/socket/limits.h"
#include "shim/wait/signals.h"
#include "shim/wait/wait.h"

static long observed(const struct nd_transfer *call, struct nd_sock *sock) {
    bool in = call->direction == ND_IN;
    struct nd_slot_use use;
    nd_time began = nd_now();
    nd_slot_begin(&use, nd_operation_find(call->operation), call->fd, began, ND_NEVER,
                  nd_limit_of(sock, in ? ND_LIMIT_RECV : ND_LIMIT_SEND));
    long result = call->make(call);
    nd_slot_end(&use, nd_slot_how(result), nd_now());
    nd_expiry_report_observed(call->fd, call->operation, in ? ND_LIMIT_NAME(sock, "RECV") : ND_LIMIT_NAME(sock, "SEND"),
                              in ? nd_sock_recv_limit(sock) : nd_sock_send_limit(sock), began);
    nd_connection_limits_observed(call->fd, sock, call->operation, began);
    return result;
}

static long moved_or_fail(size_t moved, int error) {
    if (moved > 0)
        return (long)moved;
    errno = error;
    return -1;
}

/* What has moved is the program's to know; the next call tells of the end. */
static long expire(const struct nd_transfer *call, struct nd_sock *sock, struct nd_expiry *expiry, size_t moved) {
    expiry->operation = call->operation;
    nd_expire_stream(call->fd, sock, expiry);
    return moved > 0 ? (long)moved : nd_expired_fail(call->fd, sock, call->direction);
}

/* An error, or the end: one that a deadline brought about is told as such. */
static long finish(const struct nd_transfer *call, struct nd_sock *sock, long result) {
    bool end = result == 0 ? call->direction == ND_IN && call->count > 0 : result < 0 && nd_is_end(errno);
    if (result < 0 && errno == ETIMEDOUT)
        nd_expire_by_kernel(call->fd, sock, call->direction);
    else if (end && (nd_expired_anywhere(call->fd, sock) ||
                     ((nd_sock_flags(sock) & ND_SOCK_KEEPALIVE) && nd_ended_by_kernel(call->fd, sock))))
        return nd_expired_fail(call->fd, sock, call->direction);
    return result;
}

/* For this long the kernel waits for room; then we do. At HZ=100 an old kernel's timer may fire after half of it. */
#define SLICE (20 * ND_MSEC)

/* Under LIFETIME and its kin a peer that takes everything at once must not keep one call alive. */
#define LONGEST_PIECE ((size_t)1 << 20)

/* A call on its way. */
struct progress {
    struct nd_transfer rest;
    size_t moved;
    bool cut; /* the last piece may have ended before its time */
};

static long move_piece(struct progress *progress, bool in_pieces) {
    struct nd_transfer piece = progress->rest;
    if (in_pieces && piece.count > LONGEST_PIECE)
        piece.count = LONGEST_PIECE;
    if (progress->moved > 0)
        piece.flags = piece.later_flags;
    nd_time began = nd_now();
    long moved = piece.make(&piece);
    progress->cut = nd_now() - began >= SLICE / 2 || (moved >= 0 && (size_t)moved == piece.count);
    if (moved > 0) {
        progress->moved += (size_t)moved;
        progress->rest.count -= (size_t)moved;
    }
    return moved;
}

/* Whether an interruption ends the call, as it would without us. */
static bool shows_interruption(const struct progress *progress, nd_time own) {
    return progress->moved > 0 || own != 0 || !nd_signals_restart();
}

/* Whether the call is over with what its last piece gave. */
static bool is_over(const struct progress *progress, long piece, nd_time own) {
    if (progress->rest.count == 0 || piece == 0)
        return true;
    if (piece < 0 && errno == EINTR)
        return shows_interruption(progress, own);
    return !progress->cut || (piece < 0 && errno != EAGAIN);
}

/* The call ends where the program would see it end, for all that its limits do not. */
static long end_in_vain(const struct progress *progress, struct nd_sock *sock, const struct nd_send_space *room,
                        int error) {
    if (progress->moved == 0)
        nd_carry_over_send(progress->rest.fd, sock, room, nd_now());
    return moved_or_fail(progress->moved, error);
}

/* Waits for room until a limit fires or `own_end`. True to go on; else the call is over with *result. */
static bool wait_for_room(struct progress *progress, struct nd_sock *sock, struct nd_send_space *room, nd_time own,
                          nd_time own_end, long *result) {
    const struct nd_transfer *call = &progress->rest;
    const struct nd_sock_hold hold = nd_sock_take(call->fd, sock);
    for (;;) {
        struct nd_expiry expiry;
        nd_time now = nd_now(), next;
        if (nd_send_space_check(call->fd, sock, room, now, &expiry, &next) ||
            (now >= nd_connection_limits_due(sock, now) &&
             nd_connection_limits_check(call->fd, sock, true, now, &expiry))) {
            *result = expire(call, sock, &expiry, progress->moved);
            return false;
        }
        if (now >= own_end) {
            *result = end_in_vain(progress, sock, room, EAGAIN);
            return false;
        }
        enum nd_waited waited = nd_wait_connection(call->fd, sock, POLLOUT, nd_time_sooner(next, own_end), &expiry);
        if (!nd_sock_held(call->fd, sock, &hold)) {
            *result = moved_or_fail(progress->moved, EBADF); /* the number is a stranger's now */
            return false;
        }
        if (waited == ND_EXPIRED) {
            *result = expire(call, sock, &expiry, progress->moved);
            return false;
        }
        if (waited == ND_INTERRUPTED && shows_interruption(progress, own)) {
            *result = end_in_vain(progress, sock, room, EINTR);
            return false;
        }
        if (waited == ND_ENDED_STREAM && (progress->moved > 0 || nd_expired_anywhere(call->fd, sock))) {
            *result = progress->moved > 0 ? (long)progress->moved : nd_expired_fail(call->fd, sock, ND_OUT);
            return false; /* without the SIGPIPE of another piece */
        }
        if (waited == ND_READY || waited == ND_ENDED_STREAM)
            return true;
    }
}

static long send_pieces(const struct nd_transfer *call, struct nd_sock *sock, nd_time own) {
    struct progress progress = {.rest = *call};
    struct nd_send_space room;
    nd_time began = nd_now(), own_end = own ? nd_time_after(began, own) : ND_NEVER;
    bool waited = (nd_sock_flags(sock) & ND_SOCK_CARRIED_OUT) && nd_real.fcntl(call->in, F_GETFL, NULL) >= 0;
    long result;
    if (waited) { /* a signal that comes more often than a piece takes must not end each before it is looked at */
        room = nd_carried_over_send(call->fd, sock, began);
        if (!wait_for_room(&progress, sock, &room, own, own_end, &result))
            return result;
    }
    for (;;) {
        long piece = move_piece(&progress, nd_sock_connection_limited(sock));
        nd_time now = nd_now();
        nd_connection_limits_waited(sock, began, now);
        const bool over = is_over(&progress, piece, own), in_vain = piece < 0 && errno == EINTR;
        if (over && !in_vain)
            return progress.moved > 0 ? (long)progress.moved : finish(call, sock, piece);
        if (!waited) {
            if (!over && nd_nonblocking(call->fd))
                return moved_or_fail(progress.moved, EAGAIN);
            room = nd_carried_over_send(call->fd, sock, began);
        }
        if (over)
            return end_in_vain(&progress, sock, &room, EINTR);
        if (piece > 0) {
            room.progress = now;
            own_end = own ? nd_time_after(now, own) : ND_NEVER;
        }
        waited = true;
        if (!wait_for_room(&progress, sock, &room, own, own_end, &result))
            return result;
        began = nd_now();
    }
}

/* As long as our time stands in SO_SNDTIMEO, a shorter one of the program's does. */
static long send_borrowing(const struct nd_transfer *call, struct nd_sock *sock) {
    const uint32_t generation = sock->generation;
    struct nd_borrowed timer;
    if (!nd_kernel_timers_borrow(call->fd, sock, &timer))
        return call->make(call);
    nd_time own = timer.own * ND_USEC;
    nd_time slice = own && own < SLICE ? own : SLICE;
    const struct timeval value = {0, (suseconds_t)(slice / ND_USEC)};
    nd_real.setsockopt(call->fd, SOL_SOCKET, SO_SNDTIMEO, &value, sizeof value);
    long result = send_pieces(call, sock, own);
    int error = errno;
    if (sock->generation == generation)
        nd_kernel_timers_return(call->fd, sock, &timer);
    errno = error;
    return result;
}

/* What surely goes into a socket that has room: a third of the smallest buffer is free. */
#define SMALL ((size_t)1024)

static long send_bounded(const struct nd_transfer *call, struct nd_sock *sock) {
    struct pollfd pollfd = {.fd = call->fd, .events = POLLOUT};
    if ((nd_sock_flags(sock) & ND_SOCK_BORROWED) != 0)
        nd_kernel_timers_give_back(call->fd, sock);
    if (!(nd_sock_send_space_limited(sock) || nd_sock_connection_limited(sock)) || nd_real.poll(&pollfd, 1, 0) < 0)
        return call->make(call);
    if ((pollfd.revents & (POLLERR | POLLHUP)) && nd_expired_anywhere(call->fd, sock))
        return nd_expired_fail(call->fd, sock, ND_OUT); /* before the kernel can raise SIGPIPE */
    if ((pollfd.revents & (POLLERR | POLLHUP | POLLNVAL)) || ((pollfd.revents & POLLOUT) && call->count <= SMALL))
        return finish(call, sock, call->make(call));
    struct nd_slot_use use;
    nd_slot_begin(&use, nd_operation_find(call->operation), call->fd, nd_now_coarse(), ND_NEVER,
                  nd_limit_of(sock, nd_sock_send_limit(sock) ? ND_LIMIT_SEND : ND_LIMIT_UNACKED));
    long result = send_borrowing(call, sock);
    nd_slot_end(&use, nd_slot_how(result), nd_now_coarse());
    return result;
}

static short pipe_state(int pipe) {
    struct pollfd pollfd = {.fd = pipe, .events = POLLOUT};
    return nd_real.poll(&pollfd, 1, 0) >= 0 ? pollfd.revents : POLLNVAL;
}

/* Whether it is the socket that the call waits for: there is nothing to take from it, and the pipe has room. */
static bool waits_for_bytes(const struct nd_transfer *call) {
    struct pollfd pollfd = {.fd = call->fd, .events = POLLIN};
    return nd_real.poll(&pollfd, 1, 0) == 0 && (pipe_state(call->out) & POLLOUT);
}

/* The kernel keeps RECV. An interrupted call goes on where the program would not have seen the interruption. */
static long receive_kept(const struct nd_transfer *call, struct nd_sock *sock, nd_time limit, nd_time began) {
    const uint32_t generation = sock->generation;
    nd_time since = nd_carried_over_receive(sock, began);
    for (;;) {
        long result = call->make(call);
        const int error = errno;
        const bool none = result < 0 && (error == EAGAIN || error == EINTR);
        if (!none || sock->generation != generation || nd_nonblocking(call->fd))
            return finish(call, sock, result);
        const nd_time now = nd_now(), elapsed = now - since;
        if (elapsed >= limit && waits_for_bytes(call)) {
            struct nd_expiry expiry = {.limit = ND_LIMIT_NAME(sock, "RECV"), .timeout = limit, .elapsed = elapsed};
            return expire(call, sock, &expiry, 0);
        }
        const bool goes_on = error == EINTR ? sock->own_rcvtimeo == 0 && nd_signals_restart() : elapsed >= limit;
        if (!goes_on && waits_for_bytes(call))
            nd_carry_over_receive(call->fd, sock, began, now);
        errno = error;
        if (!goes_on)
            return finish(call, sock, result);
        if (elapsed >= limit)
            since = now; /* bytes have come after all, or it waits for the pipe */
    }
}

/* Whether the kernel answers before it waits for bytes: to nothing asked for, what is no pipe, a pipe that nobody reads, and one
 * that is full if it is not to be waited for. */
static bool is_refused(const struct nd_transfer *call) {
    const short state = pipe_state(call->out);
    const int mode = nd_real.fcntl(call->out, F_GETFL, NULL);
    if (!call->count || mode < 0 || (mode & O_ACCMODE) == O_RDONLY || nd_real.fcntl(call->out, F_GETPIPE_SZ, NULL) < 0)
        return true;
    return (state & (POLLERR | POLLNVAL)) || ((call->flags & SPLICE_F_NONBLOCK) && !(state & POLLOUT));
}

/* Waits for bytes under limits that no timer of the kernel's keeps. */
static long receive_paced(const struct nd_transfer *call, struct nd_sock *sock, nd_time limit, nd_time began) {
    const struct nd_sock_hold hold = nd_sock_take(call->fd, sock);
    const nd_time own_end = nd_kernel_timers_own_deadline(call->fd, sock, ND_IN, began);
    const nd_time deadline = limit ? nd_time_after(began, limit) : ND_NEVER;
    struct nd_expiry expiry;
    enum nd_waited waited;
    do {
        waited = nd_wait_connection(call->fd, sock, POLLIN, nd_time_sooner(deadline, own_end), &expiry);
        if (!nd_sock_held(call->fd, sock, &hold)) {
            errno = EBADF;
            return -1;
        }
        if (waited == ND_INTERRUPTED && (own_end != ND_NEVER || !nd_signals_restart())) {
            errno = EINTR;
            return -1;
        }
    } while (waited == ND_INTERRUPTED);
    if (waited == ND_EXPIRED)
        return expire(call, sock, &expiry, 0);
    if (waited != ND_TIMED_OUT)
        return finish(call, sock, call->make(call));
    if (own_end < deadline) {
        errno = EAGAIN;
        return -1;
    }
    expiry = (struct nd_expiry){.limit = ND_LIMIT_NAME(sock, "RECV"), .timeout = limit, .elapsed = nd_now() - began};
    return expire(call, sock, &expiry, 0);
}

static long receive_bounded(const struct nd_transfer *call, struct nd_sock *sock) {
    nd_time limit = nd_sock_flags(sock) & ND_SOCK_RCVTIMEO ? nd_sock_recv_limit(sock) : 0;
    bool paced = nd_sock_connection_limited(sock) && !nd_nonblocking(call->fd) && !is_refused(call);
    if (!limit && !paced)
        return finish(call, sock, call->make(call));
    struct nd_slot_use use;
    nd_time began = nd_now();
    nd_slot_begin(&use, nd_operation_find(call->operation), call->fd, began,
                  limit ? nd_time_after(began, limit) : ND_NEVER,
                  nd_limit_of(sock, limit ? ND_LIMIT_RECV : ND_LIMIT_NONE));
    long result = paced ? receive_paced(call, sock, limit, began) : receive_kept(call, sock, limit, began);
    nd_slot_end(&use, nd_slot_how(result), nd_now_coarse());
    return result;
}

static long bounded(const struct nd_transfer *call) {
    struct nd_sock *sock = nd_sock_lookup(call->fd);
    if (!sock)
        return call->make(call);
    nd_kernel_timers_refresh(call->fd, sock);
    uint32_t flags = nd_sock_flags(sock);
    if (((flags & ND_SOCK_EXPIRED) && nd_expired(call->fd, sock)) ||
        nd_connection_limits_outlived(call->fd, sock, call->operation))
        return nd_expired_fail(call->fd, sock, call->direction);
    if (nd_observing)
        return observed(call, sock);
    if (!(flags & ND_SOCK_STREAM))
        return call->make(call);
    if (flags & ND_SOCK_NONBLOCK)
        return finish(call, sock, call->make(call));
    return call->direction == ND_OUT ? send_bounded(call, sock) : receive_bounded(call, sock);
}

long nd_transfer_failed(int out) {
    struct nd_sock *sock = nd_sock_lookup(out);
    const struct nd_transfer call = {.fd = out, .direction = ND_OUT};
    return sock && (nd_sock_flags(sock) & ND_SOCK_STREAM) ? finish(&call, sock, -1) : -1;
}

long nd_transfer(const struct nd_transfer *call) {
    int saved = errno;
    long result = bounded(call);
    struct nd_sock *sock = result > 0 ? nd_sock_lookup(call->fd) : NULL;
    if (sock && nd_sock_is_datagram(sock))
        nd_datagram_sent(call->fd, sock, NULL, 0); /* there is none to receive them */
    else if (sock && call->direction == ND_OUT)
        nd_sock_sent(sock);
    else if (sock)
        nd_sock_received(sock);
    if (sock) {
        nd_connection_limits_count(sock, (size_t)result);
        nd_carry_over_end(call->fd, sock, call->direction);
    }
    if (result >= 0)
        errno = saved;
    return result;
}
