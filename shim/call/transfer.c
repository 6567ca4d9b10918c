/* sendfile and splice have no MSG_DONTWAIT, but with a short SO_SNDTIMEO the kernel returns soon, and the wait for
 * space is then in poll as in send.c. A transfer that waits for input is timed by the kernel (SO_RCVTIMEO, set when the
 * socket is connected), unless IDLE, LIFETIME or MIN_RATE bound it. */
#include "shim/call/transfer.h"

#include <fcntl.h>
#include <poll.h>

#include "base/compiler.h"
#include "shim/call/connect.h"
#include "shim/call/silence.h"
#include "shim/limit/carry_over.h"
#include "shim/limit/datagram.h"
#include "shim/limit/observe.h"
#include "shim/mode.h"
#include "shim/poll.h"
#include "shim/real.h"
#include "shim/socket/change.h"
#include "shim/socket/ended.h"
#include "shim/socket/kernel_timers.h"
#include "shim/socket/limits.h"
#include "shim/socket/option.h"
#include "shim/wait/signals.h"

static long bounded(const struct nd_transfer *call);

/* A call that has moved `done` bytes when the command woke it. It returns these where the rest fails, and the next call
 * the error. */
static long make_rest(const struct nd_transfer *call, struct nd_sock *sock, long done) {
    struct nd_transfer rest = *call;
    long more = 0;
    rest.count -= (size_t)done;
    rest.flags = call->later_flags;
    if (rest.count > 0)
        do
            more = bounded(&rest);
        while (nd_starts_over(more));
    if (more < 0 && errno == ETIMEDOUT)
        nd_sock_change(call->fd, sock, 0, ND_SOCK_DELIVERED_OUT);
    return more > 0 ? done + more : done;
}

static long observed(const struct nd_transfer *call, struct nd_sock *sock) {
    const bool in = call->direction == ND_IN;
    struct nd_observe observe;
    nd_observe_begin(&observe, call->operation, call->fd, sock, in ? ND_LIMIT_RECV : ND_LIMIT_SEND);
    const long result = call->make(call);
    const bool is_part = !in && result > 0 && nd_slots_woken();
    nd_observe_end(&observe, result, (struct nd_expiry){0});
    return is_part ? make_rest(call, sock, result) : result;
}

static long moved_or_fail(size_t moved, int error) {
    if (moved > 0)
        return (long)moved;
    errno = error;
    return -1;
}

/* A call that has moved bytes returns their number, and the next call ETIMEDOUT. */
static long expire(const struct nd_transfer *call, struct nd_sock *sock, const struct nd_expiry *expiry, size_t moved) {
    nd_expire_stream(call->fd, sock, expiry);
    return moved > 0 ? (long)moved : nd_expired_fail(call->fd, sock, call->direction);
}

/* Returns what the program gets: an error, or an end of the stream, that a deadline caused is ETIMEDOUT. */
static long finish(const struct nd_transfer *call, struct nd_sock *sock, long result) {
    bool end = result == 0 ? call->direction == ND_IN && call->count > 0 : result < 0 && nd_is_end(errno);
    if (result < 0 && errno == ETIMEDOUT)
        nd_expire_by_timer(call->fd, sock, call->direction, nd_operation_names[call->operation]);
    else if (end && (nd_expired_anywhere(call->fd, sock) ||
                     ((nd_sock_flags(sock) & ND_SOCK_KEEPALIVE) &&
                      nd_expiry_by_timer_found(call->fd, sock, nd_operation_names[call->operation]))))
        return nd_expired_fail(call->fd, sock, call->direction);
    return result;
}

/* The kernel waits for space for this long, poll afterwards. At HZ=100 an old kernel's timer may fire after half of
 * it. */
#define SLICE (20 * ND_MSEC)

/* IDLE, LIFETIME and MIN_RATE are checked between pieces of this length, also while the peer accepts everything at
 * once. */
#define LONGEST_PIECE ((size_t)1 << 20)

