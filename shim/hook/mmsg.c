/* sendmmsg, recvmmsg: several messages at a time, each as one of sendmsg's and recvmsg's where the call would wait. */
#include <errno.h>

#include "base/clock.h"
#include "shim/call/receive.h"
#include "shim/call/send.h"
#include "shim/hook/hook.h"
#include "shim/limit/carry_over.h"
#include "shim/limit/connection_limits.h"
#include "shim/limit/datagram.h"
#include "shim/limit/expiry.h"
#include "shim/limit/pending_timeout.h"
#include "shim/mode.h"
#include "shim/report/slots.h"
#include "shim/socket/discover.h"
#include "shim/socket/ended.h"
#include "shim/socket/kernel_timers.h"
#include "shim/socket/limits.h"
#include "shim/socket/record.h"
#include "shim/wait/signals.h"
#include "shim/wait/wait.h"

#define CALLER __builtin_return_address(0)

/* The kernel takes no more at once. */
#define MOST 1024

/* Both calls; `timeout` is recvmmsg's. */
struct call {
    int fd;
    struct mmsghdr *messages;
    unsigned count;
    int flags;
    void *timeout;
    const void *caller;
    bool has_time64; /* it is __recvmmsg64 (i386) */
};

static bool ended_before(const struct call *call, struct nd_sock *sock, const char *name) {
    return ((nd_sock_flags(sock) & ND_SOCK_EXPIRED) && nd_expired(call->fd, sock)) ||
           nd_connection_limits_outlived(call->fd, sock, name);
}

/* Goes on from message `at`, of which a first attempt has sent `sent` bytes, or has failed. */
static int send_each(const struct call *call, unsigned at, ssize_t sent, int error_before) {
    struct nd_send_call each = {
        .kind = ND_SENDMSG, .fd = call->fd, .flags = call->flags, .many = true, .caller = call->caller};
    each.msg = &call->messages[at].msg_hdr;
    sent = nd_send_rest(&each, true, sent, error_before);
    while (sent >= 0) {
        call->messages[at].msg_len = (unsigned)sent;
        bool whole = (size_t)sent == nd_send_total(&each);
        if (++at == call->count || !whole)
            return (int)at;
        each.msg = &call->messages[at].msg_hdr;
        sent = nd_send(&each);
    }
    if (at == 0)
        return -1;
    errno = error_before; /* the kernel, too, forgets an error after a success */
    return (int)at;
}

/* MODE=observe, after the call. */
static int told(const struct call *call, struct nd_sock *sock, bool in, struct nd_slot_use *use, nd_time began,
                int result) {
    const char *name = nd_operation_names[in ? ND_OPERATION_recvmmsg : ND_OPERATION_sendmmsg];
    nd_slot_end(use, nd_slot_how(result), nd_now());
    nd_expiry_report_observed(call->fd, name, in ? ND_LIMIT_NAME(sock, "RECV") : ND_LIMIT_NAME(sock, "SEND"),
                              in ? nd_sock_recv_limit(sock) : nd_sock_send_limit(sock), began);
    nd_connection_limits_observed(call->fd, sock, name, began);
    return result;
}

static int send_observed(const struct call *call, struct nd_sock *sock) {
    struct nd_slot_use use;
    nd_time began = nd_now();
    nd_slot_begin(&use, ND_OPERATION_sendmmsg, call->fd, began, ND_NEVER, nd_limit_of(sock, ND_LIMIT_SEND));
    return told(call, sock, false, &use, began, nd_real.sendmmsg(call->fd, call->messages, call->count, call->flags));
}

static int send_datagrams(const struct call *call, struct nd_sock *sock) {
    const int saved = errno;
    int sent = nd_real.sendmmsg(call->fd, call->messages, call->count, call->flags);
    if (sent > 0) {
        const struct msghdr *first = &call->messages[0].msg_hdr;
        nd_datagram_sent(call->fd, sock, first->msg_name, first->msg_namelen);
        errno = saved;
    }
    return sent;
}

