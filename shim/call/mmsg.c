#include "shim/call/mmsg.h"

#include <sys/syscall.h>

#include "base/compiler.h"
#include "base/libc.h"
#include "shim/call/connect.h"
#include "shim/call/receive.h"
#include "shim/call/send.h"
#include "shim/call/silence.h"
#include "shim/limit/carry_over.h"
#include "shim/limit/datagram.h"
#include "shim/limit/observe.h"
#include "shim/limit/pending_timeout.h"
#include "shim/mode.h"
#include "shim/poll.h"
#include "shim/readable.h"
#include "shim/real.h"
#include "shim/socket/ended.h"
#include "shim/socket/kernel_timers.h"
#include "shim/socket/limits.h"

/* The kernel handles at most this many messages in one call. */
#define MOST 1024

/* Whether the call is one of libc's that makes a system call for each message. */
static bool is_loop(const struct nd_mmsg_call *call) {
    return nd_libc_is_musl() && !call->by_number;
}

static int make_send(const struct nd_mmsg_call *call, int more_flags) {
    const int flags = call->flags | more_flags;
    return call->by_number
               ? (int)nd_real.syscall(SYS_sendmmsg, call->fd, (long)call->messages, (long)call->count, flags, 0, 0)
               : nd_real.sendmmsg(call->fd, call->messages, call->count, flags);
}

static int make_receive(const struct nd_mmsg_call *call, int more_flags) {
#ifdef __i386__
    if (call->has_time64)
        return nd_real.__recvmmsg64(call->fd, call->messages, call->count, call->flags | more_flags, call->timeout);
#endif
    return nd_real.recvmmsg(call->fd, call->messages, call->count, call->flags | more_flags, call->timeout);
}

static int observed_receive(const struct nd_mmsg_call *call, struct nd_sock *sock) {
    struct nd_observe observe;
    nd_observe_begin(&observe, ND_OPERATION_recvmmsg, call->fd, sock, ND_LIMIT_RECV);
    const int got = make_receive(call, 0);
    nd_observe_end(&observe, got, (struct nd_expiry){0});
    return got;
}

static bool has_ended(const struct nd_mmsg_call *call, struct nd_sock *sock, const char *name) {
    return ((nd_sock_flags(sock) & ND_SOCK_EXPIRED) && nd_expired(call->fd, sock)) ||
           nd_connection_limits_outlived(call->fd, sock, name);
}

static struct nd_send_call each_of(const struct nd_mmsg_call *call) {
    return (struct nd_send_call){.kind = ND_SENDMSG,
                                 .fd = call->fd,
                                 .flags = call->flags,
                                 .many = true,
                                 .by_number = call->by_number,
                                 .caller = call->caller};
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
    if (!is_loop(call))
        errno = error_before; /* as the kernel drops an error after messages were sent; musl's loop leaves it */
    return (int)at;
}

/* Sends one by one from message `at` on, of which a first attempt has sent `sent` bytes, or has failed. */
static int send_each(const struct nd_mmsg_call *call, unsigned at, ssize_t sent, int error_before) {
    struct nd_send_call each = each_of(call);
    each.msg = &call->messages[at].msg_hdr;
    return send_others(call, &each, at, nd_send_rest(&each, true, sent, error_before), error_before);
}

static int send_datagrams(const struct nd_mmsg_call *call, struct nd_sock *sock) {
    int sent = make_send(call, 0);
    if (sent > 0) {
        const int saved = errno;
        const struct msghdr *first = &call->messages[0].msg_hdr;
        nd_datagram_sent(call->fd, sock, first->msg_name, first->msg_namelen);
        errno = saved;
    }
    return sent;
}

/* Each message by itself, from the first on: where that one begins a connection that the kernel has deferred, and in
 * musl, whose sendmmsg is a loop that goes on after a message of which only a part was sent. */
static int send_singly(const struct nd_mmsg_call *call, int error_before) {
    struct nd_send_call first = each_of(call);
    if (!nd_readable(call->messages, call->count * sizeof *call->messages))
        return make_send(call, 0);
    first.msg = &call->messages[0].msg_hdr;
    return send_others(call, &first, 0, nd_send(&first), error_before);
}