/* A call that sends in pieces. */
struct progress {
    struct nd_wait wait; /* first: the function `fired` casts back */
    struct nd_transfer rest;
    size_t moved;
    bool cut;    /* the last piece may have returned before the whole call would have */
    nd_time own; /* the program's own timeout; 0 for none */
    struct nd_send_space space;
    struct nd_slot_use use;
};

/* SEND and UNACKED. */
static bool send_fired(struct nd_wait *wait, nd_time now, nd_time *next) {
    struct progress *this = (struct progress *)wait;
    const bool expired = nd_send_space_check(wait->fd, wait->sock, &this->space, now, &wait->expiry, next);
    nd_send_space_show(wait->sock, &this->space, &this->use);
    return expired;
}

static long move_piece(struct progress *progress, bool in_pieces) {
    struct nd_transfer piece = progress->rest;
    if (in_pieces && piece.count > LONGEST_PIECE)
        piece.count = LONGEST_PIECE;
    if (progress->moved > 0)
        piece.flags = piece.later_flags;
    nd_time began = nd_now();
    long moved = piece.make(&piece);
    progress->cut = nd_now() - began >= SLICE / 2 || (moved >= 0 && (size_t)moved == piece.count) ||
                    (moved > 0 && nd_slots_woken());
    if (moved > 0) {
        progress->moved += (size_t)moved;
        progress->rest.count -= (size_t)moved;
    }
    return moved;
}

/* Whether an interruption ends the call, as it would end the plain call. */
static bool shows_interruption(const struct progress *progress) {
    return progress->moved > 0 || progress->own != 0 || !nd_signals_restart();
}

/* Whether the call is over with the result of its last piece. */
static bool is_over(const struct progress *progress, long piece) {
    if (progress->rest.count == 0 || piece == 0)
        return true;
    if (piece < 0 && errno == EINTR)
        return !nd_slots_woken() && shows_interruption(progress);
    return !progress->cut || (piece < 0 && errno != EAGAIN);
}

/* A signal or the program's own timeout ends the call. The time that it waited without moving bytes is carried over. */
static long interrupted(struct progress *progress, int error) {
    if (progress->moved == 0)
        nd_carry_over_send(progress->rest.fd, progress->wait.sock, &progress->space, nd_now());
    return moved_or_fail(progress->moved, error);
}

/* The peer has ended the stream after a part. The plain call goes on then, and takes the error that it does not return:
 * the next one fails with EPIPE. */
static long end_after_part(const struct progress *progress) {
    nd_option_get(progress->rest.fd, SOL_SOCKET, SO_ERROR, 0);
    return (long)progress->moved;
}

/* Waits for space. True where the next piece is to be made; else the call is over with *result. */
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
    else if (waited == ND_ENDED_STREAM && progress->moved > 0)
        *result = end_after_part(progress);
    else if (waited == ND_ENDED_STREAM && nd_expired_anywhere(call->fd, wait->sock))
        *result = nd_expired_fail(call->fd, wait->sock, ND_OUT);
    else /* an ended stream gets no other piece above, whose SIGPIPE the plain call would not have raised */
        return true;
    return false;
}

/* The call has to wait for the first time. */
static void begin_waiting(struct progress *progress, nd_time began) {
    nd_wait_begin(&progress->wait);
    progress->space = nd_carried_over_send(progress->wait.fd, progress->wait.sock, began);
}