ND_COLD static int send_watched(struct call *call) {
    const int saved = errno;
    struct nd_sock *sock = nd_sock_lookup(call->fd);
    if (sock)
        nd_kernel_timers_refresh(call->fd, sock);
    if (sock && nd_sock_is_datagram(sock))
        return send_datagrams(call, sock);
    if (call->flags & MSG_DONTWAIT)
        return nd_real.sendmmsg(call->fd, call->messages, call->count, call->flags);
    if (sock && ended_before(call, sock, nd_operation_names[ND_OPERATION_sendmmsg]))
        return nd_expired_fail(call->fd, sock, ND_OUT);
    if (sock && nd_observing)
        return send_observed(call, sock);
    if (!sock || !(nd_watch_exact(call->fd) & ND_WATCH_OUT) || call->count == 0 || (call->flags & ND_SEND_WHOLE) ||
        !(nd_sock_flags(sock) & ND_SOCK_STREAM))
        return nd_real.sendmmsg(call->fd, call->messages, call->count, call->flags);
    call->count = call->count < MOST ? call->count : MOST;
    int got = nd_real.sendmmsg(call->fd, call->messages, call->count, call->flags | MSG_DONTWAIT | MSG_NOSIGNAL);
    if (got < 0 && errno == EFAULT) /* there may be no messages to look at */
        return got;
    if (got <= 0)
        return send_each(call, 0, -1, saved);
    nd_sock_sent(sock);
    unsigned last = (unsigned)got - 1;
    const struct nd_send_call message = {.msg = &call->messages[last].msg_hdr};
    if (last + 1 == call->count && nd_send_total(&message) == call->messages[last].msg_len)
        return got;
    return send_each(call, last, (ssize_t)call->messages[last].msg_len, saved);
}

int nd_hook_sendmmsg(int fd, struct mmsghdr *messages, unsigned count, int flags) {
    if (nd_unlikely(nd_watch(fd) & ND_WATCH_OUT))
        return send_watched(&(struct call){fd, messages, count, flags, NULL, CALLER, false});
    return nd_real.sendmmsg(fd, messages, count, flags);
}
#ifdef __i386__
ND_ALIAS_OF(__sendmmsg64, sendmmsg);
#endif

static int receive(const struct call *call, int more_flags) {
#ifdef __i386__
    if (call->has_time64)
        return nd_real.__recvmmsg64(call->fd, call->messages, call->count, call->flags | more_flags, call->timeout);
#endif
    return nd_real.recvmmsg(call->fd, call->messages, call->count, call->flags | more_flags, call->timeout);
}

/* What counts for the calls after this one. */
static int received(const struct call *call, struct nd_sock *sock, nd_time began, int got) {
    const int error = errno;
    if (got > 0)
        nd_carry_over_end(call->fd, sock, ND_IN);
    else if (got < 0 && (error == EINTR || error == EAGAIN))
        nd_carry_over_receive(call->fd, sock, began, nd_now());
    errno = error;
    return got;
}

/* An interrupted call goes on where the program would not have seen the interruption. */
static int receive_kept(const struct call *call, struct nd_sock *sock, nd_time limit, nd_time began) {
    const uint32_t generation = sock->generation;
    const char *name = nd_operation_names[ND_OPERATION_recvmmsg];
    const nd_time since = nd_carried_over_receive(sock, began);
    nd_time elapsed;
    int got;
    bool goes_on;
    do {
        got = receive(call, 0);
        elapsed = nd_now() - since;
        goes_on = got < 0 && errno == EINTR && elapsed < limit && sock->own_rcvtimeo == 0 && nd_signals_restart();
    } while (goes_on && sock->generation == generation);
    bool late = got < 0 && elapsed >= limit && (errno == EAGAIN || errno == EINTR);
    if (sock->generation != generation || nd_nonblocking(call->fd))
        return got;
    if (!late)
        return received(call, sock, began, got);
    struct nd_expiry expiry = {
        .operation = name, .limit = ND_LIMIT_NAME(sock, "RECV"), .timeout = limit, .elapsed = elapsed};
    if (!(nd_sock_flags(sock) & ND_SOCK_STREAM)) {
        expiry.peer = nd_datagram_peer(sock);
        expiry.peer_len = sizeof sock->peer;
        nd_expiry_report(call->fd, &expiry);
        errno = ETIMEDOUT;
        return -1;
    }
    nd_expire_stream(call->fd, sock, &expiry);
    return nd_expired_fail(call->fd, sock, ND_IN);
}

static int receive_limited(const struct call *call, struct nd_sock *sock, nd_time limit) {
    struct nd_slot_use use;
    nd_time began = nd_now();
    nd_slot_begin(&use, ND_OPERATION_recvmmsg, call->fd, began, nd_time_after(began, limit),
                  nd_limit_of(sock, ND_LIMIT_RECV));
    int got = receive_kept(call, sock, limit, began);
    nd_slot_end(&use, nd_slot_how(got), nd_now_coarse());
    return got;
}

