#include "shim/call/mmsg.h"

#include <errno.h>

#include "base/clock.h"
#include "base/compiler.h"
#include "shim/call/connect.h"
#include "shim/call/receive.h"
#include "shim/call/send.h"
#include "shim/call/silence.h"
#include "shim/limit/carry_over.h"
#include "shim/limit/connection_limits.h"
#include "shim/limit/datagram.h"
#include "shim/limit/expiry.h"
#include "shim/limit/observe.h"
#include "shim/limit/pending_timeout.h"
#include "shim/mode.h"
#include "shim/readable.h"
#include "shim/real.h"
#include "shim/report/slots.h"
#include "shim/socket/ended.h"
#include "shim/socket/kernel_timers.h"
#include "shim/socket/limits.h"
#include "shim/socket/record.h"
#include "shim/wait/signals.h"
#include "shim/wait/wait.h"

/* The kernel takes no more at once. */
#define MOST 1024

static bool ended_before(const struct nd_mmsg_call *call, struct nd_sock *sock, const char *name) {
    return ((nd_sock_flags(sock) & ND_SOCK_EXPIRED) && nd_expired(call->fd, sock)) ||
           nd_connection_limits_outlived(call->fd, sock, name);
}

static struct nd_send_call each_of(const struct nd_mmsg_call *call) {
    return (struct nd_send_call){
        .kind = ND_SENDMSG, .fd = call->fd, .flags = call->flags, .many = true, .caller = call->caller};
}

/* Goes on after message `at`, which is in `each` and has given `sent`. */
static int send_others(const struct nd_mmsg_call *call, struct nd_send_call *each, unsigned at, ssize_t sent,
                       int error_before) {
    while (sent >= 0) {
        call->messages[at].msg_len = (unsigned)sent;
        bool whole = (size_t)sent == nd_send_total(each);
        if (++at == call->count || !whole)
            return (int)at;
        each->msg = &call->messages[at].msg_hdr;
        sent = nd_send(each);
    }
    if (at == 0)
        return -1;
    errno = error_before; /* the kernel, too, forgets an error after a success */
    return (int)at;
}

/* Goes on from message `at`, of which a first attempt has sent `sent` bytes, or has failed. */
static int send_each(const struct nd_mmsg_call *call, unsigned at, ssize_t sent, int error_before) {
    struct nd_send_call each = each_of(call);
    each.msg = &call->messages[at].msg_hdr;
    return send_others(call, &each, at, nd_send_rest(&each, true, sent, error_before), error_before);
}

static int send_observed(const struct nd_mmsg_call *call, struct nd_sock *sock) {
    struct nd_observe observe;
    nd_observe_begin(&observe, ND_OPERATION_sendmmsg, call->fd, sock, ND_LIMIT_SEND);
    int sent = nd_real.sendmmsg(call->fd, call->messages, call->count, call->flags);
    nd_observe_end(&observe, sent, (struct nd_expiry){.timeout = nd_sock_send_limit(sock)});
    return sent;
}

static int send_datagrams(const struct nd_mmsg_call *call, struct nd_sock *sock) {
    const int saved = errno;
    int sent = nd_real.sendmmsg(call->fd, call->messages, call->count, call->flags);
    if (sent > 0) {
        const struct msghdr *first = &call->messages[0].msg_hdr;
        nd_datagram_sent(call->fd, sock, first->msg_name, first->msg_namelen);
        errno = saved;
    }
    return sent;
}

/* The first message begins a connection that the kernel has deferred. */
static int send_connecting(const struct nd_mmsg_call *call, int error_before) {
    struct nd_send_call first = each_of(call);
    if (!nd_readable(call->messages, call->count * sizeof *call->messages))
        return nd_real.sendmmsg(call->fd, call->messages, call->count, call->flags);
    first.msg = &call->messages[0].msg_hdr;
    return send_others(call, &first, 0, nd_send(&first), error_before);
}