static long send_pieces(const struct nd_transfer *call, struct progress *progress) {
    struct nd_sock *sock = progress->wait.sock;
    nd_time began = nd_now();
    bool waited = (nd_sock_flags(sock) & ND_SOCK_CARRIED_OUT) && nd_real.fcntl(call->in, F_GETFL, NULL) >= 0;
    long result;
    progress->wait.own = progress->own ? nd_time_after(began, progress->own) : ND_NEVER;
    if (waited) { /* signals that interrupt every piece must not keep the limits from being checked */
        begin_waiting(progress, began);
        if (!wait_for_space(progress, &result))
            return result;
    }
    for (;;) {
        long piece = move_piece(progress, nd_sock_connection_limited(sock));
        const int error = errno;
        if (nd_unlikely(!nd_active)) { /* a seccomp filter was installed meanwhile: nothing but the pieces is added */
            errno = error;
            if (is_over(progress, piece))
                return progress->moved > 0 ? (long)progress->moved : piece;
            continue;
        }
        nd_time now = nd_now();
        nd_connection_limits_waited(sock, began, now);
        errno = error;
        const bool over = is_over(progress, piece), interrupted_piece = piece < 0 && error == EINTR;
        if (over && !interrupted_piece)
            return progress->moved > 0 ? (long)progress->moved : finish(call, sock, piece);
        if (!waited) {
            if (!over && nd_nonblocking(call->fd))
                return moved_or_fail(progress->moved, EAGAIN);
            begin_waiting(progress, began);
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

/* Borrows SO_SNDTIMEO for the call: it is set to a slice, or to the program's own timeout if that is shorter. */
static long send_borrowing(const struct nd_transfer *call, struct nd_sock *sock, struct progress *progress) {
    const uint32_t generation = sock->generation;
    struct nd_borrowed timer;
    if (!nd_kernel_timers_borrow(call->fd, sock, &timer))
        return call->make(call);
    progress->own = timer.own * ND_USEC;
    nd_time slice = progress->own && progress->own < SLICE ? progress->own : SLICE;
    nd_option_set_timeout(call->fd, SO_SNDTIMEO, slice / ND_USEC);
    long result = send_pieces(call, progress);
    int error = errno;
    if (sock->generation == generation)
        nd_kernel_timers_return(call->fd, sock, &timer);
    else if (!nd_active && !nd_filter_everywhere)
        nd_real.setsockopt(call->fd, SOL_SOCKET, SO_SNDTIMEO, &timer.before, sizeof timer.before);
    errno = error;
    return result;
}

/* So many bytes fit into any socket that poll reports writable: a third of the smallest buffer is free. */
#define SMALL ((size_t)1024)

static long send_bounded(const struct nd_transfer *call, struct nd_sock *sock) {
    struct pollfd pollfd = {.fd = call->fd, .events = POLLOUT};
    if ((nd_sock_flags(sock) & ND_SOCK_BORROWED) != 0)
        nd_kernel_timers_give_back(call->fd, sock);
    if (!(nd_sock_send_space_limited(sock) || nd_sock_connection_limited(sock)) || nd_poll_now(&pollfd) < 0)
        return call->make(call);
    if ((pollfd.revents & (POLLERR | POLLHUP)) && nd_expired_anywhere(call->fd, sock))
        return nd_expired_fail(call->fd, sock, ND_OUT); /* prevents SIGPIPE */
    if ((pollfd.revents & (POLLERR | POLLHUP | POLLNVAL)) || ((pollfd.revents & POLLOUT) && call->count <= SMALL))
        return finish(call, sock, call->make(call));
    struct progress progress = {
        .wait = {.operation = call->operation, .fd = call->fd, .sock = sock, .events = POLLOUT, .fired = send_fired},
        .rest = *call};
    nd_slot_begin(&progress.use, call->operation, call->fd, nd_now_coarse(), ND_NEVER, ND_LIMIT_NONE);
    long result = send_borrowing(call, sock, &progress);
    nd_slot_end(&progress.use, nd_wait_outcome(progress.wait.how, result), nd_now_coarse());
    return result;
}

static short pipe_state(int pipe) {
    struct pollfd pollfd = {.fd = pipe, .events = POLLOUT};
    return nd_poll_now(&pollfd) >= 0 ? pollfd.revents : POLLNVAL;
}

/* Whether a call that returned without bytes waited for space in the pipe, not for the socket, or there is input now.
 * Keeps errno. */
static bool waited_for_pipe(const struct nd_transfer *call) {
    struct pollfd input = {.fd = call->fd, .events = POLLIN};
    const int error = errno;
    const bool for_pipe = nd_poll_now(&input) != 0 || !(pipe_state(call->out) & POLLOUT);
    errno = error;
    return for_pipe;
}

/* Whether such a call is to be made again, as the plain call would have continued. No limit bounds a wait for the
 * pipe. */
static bool continue_for_pipe(struct nd_silence *silence) {
    const bool over = nd_silence_is_over(silence);
    if (over)
        silence->since = nd_now();
    return errno == EINTR ? nd_slots_woken() || (!silence->wait.shows_interruptions && nd_signals_restart()) : over;
}

/* Under SO_RCVTIMEO, and in poll (first where `polls`) as long as the plain call would not have returned. */
static long receive_waiting(const struct nd_transfer *call, struct nd_silence *silence, nd_time began, bool polls) {
    long result = -1;
    if (!polls || nd_silence_wait(silence, began)) {
        do
            result = call->make(call);
        while (nd_silence_is_cut(silence, result) &&
               (waited_for_pipe(call) ? continue_for_pipe(silence) : nd_silence_continue(silence, began)));
    }
    if (nd_unlikely(!nd_active) && nd_would_block(result))
        errno = ETIMEDOUT; /* RECV's timer, which stays on the socket when a seccomp filter is installed */
    return silence->wait.how == ND_EXPIRED ? expire(call, silence->wait.sock, &silence->wait.expiry, 0)
                                           : finish(call, silence->wait.sock, result);
}

/* Whether the kernel returns before it waits for input: for a count of 0, a descriptor that is no pipe, a pipe without
 * a reader, and with SPLICE_F_NONBLOCK a full pipe. */
static bool is_refused(const struct nd_transfer *call) {
    const short state = pipe_state(call->out);
    const int mode = nd_real.fcntl(call->out, F_GETFL, NULL);
    if (!call->count || mode < 0 || (mode & O_ACCMODE) == O_RDONLY || nd_real.fcntl(call->out, F_GETPIPE_SZ, NULL) < 0)
        return true;
    return (state & (POLLERR | POLLNVAL)) || ((call->flags & SPLICE_F_NONBLOCK) && !(state & POLLOUT));
}

static long receive_bounded(const struct nd_transfer *call, struct nd_sock *sock) {
    nd_time limit = nd_sock_flags(sock) & (ND_SOCK_RCVTIMEO | ND_SOCK_HANDED_ON) ? nd_sock_recv_limit(sock) : 0;
    const bool carried =
        limit && (nd_sock_flags(sock) & (ND_SOCK_CARRIED_IN | ND_SOCK_HANDED_ON)) && (pipe_state(call->out) & POLLOUT);
    struct pollfd input = {.fd = call->fd, .events = POLLIN};
    const bool gone = nd_gone_first(sock, limit) && nd_poll_now(&input) == 0;
    const bool polls =
        (nd_sock_connection_limited(sock) || carried || gone) && !nd_nonblocking(call->fd) && !is_refused(call);
    if (!limit && !polls)
        return finish(call, sock, call->make(call));
    struct nd_slot_use use;
    const nd_time began = nd_now();
    const nd_time own = polls ? nd_kernel_timers_own_deadline(call->fd, sock, ND_IN, began) : ND_NEVER;
    struct nd_silence silence = nd_silence_begin(call->operation, call->fd, sock, limit,
                                                 limit ? nd_carried_over_receive(sock, began) : began, own);
    nd_slot_begin(&use, call->operation, call->fd, began, limit ? nd_time_after(began, limit) : ND_NEVER,
                  nd_limit_of(sock, limit ? ND_LIMIT_RECV : ND_LIMIT_NONE));
    const long result = receive_waiting(call, &silence, began, polls);
    nd_slot_end(&use, nd_wait_outcome(silence.wait.how, result), nd_now_coarse());
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
        nd_connection_limits_outlived(call->fd, sock, nd_operation_names[call->operation]))
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
    long result;
    do
        result = bounded(call);
    while (nd_starts_over(result));
    struct nd_sock *sock = result > 0 ? nd_sock_lookup(call->fd) : NULL;
    if (sock && nd_sock_is_datagram(sock))
        nd_datagram_sent(call->fd, sock, NULL, 0); /* no peer address is given */
    else if (sock && call->direction == ND_OUT)
        nd_sock_sent(sock);
    else if (sock)
        nd_sock_received(sock);
    if (sock) {
        nd_connection_limits_count(sock, (size_t)result);
        nd_carry_over_end(call->fd, sock, call->direction);
    }
    return nd_keep_errno(result, saved);
}
