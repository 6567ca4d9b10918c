#include "shim/call/receive.h"

#include <errno.h>
#include <limits.h>

#include "base/clock.h"
#include "base/compiler.h"
#include "shim/call/connect.h"
#include "shim/call/receive_call.h"
#include "shim/call/receive_fast.h"
#include "shim/call/receive_wait.h"
#include "shim/limit/carry_over.h"
#include "shim/limit/connection_limits.h"
#include "shim/limit/datagram.h"
#include "shim/limit/expiry.h"
#include "shim/limit/observe.h"
#include "shim/limit/pending_timeout.h"
#include "shim/mode.h"
#include "shim/readable.h"
#include "shim/report/slots.h"
#include "shim/socket/discover.h"
#include "shim/socket/ended.h"
#include "shim/socket/kernel_timers.h"
#include "shim/socket/limits.h"
#include "shim/socket/record.h"
#include "shim/tls/innermost.h"
#include "shim/tls/scope.h"
#include "shim/wait/wait.h"

/* The call was made plainly; if it waited, then for no longer than the program's own timeout, the shorter one. */
static ssize_t waited_for_own(const struct nd_receive_call *call, struct nd_sock *sock, ssize_t result) {
    const nd_time own = sock->own_rcvtimeo * ND_USEC;
    if (nd_would_block(result) && own > 0 && !(nd_sock_flags(sock) & ND_SOCK_NONBLOCK) &&
        !(call->flags & MSG_DONTWAIT) && nd_sock_recv_limit(sock) && !nd_nonblocking(call->fd)) {
        nd_time now = nd_now();
        nd_carry_over_receive(call->fd, sock, now - own, now);
        errno = EAGAIN;
    }
    return nd_receive_finish(call, sock, result);
}

/* What only the kernel can wait for. */
static bool peeks_all(const struct nd_receive_call *call) {
    const int both = MSG_WAITALL | MSG_PEEK;
    return call->kind >= ND_RECV && (call->flags & both) == both;
}

/* A receive of nothing waits for bytes on some sockets, and gives 0 when its time is up: the kernel does it all. */
static bool has_room(const struct nd_receive_call *call) {
    const struct msghdr *msg = call->buf;
    if (call->kind != ND_RECVMSG)
        return call->len > 0;
    return nd_readable(msg, sizeof *msg) && msg->msg_iovlen > 0 && msg->msg_iovlen <= IOV_MAX &&
           !nd_vector_is_void(msg->msg_iov, (int)msg->msg_iovlen);
}

/* Whether it was to wait for more than the `got` bytes. */
static bool wants_more(const struct nd_receive_call *call, const struct nd_sock *sock, size_t got) {
    return call->kind >= ND_RECV && (call->flags & MSG_WAITALL) && (nd_sock_flags(sock) & ND_SOCK_STREAM) &&
           (call->kind == ND_RECVMSG || got < call->len);
}