/* A first attempt has sent `got` messages, of the last one perhaps a part. */
static int send_others_than(const struct nd_mmsg_call *call, int got, int error_before) {
    const unsigned last = (unsigned)got - 1;
    const struct nd_send_call message = {.msg = &call->messages[last].msg_hdr};
    if (last + 1 == call->count && nd_send_total(&message) == call->messages[last].msg_len)
        return got;
    return send_each(call, last, (ssize_t)call->messages[last].msg_len, error_before);
}

static int observed_send(const struct nd_mmsg_call *call, struct nd_sock *sock, int error_before) {
    struct nd_observe observe;
    nd_observe_begin(&observe, ND_OPERATION_sendmmsg, call->fd, sock, ND_LIMIT_SEND);
    const int got = make_send(call, 0);
    const bool is_part = got > 0 && nd_slots_woken(); /* the command has woken it after that */
    nd_observe_end(&observe, got, (struct nd_expiry){0});
    return is_part ? send_others_than(call, got, error_before) : got;
}

static int send_bounded(struct nd_mmsg_call *call, int saved) {
    struct nd_sock *sock = nd_sock_lookup(call->fd);
    if (sock)
        nd_kernel_timers_refresh(call->fd, sock);
    if (sock && nd_sock_is_datagram(sock))
        return send_datagrams(call, sock);
    if (call->flags & MSG_DONTWAIT)
        return make_send(call, 0);
    if (sock && has_ended(call, sock, nd_operation_names[ND_OPERATION_sendmmsg]))
        return nd_expired_fail(call->fd, sock, ND_OUT);
    if (sock && nd_observing && !is_loop(call))
        return observed_send(call, sock, saved);
    if (sock && nd_unlikely(sock->deferred) && call->count > 0)
        return send_singly(call, saved);
    if (sock && nd_unlikely(nd_sock_flags(sock) & ND_SOCK_CONNECTING) && !nd_connect_await(call->fd, sock, ND_OUT))
        return -1;
    if (!sock || !(nd_watch_exact(call->fd) & ND_WATCH_OUT) || call->count == 0 || (call->flags & ND_SEND_WHOLE) ||
        !(nd_sock_flags(sock) & ND_SOCK_STREAM))
        return make_send(call, 0);
    call->count = call->count < MOST ? call->count : MOST;
    if (is_loop(call))
        return send_singly(call, saved);
    int got = make_send(call, MSG_DONTWAIT | MSG_NOSIGNAL);
    if (got < 0 && errno == EFAULT) /* the array of messages may be unreadable */
        return got;
    if (got <= 0)
        return send_each(call, 0, -1, saved);
    nd_sock_sent(sock);
    return send_others_than(call, got, saved);
}

int nd_sendmmsg(struct nd_mmsg_call *call) {
    const int saved = errno;
    int got;
    do
        got = send_bounded(call, saved);
    while (nd_starts_over(got));
    return got;
}

/* Whether the call waits in poll before it is made: SO_RCVTIMEO would fire too late, or is not set, or UNACKED is sooner.
 */
static bool waits_first(const struct nd_mmsg_call *call, const struct nd_sock *sock, nd_time limit) {
    struct pollfd pollfd = {.fd = call->fd, .events = POLLIN};
    return ((nd_sock_flags(sock) & (ND_SOCK_CARRIED_IN | ND_SOCK_HANDED_ON)) ||
            (nd_gone_first(sock, limit) && nd_poll_now(&pollfd) == 0)) &&
           !nd_nonblocking(call->fd);
}

/* SO_RCVTIMEO times the call. Where it returns without messages and the plain call would not have, the wait continues
 * in poll. */