int nd_sendmmsg(struct nd_mmsg_call *call) {
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
    if (sock && nd_unlikely(sock->deferred) && call->count > 0)
        return send_connecting(call, saved);
    if (sock && nd_unlikely(nd_sock_flags(sock) & ND_SOCK_CONNECTING) && !nd_connect_await(call->fd, sock, ND_OUT))
        return -1;
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

static int receive(const struct nd_mmsg_call *call, int more_flags) {
#ifdef __i386__
    if (call->has_time64)
        return nd_real.__recvmmsg64(call->fd, call->messages, call->count, call->flags | more_flags, call->timeout);
#endif
    return nd_real.recvmmsg(call->fd, call->messages, call->count, call->flags | more_flags, call->timeout);
}

static int expire(const struct nd_mmsg_call *call, struct nd_sock *sock, struct nd_expiry expiry) {
    if (nd_sock_flags(sock) & ND_SOCK_STREAM) {
        nd_expire_stream(call->fd, sock, &expiry);
        return nd_expired_fail(call->fd, sock, ND_IN);
    }
    expiry.peer = nd_datagram_peer(sock);
    expiry.peer_len = sizeof sock->peer;
    nd_expiry_report(call->fd, &expiry); /* a lost datagram ends nothing, and the next call has the whole limit */
    nd_carry_over_end(call->fd, sock, ND_IN);
    errno = ETIMEDOUT;
    return -1;
}

/* The kernel times RECV. A call that comes back without messages goes on, polled, where the program would not have seen that. */
static int receive_kernel_timed(const struct nd_mmsg_call *call, struct nd_silence *silence, nd_time began) {
    struct nd_wait *wait = &silence->wait;
    for (;;) {
        const int got = receive(call, 0), error = errno;
        const bool stands = nd_sock_held(call->fd, wait->sock, &wait->hold);
        if (got > 0 && stands)
            nd_carry_over_end(call->fd, wait->sock, ND_IN);
        errno = error;
        if (!nd_came_back(got) || !stands || nd_nonblocking(call->fd))
            return got;
        if (!nd_silence_goes_on(silence, began))
            return wait->how == ND_EXPIRED ? expire(call, wait->sock, wait->expiry) : got;
    }
}

static int receive_limited(const struct nd_mmsg_call *call, struct nd_sock *sock, nd_time limit) {
    struct nd_slot_use use;
    const nd_time began = nd_now();
    struct nd_silence silence =
        nd_silence_begin(ND_OPERATION_recvmmsg, call->fd, sock, limit, nd_carried_over_receive(sock, began), ND_NEVER);
    nd_slot_begin(&use, ND_OPERATION_recvmmsg, call->fd, began, nd_time_after(began, limit),
                  nd_limit_of(sock, ND_LIMIT_RECV));
    int got = receive_kernel_timed(call, &silence, began);
    nd_slot_end(&use, nd_wait_outcome(silence.wait.how), nd_now_coarse());
    return got;
}

/* What is there at once, then each message by itself: IDLE, LIFETIME and MIN_RATE wake those. */
static int receive_each(const struct nd_mmsg_call *call) {
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

static int receive_observed(const struct nd_mmsg_call *call, struct nd_sock *sock) {
    struct nd_observe observe;
    nd_observe_begin(&observe, ND_OPERATION_recvmmsg, call->fd, sock, ND_LIMIT_RECV);
    int got = receive(call, 0);
    nd_observe_end(&observe, got, (struct nd_expiry){.timeout = nd_sock_recv_limit(sock)});
    return got;
}

static int receive_datagrams(const struct nd_mmsg_call *call, struct nd_sock *sock) {
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

static int receive_bounded(const struct nd_mmsg_call *call) {
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
    if (nd_unlikely(nd_sock_flags(sock) & ND_SOCK_CONNECTING) && !(call->flags & MSG_DONTWAIT) &&
        !nd_connect_await(call->fd, sock, ND_IN))
        return -1;
    /* With a timeout, which the kernel looks at after each message, the call stays whole. */
    if (nd_sock_connection_limited(sock) && !call->timeout && call->count <= MOST)
        return receive_each(call);
    nd_time limit = nd_sock_flags(sock) & ND_SOCK_RCVTIMEO ? nd_sock_recv_limit(sock) : 0;
    return limit ? receive_limited(call, sock, limit) : receive(call, 0);
}

int nd_recvmmsg(const struct nd_mmsg_call *call) {
    int saved = errno, got = receive_bounded(call);
    if (got >= 0)
        errno = saved;
    return got;
}