/* What is there at once, then each message by itself: IDLE, LIFETIME and MIN_RATE wake those. */
static int receive_each(const struct call *call) {
    struct nd_receive_call each = {.kind = ND_RECVMSG,
                                   .fd = call->fd,
                                   .flags = call->flags & ~MSG_WAITFORONE,
                                   .many = true,
                                   .caller = call->caller,
                                   .has_time64 = call->has_time64};
    int got = receive(call, MSG_DONTWAIT);
    if (got < 0 && errno != EAGAIN && errno != EWOULDBLOCK)
        return got;
    unsigned at = got > 0 ? (unsigned)got : 0;
    while (at < call->count && !(at > 0 && (call->flags & MSG_WAITFORONE))) {
        each.buf = &call->messages[at].msg_hdr;
        ssize_t length = nd_receive(&each);
        if (length < 0)
            break;
        call->messages[at++].msg_len = (unsigned)length;
    }
    return at > 0 ? (int)at : -1;
}

static int receive_observed(const struct call *call, struct nd_sock *sock) {
    struct nd_slot_use use;
    nd_time began = nd_now();
    nd_slot_begin(&use, ND_OPERATION_recvmmsg, call->fd, began, ND_NEVER, nd_limit_of(sock, ND_LIMIT_RECV));
    return told(call, sock, true, &use, began, receive(call, 0));
}

static int receive_datagrams(const struct call *call, struct nd_sock *sock) {
    const bool late = (nd_sock_flags(sock) & ND_SOCK_TIMEOUT_PENDING) != 0;
    const nd_time limit = nd_sock_flags(sock) & ND_SOCK_RCVTIMEO ? nd_sock_recv_limit(sock) : 0;
    int got;
    if (late || (call->flags & MSG_DONTWAIT))
        got = receive(call, MSG_DONTWAIT);
    else if (nd_observing)
        got = receive_observed(call, sock);
    else
        got = limit ? receive_limited(call, sock, limit) : receive(call, 0);
    if (got > 0)
        nd_datagram_received(call->fd, sock);
    else if (got < 0 && late && (errno == EAGAIN || errno == EWOULDBLOCK) && nd_pending_timeout_take(call->fd, sock))
        errno = ETIMEDOUT;
    return got;
}

static int receive_bounded(const struct call *call) {
    struct nd_sock *sock = nd_sock_lookup(call->fd);
    if (sock)
        nd_kernel_timers_refresh(call->fd, sock);
    if (sock && nd_sock_is_datagram(sock) && call->count > 0)
        return receive_datagrams(call, sock);
    if (call->flags & MSG_DONTWAIT)
        return receive(call, 0);
    if (sock && ended_before(call, sock, nd_operation_names[ND_OPERATION_recvmmsg]))
        return nd_expired_fail(call->fd, sock, ND_IN);
    if (!sock || call->count == 0)
        return receive(call, 0);
    if (nd_observing)
        return receive_observed(call, sock);
    /* With a timeout, which the kernel looks at after each message, the call stays whole. */
    if (nd_sock_connection_limited(sock) && !call->timeout && call->count <= MOST)
        return receive_each(call);
    nd_time limit = nd_sock_flags(sock) & ND_SOCK_RCVTIMEO ? nd_sock_recv_limit(sock) : 0;
    return limit ? receive_limited(call, sock, limit) : receive(call, 0);
}

ND_COLD static int receive_watched(const struct call *call) {
    int saved = errno, got = receive_bounded(call);
    if (got >= 0)
        errno = saved;
    return got;
}

static void look_at_received(const struct mmsghdr *messages, int got) {
    for (int i = 0; i < got && nd_active; i++)
        if (messages[i].msg_hdr.msg_controllen > 0)
            nd_discover_received(&messages[i].msg_hdr);
}

int nd_hook_recvmmsg(int fd, struct mmsghdr *messages, unsigned count, int flags, struct timespec *timeout) {
    int got;
    if (nd_unlikely(nd_watch(fd) & ND_WATCH_IN) && !(flags & MSG_ERRQUEUE))
        got = receive_watched(&(struct call){fd, messages, count, flags, timeout, CALLER, false});
    else
        got = nd_real.recvmmsg(fd, messages, count, flags, timeout);
    look_at_received(messages, got);
    return got;
}

#ifdef __i386__
int nd_hook___recvmmsg64(int fd, struct mmsghdr *messages, unsigned count, int flags, struct nd_timespec64 *timeout) {
    int got;
    if (nd_unlikely(nd_watch(fd) & ND_WATCH_IN) && !(flags & MSG_ERRQUEUE))
        got = receive_watched(&(struct call){fd, messages, count, flags, timeout, CALLER, true});
    else
        got = nd_real.__recvmmsg64(fd, messages, count, flags, timeout);
    look_at_received(messages, got);
    return got;
}
#endif
