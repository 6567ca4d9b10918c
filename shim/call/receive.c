#include "shim/call/receive.h"

#include <limits.h>
#include <poll.h>

#include "shim/call/connect.h"
#include "shim/call/receive_fast.h"
#include "shim/call/receive_wait.h"
#include "shim/limit/carry_over.h"
#include "shim/limit/datagram.h"
#include "shim/limit/observe.h"
#include "shim/limit/pending_timeout.h"
#include "shim/message.h"
#include "shim/readable.h"
#include "shim/real.h"
#include "shim/socket/ended.h"
#include "shim/socket/kernel_timers.h"
#include "shim/tls/innermost.h"
#include "shim/wait/signals.h"

/* The call was made plainly. If it waited, the program's own timeout, which is shorter than RECV, has ended it: the
 * wait is carried over. */
static ssize_t finish_plain(const struct nd_receive_call *call, struct nd_sock *sock, ssize_t result) {
    const nd_time own = sock->own_rcvtimeo * ND_USEC;
    if (nd_would_block(result) && own > 0 && !(nd_sock_flags(sock) & ND_SOCK_NONBLOCK) &&
        !(call->flags & MSG_DONTWAIT) && nd_sock_recv_limit(sock) && !nd_nonblocking(call->fd)) {
        nd_time now = nd_now();
        nd_carry_over_receive(call->fd, sock, now - own, now);
        errno = EAGAIN;
    }
    return nd_receive_finish(call, sock, result);
}

/* Whether only the kernel can wait for all bytes: poll cannot wait for more than are there. */
static bool peeks_all(const struct nd_receive_call *call) {
    const int both = MSG_WAITALL | MSG_PEEK;
    return call->kind >= ND_RECV && (call->flags & both) == both;
}

/* Whether the call has space for a byte. A receive into no space is left to the kernel: on some sockets it waits for
 * bytes, and returns 0 when SO_RCVTIMEO expires. */
static bool has_space(const struct nd_receive_call *call) {
    const struct msghdr *msg = call->buf;
    if (call->kind != ND_RECVMSG)
        return call->len > 0;
    return nd_readable(msg, sizeof *msg) && nd_message_buffers(msg) > 0 && nd_message_buffers(msg) <= IOV_MAX &&
           !nd_vector_is_void(msg->msg_iov, (int)nd_message_buffers(msg));
}

/* Whether the call waits for more than the `got` bytes it has received. */
static bool wants_more(const struct nd_receive_call *call, const struct nd_sock *sock, size_t got) {
    return call->kind >= ND_RECV && (call->flags & MSG_WAITALL) && (nd_sock_flags(sock) & ND_SOCK_STREAM) &&
           (call->kind == ND_RECVMSG || got < call->len);
}

/* The call that began at `began` under SO_RCVTIMEO alone (RECV) has returned `result`. Returns what the program
 * gets. */
static ssize_t limited_result(const struct nd_receive_call *call, struct nd_sock *sock, uint32_t generation,
                              nd_time began, ssize_t result, enum nd_slot_end *how) {
    *how = ND_SLOT_DONE;
    if (nd_unlikely(sock->generation != generation)) {
        /* Closed by another thread: the number may be another file's now. */
        if (nd_would_block(result))
            errno = ETIMEDOUT;
    } else if (nd_unlikely(result <= 0) || nd_unlikely(wants_more(call, sock, (size_t)result))) {
        result = nd_receive_kernel_timed_result(call, sock, began, result, how);
    } else if (nd_unlikely(nd_sock_is_datagram(sock))) {
        nd_datagram_received(call->fd, sock);
    } else {
        nd_sock_received(sock);
    }
    return result;
}

static ssize_t receive_limited(const struct nd_receive_call *call, struct nd_sock *sock, nd_time limit) {
    struct nd_slot_use use;
    const uint32_t generation = atomic_load_explicit(&sock->generation, memory_order_relaxed);
    const nd_time began = nd_now_coarse();
    nd_slot_begin(&use, nd_receive_operation(call), call->fd, began, nd_time_after(began, limit),
                  nd_limit_of(sock, ND_LIMIT_RECV));
    enum nd_slot_end how;
    ssize_t result = limited_result(call, sock, generation, began, nd_receive_plain(call), &how);
    nd_slot_end(&use, how, nd_now_coarse());
    return result;
}

/* poll, select or epoll has reported the socket because RECV expired on it: this call returns ETIMEDOUT, unless there
 * is input by now. */
static ssize_t receive_pending_timeout(const struct nd_receive_call *call, struct nd_sock *sock) {
    ssize_t result = call->flags & MSG_ERRQUEUE ? nd_receive_plain(call) : nd_receive_at_once(call);
    if (result < 0 && errno == ENOTSOCK) {
        nd_sock_clear_stale(call->fd);
        return nd_receive_plain(call);
    }
    if ((call->flags & MSG_ERRQUEUE) || !nd_would_block(result) || !nd_pending_timeout_take(call->fd, sock))
        return nd_receive_finish(call, sock, result);
    errno = ETIMEDOUT;
    return -1;
}