static int receive_limited(const struct nd_mmsg_call *call, struct nd_sock *sock, nd_time limit) {
    struct nd_slot_use use;
    const nd_time began = nd_now();
    struct nd_silence silence =
        nd_silence_begin(ND_OPERATION_recvmmsg, call->fd, sock, limit, nd_carried_over_receive(sock, began),
                         nd_kernel_timers_own_deadline(call->fd, sock, ND_IN, began));
    nd_slot_begin(&use, ND_OPERATION_recvmmsg, call->fd, began, limit ? nd_time_after(began, limit) : ND_NEVER,
                  limit ? nd_limit_of(sock, ND_LIMIT_RECV) : ND_LIMIT_NONE);
    int got = -1;
    if (!waits_first(call, sock, limit) || nd_silence_wait(&silence, began)) {
        do
            got = make_receive(call, 0);
        while (nd_silence_is_cut(&silence, got) && nd_silence_continue(&silence, began));
    }
    if (silence.wait.how == ND_EXPIRED)
        got = nd_receive_expire(call->fd, sock, silence.wait.expiry);
    else if (got > 0 && sock->generation == silence.generation)
        nd_carry_over_end(call->fd, sock, ND_IN);
    else if (got < 0 && errno == ETIMEDOUT && (nd_sock_flags(sock) & ND_SOCK_STREAM))
        nd_expire_by_timer(call->fd, sock, ND_IN, nd_operation_names[ND_OPERATION_recvmmsg]);
    nd_slot_end(&use, nd_wait_outcome(silence.wait.how, got), nd_now_coarse());
    return got;
}

/* Receives the messages that are there, then waits for each of the others by itself, under UNACKED, IDLE, LIFETIME and
 * MIN_RATE. */
static int receive_each(const struct nd_mmsg_call *call) {
    struct nd_receive_call each = {.kind = ND_RECVMSG,
                                   .fd = call->fd,
                                   .flags = call->flags & ~MSG_WAITFORONE,
                                   .many = true,
                                   .caller = call->caller,
                                   .has_time64 = call->has_time64};
    int got = make_receive(call, MSG_DONTWAIT);
    if (got < 0 && !nd_would_block(got))
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

/* RECV, where it bounds the call. */
static nd_time receive_limit(const struct nd_sock *sock) {
    return nd_sock_flags(sock) & (ND_SOCK_RCVTIMEO | ND_SOCK_HANDED_ON) ? nd_sock_recv_limit(sock) : 0;
}

/* Whether each message is waited for by itself, where limits of `ours` need that. A call with a timeout, which the kernel
 * checks after each message, stays whole. */
static bool receives_each(const struct nd_mmsg_call *call, bool ours) {
    return ours && !call->timeout && call->count <= MOST;
}

static bool is_handed_on(const struct nd_sock *sock, nd_time limit) {
    return limit && (nd_sock_flags(sock) & ND_SOCK_HANDED_ON);
}

static int receive_datagrams(const struct nd_mmsg_call *call, struct nd_sock *sock) {
    const bool timeout_pending = (nd_sock_flags(sock) & ND_SOCK_TIMEOUT_PENDING) != 0;
    const nd_time limit = receive_limit(sock);
    int got;
    if (timeout_pending || (call->flags & MSG_DONTWAIT))
        got = make_receive(call, MSG_DONTWAIT);
    else if (nd_observing)
        got = observed_receive(call, sock);
    else if (receives_each(call, is_handed_on(sock, limit)))
        got = receive_each(call);
    else
        got = limit ? receive_limited(call, sock, limit) : make_receive(call, 0);
    if (got > 0)
        nd_datagram_received(call->fd, sock);
    else if (timeout_pending && nd_would_block(got) && nd_pending_timeout_take(call->fd, sock))
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
        return make_receive(call, 0);
    if (sock && has_ended(call, sock, nd_operation_names[ND_OPERATION_recvmmsg]))
        return nd_expired_fail(call->fd, sock, ND_IN);
    if (!sock || call->count == 0 || (call->flags & MSG_OOB)) /* which on a stream never waits */
        return make_receive(call, 0);
    if (nd_observing)
        return observed_receive(call, sock);
    if (nd_unlikely(nd_sock_flags(sock) & ND_SOCK_CONNECTING) && !nd_connect_await(call->fd, sock, ND_IN))
        return -1;
    const nd_time limit = receive_limit(sock);
    const bool gone = nd_gone_first(sock, limit) && (nd_sock_flags(sock) & ND_SOCK_STREAM);
    if (receives_each(call, nd_sock_connection_limited(sock) || gone || is_handed_on(sock, limit)))
        return receive_each(call);
    return limit || gone ? receive_limited(call, sock, limit) : make_receive(call, 0);
}

int nd_recvmmsg(const struct nd_mmsg_call *call) {
    const int saved = errno;
    int got;
    do
        got = receive_bounded(call);
    while (nd_starts_over(got));
    return (int)nd_keep_errno(got, saved);
}
