/* There is no way to try sendfile or splice without waiting, but SO_SNDTIMEO makes the kernel give up soon, and the wait for space
 * is then ours as in send.c. A transfer that waits to receive is timed by the kernel (SO_RCVTIMEO, set when the socket is connected), unless
 * IDLE, LIFETIME or MIN_RATE are to wake it. */
#include "shim/call/transfer.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sys/time.h>

#include "base/clock.h"
#include "base/compiler.h"
#include "shim/call/connect.h"
#include "shim/call/silence.h"
#include "shim/limit/carry_over.h"
#include "shim/limit/connection_limits.h"
#include "shim/limit/datagram.h"
#include "shim/limit/expiry.h"
#include "shim/limit/observe.h"
#include "shim/limit/send_space.h"
#include "shim/mode.h"
#include "shim/poll.h"
#include "shim/real.h"
#include "shim/report/slots.h"
#include "shim/socket/ended.h"
#include "shim/socket/kernel_timers.h"
#include "shim/socket/limits.h"
#include "shim/wait/signals.h"
#include "shim/wait/wait.h"

static long observed(const struct nd_transfer *call, struct nd_sock *sock) {
    const bool in = call->direction == ND_IN;
    struct nd_observe observe;
    nd_observe_begin(&observe, nd_operation_find(call->operation), call->fd, sock, in ? ND_LIMIT_RECV : ND_LIMIT_SEND);
    const long result = call->make(call);
    const nd_time limit = in ? nd_sock_recv_limit(sock) : nd_sock_send_limit(sock);
    nd_observe_end(&observe, result, (struct nd_expiry){.timeout = limit});
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

/* A call that sends, piece by piece. */
struct progress {
    struct nd_wait wait; /* first: what nd_wait_for gives back is this */
    struct nd_transfer rest;
    size_t moved;
    bool cut;    /* the last piece may have ended before its time */
    nd_time own; /* the program's own timeout; 0 for none */
    struct nd_send_space space;
};

/* SEND and UNACKED. */
static bool send_fired(struct nd_wait *wait, nd_time now, nd_time *next) {
    return nd_send_space_check(wait->fd, wait->sock, &((struct progress *)wait)->space, now, &wait->expiry, next);
}

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
static bool shows_interruption(const struct progress *progress) {
    return progress->moved > 0 || progress->own != 0 || !nd_signals_restart();
}

/* Whether the call is over with what its last piece gave. */
static bool is_over(const struct progress *progress, long piece) {
    if (progress->rest.count == 0 || piece == 0)
        return true;
    if (piece < 0 && errno == EINTR)
        return shows_interruption(progress);
    return !progress->cut || (piece < 0 && errno != EAGAIN);
}

/* The call ends where the program would see it end, for all that its limits do not. */
static long interrupted(struct progress *progress, int error) {
    if (progress->moved == 0)
        nd_carry_over_send(progress->rest.fd, progress->wait.sock, &progress->space, nd_now());
    return moved_or_fail(progress->moved, error);
}

/* Waits for space until a limit fires or the program's own timeout is over. True to go on; else the call is over with *result. */
static bool wait_for_space(struct progress *progress, long *result) {
    struct nd_wait *wait = &progress->wait;
    const struct nd_transfer *call = &progress->rest;
    wait->moved = progress->moved > 0;
    const enum nd_waited waited = nd_wait_for(wait);
    const int error = errno;
    if (waited == ND_EXPIRED)
        *result = expire(call, wait->sock, &wait->expiry, progress->moved);
    else if (waited == ND_INTERRUPTED || waited == ND_OWN_TIMEOUT)
        *result = interrupted(progress, error);
    else if (waited == ND_REPLACED)
        *result = moved_or_fail(progress->moved, error);
    else if (waited == ND_ENDED_STREAM && (progress->moved > 0 || nd_expired_anywhere(call->fd, wait->sock)))
        *result = progress->moved > 0 ? (long)progress->moved : nd_expired_fail(call->fd, wait->sock, ND_OUT);
    else /* without the SIGPIPE of another piece, above */
        return true;
    return false;
}

static long send_pieces(const struct nd_transfer *call, struct progress *progress) {
    struct nd_sock *sock = progress->wait.sock;
    nd_time began = nd_now();
    bool waited = (nd_sock_flags(sock) & ND_SOCK_CARRIED_OUT) && nd_real.fcntl(call->in, F_GETFL, NULL) >= 0;
    long result;
    progress->wait.own = progress->own ? nd_time_after(began, progress->own) : ND_NEVER;
    nd_wait_begin(&progress->wait);
    if (waited) { /* a signal that comes more often than a piece takes must not end each before it is looked at */
        progress->space = nd_carried_over_send(call->fd, sock, began);
        if (!wait_for_space(progress, &result))
            return result;
    }
    for (;;) {
        long piece = move_piece(progress, nd_sock_connection_limited(sock));
        const int error = errno;
        nd_time now = nd_now();
        nd_connection_limits_waited(sock, began, now);
        errno = error;
        const bool over = is_over(progress, piece), in_vain = piece < 0 && error == EINTR;
        if (over && !in_vain)
            return progress->moved > 0 ? (long)progress->moved : finish(call, sock, piece);
        if (!waited) {
            if (!over && nd_nonblocking(call->fd))
                return moved_or_fail(progress->moved, EAGAIN);
            progress->space = nd_carried_over_send(call->fd, sock, began);
        }
        if (over)
            return interrupted(progress, EINTR);
        if (piece > 0) {
            progress->space.progress = now;
            nd_wait_progress(&progress->wait);
            if (progress->own)
                progress->wait.own = nd_time_after(now, progress->own);
        }
        waited = true;
        if (!wait_for_space(progress, &result))
            return result;
        began = nd_now();
    }
}

/* As long as our time stands in SO_SNDTIMEO, a shorter one of the program's does. */
static long send_borrowing(const struct nd_transfer *call, struct nd_sock *sock, struct progress *progress) {
    const uint32_t generation = sock->generation;
    struct nd_borrowed timer;
    if (!nd_kernel_timers_borrow(call->fd, sock, &timer))
        return call->make(call);
    progress->own = timer.own * ND_USEC;
    nd_time slice = progress->own && progress->own < SLICE ? progress->own : SLICE;
    const struct timeval value = {0, (suseconds_t)(slice / ND_USEC)};
    nd_real.setsockopt(call->fd, SOL_SOCKET, SO_SNDTIMEO, &value, sizeof value);
    long result = send_pieces(call, progress);
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
    if (!(nd_sock_send_space_limited(sock) || nd_sock_connection_limited(sock)) || nd_poll_now(&pollfd) < 0)
        return call->make(call);
    if ((pollfd.revents & (POLLERR | POLLHUP)) && nd_expired_anywhere(call->fd, sock))
        return nd_expired_fail(call->fd, sock, ND_OUT); /* before the kernel can raise SIGPIPE */
    if ((pollfd.revents & (POLLERR | POLLHUP | POLLNVAL)) || ((pollfd.revents & POLLOUT) && call->count <= SMALL))
        return finish(call, sock, call->make(call));
    struct nd_slot_use use;
    nd_slot_begin(&use, nd_operation_find(call->operation), call->fd, nd_now_coarse(), ND_NEVER,
                  nd_limit_of(sock, nd_sock_send_limit(sock) ? ND_LIMIT_SEND : ND_LIMIT_UNACKED));
    struct progress progress = {.wait = {.fd = call->fd, .sock = sock, .events = POLLOUT, .fired = send_fired},
                                .rest = *call};
    long result = send_borrowing(call, sock, &progress);
    nd_slot_end(&use, nd_wait_outcome(progress.wait.how), nd_now_coarse());
    return result;
}

static short pipe_state(int pipe) {
    struct pollfd pollfd = {.fd = pipe, .events = POLLOUT};
    return nd_poll_now(&pollfd) >= 0 ? pollfd.revents : POLLNVAL;
}

/* Whether it is the socket that the call waits for: there is nothing to take from it, and the pipe has room. */
static bool waits_for_bytes(const struct nd_transfer *call) {
    struct pollfd pollfd = {.fd = call->fd, .events = POLLIN};
    return nd_poll_now(&pollfd) == 0 && (pipe_state(call->out) & POLLOUT);
}

/* Whether a call that a signal has interrupted would go on without us. */
static bool sock_restarts(const struct nd_sock *sock) {
    return sock->own_rcvtimeo == 0 && nd_signals_restart();
}

/* The kernel times RECV. A call that comes back without bytes goes on, polled, where the program would not have seen that; the kernel's
 * timer also ends a wait for space in the pipe, which no limit bounds. */
static long receive_kernel_timed(const struct nd_transfer *call, struct nd_silence *silence, nd_time began) {
    struct nd_wait *wait = &silence->wait;
    for (;;) {
        const long result = call->make(call);
        const int error = errno;
        const bool stands = nd_sock_held(call->fd, wait->sock, &wait->hold);
        if (!nd_came_back(result) || !stands || nd_nonblocking(call->fd)) {
            errno = error;
            return finish(call, wait->sock, result);
        }
        const bool over = nd_now() - silence->since >= silence->limit;
        if (!waits_for_bytes(call) && (error == EINTR ? sock_restarts(wait->sock) : over)) {
            silence->since = over ? nd_now() : silence->since;
            continue;
        }
        errno = error;
        if (!nd_silence_goes_on(silence, began))
            return wait->how == ND_EXPIRED ? expire(call, wait->sock, &wait->expiry, 0) : result;
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

static long receive_bounded(const struct nd_transfer *call, struct nd_sock *sock) {
    const enum nd_call operation = nd_operation_find(call->operation);
    nd_time limit = nd_sock_flags(sock) & ND_SOCK_RCVTIMEO ? nd_sock_recv_limit(sock) : 0;
    bool polled = nd_sock_connection_limited(sock) && !nd_nonblocking(call->fd) && !is_refused(call);
    if (!limit && !polled)
        return finish(call, sock, call->make(call));
    struct nd_slot_use use;
    const nd_time began = nd_now(),
                  own = polled ? nd_kernel_timers_own_deadline(call->fd, sock, ND_IN, began) : ND_NEVER;
    struct nd_silence silence =
        nd_silence_begin(operation, call->fd, sock, limit, limit ? nd_carried_over_receive(sock, began) : began, own);
    nd_slot_begin(&use, operation, call->fd, began, limit ? nd_time_after(began, limit) : ND_NEVER,
                  nd_limit_of(sock, limit ? ND_LIMIT_RECV : ND_LIMIT_NONE));
    long result = -1;
    if (!polled)
        result = receive_kernel_timed(call, &silence, began);
    else if (nd_wait_for(&silence.wait) == ND_EXPIRED)
        result = expire(call, sock, &silence.wait.expiry, 0);
    else if (silence.wait.how == ND_READY || silence.wait.how == ND_ENDED_STREAM || silence.wait.how == ND_UNPOLLABLE)
        result = finish(call, sock, call->make(call));
    nd_slot_end(&use, nd_wait_outcome(silence.wait.how), nd_now_coarse());
    return result;
}

static ssize_t connecting_send(const void *call) {
    const struct nd_transfer *transfer = call;
    return transfer->make(transfer);
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
    if (nd_unlikely(sock->deferred) && call->direction == ND_OUT)
        return nd_connect_deferred(call->fd, sock, true, connecting_send, call);
    if (nd_unlikely(flags & ND_SOCK_CONNECTING) && !(call->flags & SPLICE_F_NONBLOCK) &&
        !nd_connect_await(call->fd, sock, call->direction))
        return -1;
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