/* In a TLS operation, where the kernel times the call by a `limit`, or nothing does (0). */
static ssize_t receive_within(const struct nd_receive_call *call, struct nd_sock *sock, struct nd_scope *scope,
                              nd_time limit) {
    nd_scope_run(scope, nd_now());
    ssize_t result = limit ? receive_limited(call, sock, limit) : nd_receive_plain(call);
    nd_scope_stand(scope, nd_now());
    return result;
}

/* MODE=observe. A TLS operation is reported as a whole, not its reads. */
static ssize_t receive_observed(const struct nd_receive_call *call, struct nd_sock *sock, struct nd_scope *scope) {
    struct nd_observe observe;
    if (scope)
        return receive_within(call, sock, scope, 0);
    nd_observe_begin(&observe, nd_receive_operation(call), call->fd, sock, ND_LIMIT_RECV);
    ssize_t result = nd_receive_plain(call);
    nd_observe_end(&observe, result, (struct nd_expiry){0});
    return nd_sock_is_datagram(sock) ? nd_receive_finish(call, sock, result) : result;
}

/* A call that peeks at all it has space for. UNACKED and the like bound its wait for the first byte, which poll can wait
 * for: a peer that is gone has mostly sent none. */
static ssize_t receive_peeking(const struct nd_receive_call *call, struct nd_sock *sock) {
    char byte;
    const struct nd_receive_call first = {.kind = ND_RECV, .fd = call->fd, .buf = &byte, .len = 1, .flags = MSG_PEEK};
    const ssize_t result = nd_receive_polled(&first, sock, 0);
    return result > 0 ? nd_receive_finish(call, sock, nd_receive_plain(call)) : result;
}

static ssize_t receive_bounded(const struct nd_receive_call *call) {
    struct nd_sock *sock = nd_sock_lookup(call->fd);
    if (!sock)
        return nd_receive_plain(call);
    nd_kernel_timers_refresh(call->fd, sock);
    if (!(nd_watch_exact(call->fd) & ND_WATCH_IN))
        return nd_receive_plain(call);
    if (nd_sock_flags(sock) & ND_SOCK_TLS_CANDIDATE)
        nd_scope_touched(call->fd, sock);
    uint32_t flags = nd_sock_flags(sock);
    if (((flags & ND_SOCK_EXPIRED) && nd_expired(call->fd, sock)) ||
        nd_connection_limits_outlived(call->fd, sock, nd_receive_name(call)))
        return nd_expired_fail(call->fd, sock, ND_IN);
    if (nd_unlikely(flags & ND_SOCK_TIMEOUT_PENDING))
        return receive_pending_timeout(call, sock);
    const int prompt = flags & ND_SOCK_STREAM ? MSG_DONTWAIT | MSG_ERRQUEUE | MSG_OOB : MSG_DONTWAIT | MSG_ERRQUEUE;
    if (nd_unlikely(flags & ND_SOCK_CONNECTING) && !(call->flags & prompt)) {
        if (!nd_connect_await(call->fd, sock, ND_IN))
            return -1;
        flags = nd_sock_flags(sock);
    }
    if ((call->flags & prompt) || (flags & ND_SOCK_NONBLOCK)) /* MSG_OOB on a stream never waits */
        return nd_receive_finish(call, sock, nd_receive_plain(call));
    nd_time limit = flags & (ND_SOCK_RCVTIMEO | ND_SOCK_CARRIED_IN | ND_SOCK_HANDED_ON) ? nd_sock_recv_limit(sock) : 0;
    struct nd_scope *scope = flags & ND_SOCK_SCOPED ? nd_scope_of(call->fd, call->caller) : NULL;
    if (nd_observing)
        return receive_observed(call, sock, scope);
    if (scope && scope->timeout && !(limit && nd_scope_is_kernel_timed(scope, limit, nd_now_coarse())))
        return nd_receive_scoped(call, sock, scope);
    const bool ours = (nd_sock_connection_limited(sock) && (flags & ND_SOCK_STREAM)) ||
                      ((flags & (ND_SOCK_CARRIED_IN | ND_SOCK_LOWAT | ND_SOCK_HANDED_ON)) && limit) ||
                      nd_gone_first(sock, limit);
    if (ours && !peeks_all(call) && has_space(call))
        return nd_receive_polled(call, sock, nd_sock_recv_limit(sock)); /* an own timeout may be shorter: it adds up */
    if (ours && !limit && has_space(call))
        return receive_peeking(call, sock);
    if (limit && scope && scope->timeout)
        return receive_within(call, sock, scope, limit);
    return limit ? receive_limited(call, sock, limit) : finish_plain(call, sock, nd_receive_plain(call));
}