/* Under RECV, with the kernel's timer alone: the call that began at `began` has given `result`. */
static ssize_t limited_result(const struct nd_receive_call *call, struct nd_sock *sock, uint32_t generation,
                              nd_time began, ssize_t result, enum nd_waited *how) {
    *how = ND_READY;
    if (nd_unlikely(sock->generation != generation)) {
        /* closed by another thread; the number may be a stranger's by now */
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
    enum nd_waited how;
    ssize_t result = limited_result(call, sock, generation, began, nd_receive_plain(call), &how);
    nd_slot_end(&use, nd_wait_outcome(how), nd_now_coarse());
    return result;
}

/* A wait has shown that no answer came: this call says so, unless one has come after all. */
static ssize_t receive_late(const struct nd_receive_call *call, struct nd_sock *sock) {
    ssize_t result = call->flags & MSG_ERRQUEUE ? nd_receive_plain(call) : nd_receive_at_once(call);
    if (result < 0 && errno == ENOTSOCK) {
        nd_sock_clear(call->fd);
        return nd_receive_plain(call);
    }
    if ((call->flags & MSG_ERRQUEUE) || !nd_would_block(result) || !nd_pending_timeout_take(call->fd, sock))
        return nd_receive_finish(call, sock, result);
    errno = ETIMEDOUT;
    return -1;
}

/* MODE=observe. A wait in a TLS operation is reported by the operation as a whole. */
static ssize_t receive_observed(const struct nd_receive_call *call, struct nd_sock *sock,
                                const struct nd_scope *scope) {
    struct nd_observe observe;
    if (scope)
        return nd_receive_plain(call);
    nd_observe_begin(&observe, nd_receive_operation(call), call->fd, sock, ND_LIMIT_RECV);
    ssize_t result = nd_receive_plain(call);
    nd_observe_end(&observe, result, (struct nd_expiry){.timeout = nd_sock_recv_limit(sock)});
    return nd_sock_is_datagram(sock) ? nd_receive_finish(call, sock, result) : result;
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
        return receive_late(call, sock);
    const int prompt = flags & ND_SOCK_STREAM ? MSG_DONTWAIT | MSG_ERRQUEUE | MSG_OOB : MSG_DONTWAIT | MSG_ERRQUEUE;
    if (nd_unlikely(flags & ND_SOCK_CONNECTING) && !(call->flags & prompt)) {
        if (!nd_connect_await(call->fd, sock, ND_IN))
            return -1;
        flags = nd_sock_flags(sock);
    }
    if ((call->flags & prompt) || (flags & ND_SOCK_NONBLOCK)) /* a receive of a stream's urgent byte never waits */
        return nd_receive_finish(call, sock, nd_receive_plain(call));
    nd_time limit = flags & (ND_SOCK_RCVTIMEO | ND_SOCK_CARRIED_IN) ? nd_sock_recv_limit(sock) : 0;
    const struct nd_scope *scope = flags & ND_SOCK_SCOPED ? nd_scope_of(call->fd, call->caller) : NULL;
    if (nd_observing)
        return receive_observed(call, sock, scope);
    if (scope && scope->timeout && !(limit && nd_scope_is_kernel_timed(scope, limit, nd_now_coarse())))
        return nd_receive_scoped(call, sock, scope);
    const bool ours = (nd_sock_connection_limited(sock) && (flags & ND_SOCK_STREAM)) ||
                      ((flags & (ND_SOCK_CARRIED_IN | ND_SOCK_LOWAT)) && limit);
    if (ours && !peeks_all(call) && has_room(call))
        return nd_receive_polled(call, sock, limit);
    return limit ? receive_limited(call, sock, limit) : waited_for_own(call, sock, nd_receive_plain(call));
}

static inline ssize_t receive_straight(const struct nd_receive_call *call) {
    struct nd_sock *sock = nd_sock_lookup(call->fd);
    const uint32_t which = nd_sock_flags(sock) & (ND_SOCK_NONBLOCK | ND_SOCK_RCVTIMEO);
    if (which == ND_SOCK_RCVTIMEO && !(call->flags & (MSG_DONTWAIT | MSG_ERRQUEUE)))
        return receive_limited(call, sock, nd_sock_limits(sock)->recv);
    ssize_t result = nd_receive_plain(call);
    if (nd_unlikely(result <= 0))
        return waited_for_own(call, sock, result);
    nd_sock_received(sock);
    return result;
}

static inline ssize_t receive(const struct nd_receive_call *call) {
    const unsigned watch = nd_watch(call->fd);
    const bool kept =
        (watch & ND_WATCH_KERNEL_TIMED) && !((watch & ND_WATCH_SCOPE) && nd_scope_bounds(call->fd, call->caller));
    return kept ? receive_straight(call) : receive_bounded(call);
}

/* A call that succeeds leaves errno as it was, whatever it went through. */
ssize_t nd_receive(const struct nd_receive_call *call) {
    int saved = errno;
    ssize_t result = receive(call);
    if (result >= 0)
        errno = saved;
    return result;
}

ssize_t nd_receive_ended(const struct nd_receive_call *call, ssize_t result) {
    struct nd_sock *sock = nd_sock_lookup(call->fd);
    int saved = errno;
    if (sock)
        result = nd_receive_finish(call, sock, result);
    if (result >= 0)
        errno = saved;
    return result;
}

ssize_t nd_kernel_timed_continue(const struct nd_receive_call *call, struct nd_kernel_timed *kept, ssize_t result) {
    const int saved = kept->limit ? kept->error : errno; /* a call that does not wait and fails does not succeed */
    if (kept->limit) {
        enum nd_waited how;
        result = limited_result(call, kept->sock, kept->generation, kept->use.began, result, &how);
        nd_slot_end(&kept->use, nd_wait_outcome(how), nd_now_coarse());
    } else if (kept->sock->generation == kept->generation) {
        result = waited_for_own(call, kept->sock, result);
    }
    if (result >= 0)
        errno = saved;
    return result;
}

ssize_t nd_receive_kernel_timed(const struct nd_receive_call *call, uint32_t generation, nd_time began,
                                ssize_t result) {
    struct nd_sock *sock = nd_sock_lookup(call->fd);
    int saved = errno;
    enum nd_waited how;
    if (sock->generation == generation)
        result = nd_receive_kernel_timed_result(call, sock, began, result, &how);
    else if (nd_would_block(result))
        errno = ETIMEDOUT;
    if (result >= 0)
        errno = saved;
    return result;
}