/* Returns what the program gets of a call that has given `result`; it is made anew where the command has woken it. */
static ssize_t started_over(const struct nd_receive_call *call, ssize_t result) {
    while (nd_starts_over(result))
        result = receive_bounded(call);
    return result;
}

static inline ssize_t receive_kernel_timed(const struct nd_receive_call *call) {
    struct nd_sock *sock = nd_sock_lookup(call->fd);
    const uint32_t which = nd_sock_flags(sock) & (ND_SOCK_NONBLOCK | ND_SOCK_RCVTIMEO);
    if (which == ND_SOCK_RCVTIMEO && !(call->flags & (MSG_DONTWAIT | MSG_ERRQUEUE)))
        return receive_limited(call, sock, nd_sock_limits(sock)->recv);
    ssize_t result = nd_receive_plain(call);
    if (nd_unlikely(result <= 0))
        return finish_plain(call, sock, result);
    nd_sock_received(sock);
    return result;
}

static inline ssize_t receive(const struct nd_receive_call *call) {
    const unsigned watch = nd_watch(call->fd);
    const bool kernel_timed =
        (watch & ND_WATCH_KERNEL_TIMED) && !((watch & ND_WATCH_SCOPE) && nd_scope_bounds(call->fd, call->caller));
    return kernel_timed ? receive_kernel_timed(call) : receive_bounded(call);
}

ssize_t nd_receive(const struct nd_receive_call *call) {
    const int saved = errno;
    return nd_keep_errno(started_over(call, receive(call)), saved);
}

/* A call that blocks is mostly answered within this. What is asked of the kernel before a longer wait (the mode of the
 * descriptor, the program's own timeout, what the descriptor is) is not asked before. */
#define SHORT_WAIT_MS 10

/* Whether the program sees the interruption (EINTR) that a wait has just met. */
static bool shows_interruption(int fd, const struct nd_sock *sock) {
    const bool shows = nd_kernel_timers_own_deadline(fd, sock, ND_IN, 0) != ND_NEVER || !nd_signals_restart();
    errno = EINTR;
    return shows;
}

static ssize_t receive_after(const struct nd_receive_call *call, struct nd_sock *sock, ssize_t result) {
    if (nd_would_block(result)) {
        struct pollfd pollfd = {.fd = call->fd, .events = POLLIN};
        const uint32_t generation = sock->generation;
        const int ready = nd_real.poll(&pollfd, 1, SHORT_WAIT_MS);
        if (ready < 0 && errno == EINTR && !nd_slots_woken() && shows_interruption(call->fd, sock))
            return -1;
        errno = EAGAIN;
        if (ready > 0 && sock->generation == generation)
            result = nd_receive_at_once(call);
    }
    if (nd_would_block(result) || (result < 0 && errno == ENOTSOCK) || (result == 0 && !call->len))
        return receive_bounded(call);
    return result > 0 && (call->flags & MSG_WAITALL) ? nd_receive_rest(call, sock, nd_sock_recv_limit(sock), result)
                                                     : nd_receive_finish(call, sock, result);
}

ssize_t nd_receive_tried(const struct nd_receive_call *call, long got) {
    const int saved = errno;
    struct nd_sock *sock = nd_sock_lookup(call->fd);
    ssize_t result = got < 0 ? -1 : got;
    if (got < 0)
        errno = (int)-got;
    result = call->flags & MSG_DONTWAIT ? nd_receive_finish(call, sock, result) : receive_after(call, sock, result);
    return nd_keep_errno(started_over(call, result), saved);
}

ssize_t nd_receive_ended(const struct nd_receive_call *call, ssize_t result) {
    struct nd_sock *sock = nd_sock_lookup(call->fd);
    int saved = errno;
    result = sock ? nd_receive_finish(call, sock, result) : result;
    return nd_keep_errno(started_over(call, result), saved);
}

ssize_t nd_kernel_timed_continue(const struct nd_receive_call *call, struct nd_kernel_timed *timed, ssize_t result) {
    const int saved = timed->limit ? timed->error : errno; /* a call that does not wait and fails does not succeed */
    if (timed->limit) {
        enum nd_slot_end how;
        result = limited_result(call, timed->sock, timed->generation, timed->use.began, result, &how);
        nd_slot_end(&timed->use, how, nd_now_coarse());
    } else if (timed->sock->generation == timed->generation) {
        result = finish_plain(call, timed->sock, result);
    }
    return nd_keep_errno(result, saved);
}

ssize_t nd_receive_kernel_timed(const struct nd_receive_call *call, uint32_t generation, nd_time began,
                                ssize_t result) {
    struct nd_sock *sock = nd_sock_lookup(call->fd);
    int saved = errno;
    enum nd_slot_end how;
    if (sock->generation == generation)
        result = nd_receive_kernel_timed_result(call, sock, began, result, &how);
    else if (nd_would_block(result))
        errno = ETIMEDOUT;
    return nd_keep_errno(result, saved);
}
