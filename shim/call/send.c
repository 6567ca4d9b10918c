#include "shim/call/send.h"

#include <errno.h>
#include <poll.h>

#include "base/clock.h"
#include "base/compiler.h"
#include "shim/limit/carry_over.h"
#include "shim/limit/connection_limits.h"
#include "shim/limit/datagram.h"
#include "shim/limit/expiry.h"
#include "shim/limit/observe.h"
#include "shim/limit/send_space.h"
#include "shim/mode.h"
#include "shim/real.h"
#include "shim/report/slots.h"
#include "shim/socket/ended.h"
#include "shim/socket/kernel_timers.h"
#include "shim/socket/limits.h"
#include "shim/socket/record.h"
#include "shim/tls/innermost.h"
#include "shim/tls/scope.h"
#include "shim/wait/signals.h"
#include "shim/wait/wait.h"

_Static_assert(ND_OPERATION_write + ND_WRITEV == ND_OPERATION_writev &&
                   ND_OPERATION_write + ND_SEND == ND_OPERATION_send &&
                   ND_OPERATION_write + ND_SENDTO == ND_OPERATION_sendto &&
                   ND_OPERATION_write + ND_SENDMSG == ND_OPERATION_sendmsg,
               "operations.def has the order of enum nd_send_kind");

static enum nd_call operation_of(const struct nd_send_call *call) {
    return call->many ? ND_OPERATION_sendmmsg : (enum nd_call)(ND_OPERATION_write + call->kind);
}

static const char *name_of(const struct nd_send_call *call) {
    return nd_operation_names[operation_of(call)];
}

ssize_t nd_send_plain(const struct nd_send_call *call) {
    switch (call->kind) {
    case ND_WRITE:
        return nd_real.write(call->fd, call->buf, call->len);
    case ND_WRITEV:
        return nd_real.writev(call->fd, call->msg->msg_iov, (int)call->msg->msg_iovlen); // NOLINT: it has one
    case ND_SEND:
        return nd_real.send(call->fd, call->buf, call->len, call->flags);
    case ND_SENDTO:
        return nd_real.sendto(call->fd, call->buf, call->len, call->flags, call->to, call->to_len);
    default:
        return nd_real.sendmsg(call->fd, call->msg, call->flags);
    }
}

size_t nd_send_total(const struct nd_send_call *call) {
    if (!call->msg)
        return call->len;
    size_t total = 0;
    for (size_t i = 0; i < call->msg->msg_iovlen; i++)
        total += call->msg->msg_iov[i].iov_len;
    return total;
}

/* What of a message's ancillary data the rest of it must carry too: descriptors and credentials go with the first byte only, a
 * record type (kernel TLS) with every piece. */
static void add_control(const struct msghdr *msg, struct msghdr *rest) {
    const struct cmsghdr *first = CMSG_FIRSTHDR(msg);
    if (first && first->cmsg_level != SOL_SOCKET) {
        rest->msg_control = msg->msg_control;
        rest->msg_controllen = msg->msg_controllen;
    }
}

/* Sends what is left after `done` bytes, as much as there is room for. */
static ssize_t send_now(const struct nd_send_call *call, size_t done, int flags) {
    const char *const rest_of_bytes = (const char *)call->buf + done;
    if (!call->msg && call->kind != ND_SENDTO) /* a wrapper's sendto may be made of send, and the other way round */
        return nd_real.send(call->fd, rest_of_bytes, call->len - done, flags);
    if (!call->msg)
        return nd_real.sendto(call->fd, rest_of_bytes, call->len - done, flags, call->to, call->to_len);
    if (done == 0)
        return nd_real.sendmsg(call->fd, call->msg, flags);
    size_t i = 0;
    const struct iovec *iov = call->msg->msg_iov;
    while (i < call->msg->msg_iovlen && done >= iov[i].iov_len)
        done -= iov[i++].iov_len;
    struct msghdr rest = {.msg_name = call->msg->msg_name,
                          .msg_namelen = call->msg->msg_namelen,
                          .msg_iov = call->msg->msg_iov + i,
                          .msg_iovlen = call->msg->msg_iovlen - i};
    struct iovec part;
    add_control(call->msg, &rest);
    if (done > 0) { /* a buffer that went out in part; what follows it is still to come */
        part = (struct iovec){(char *)iov[i].iov_base + done, iov[i].iov_len - done};
        flags |= rest.msg_iovlen > 1 ? MSG_MORE : 0;
        rest.msg_iov = &part;
        rest.msg_iovlen = 1;
    }
    return nd_real.sendmsg(call->fd, &rest, flags);
}

/* What an attempt has given: without a signal for a stream that a deadline ended elsewhere, or after bytes that the call has
 * sent. Anywhere else the kernel raises SIGPIPE when it is asked once more. */
static ssize_t checked(const struct nd_send_call *call, struct nd_sock *sock, size_t done, int flags, ssize_t sent) {
    if (sent >= 0 || !nd_is_end(errno))
        return sent;
    if (nd_expired_anywhere(call->fd, sock))
        return done > 0 ? sent : nd_expired_fail(call->fd, sock, ND_OUT);
    return errno == EPIPE && done == 0 && !(flags & MSG_NOSIGNAL) ? send_now(call, done, flags) : sent;
}

static ssize_t send_checked(const struct nd_send_call *call, struct nd_sock *sock, size_t done, int flags) {
    return checked(call, sock, done, flags, send_now(call, done, flags | MSG_NOSIGNAL));
}

static ssize_t without_waiting(const struct nd_send_call *call, struct nd_sock *sock, size_t done) {
    return send_checked(call, sock, done, call->flags | MSG_DONTWAIT);
}

static ssize_t sent_or_fail(size_t done, int error) {
    if (done > 0)
        return (ssize_t)done;
    errno = error;
    return -1;
}

static ssize_t expire(const struct nd_send_call *call, struct nd_sock *sock, const struct nd_expiry *expiry,
                      size_t done) {
    nd_expire_stream(call->fd, sock, expiry);
    return done > 0 ? (ssize_t)done : nd_expired_fail(call->fd, sock, ND_OUT);
}

/* A call that waits for space in the send buffer. */
struct send_wait {
    struct nd_wait wait; /* first: what nd_wait_for gives back is this */
    const struct nd_send_call *call;
    const struct nd_scope *scope; /* the TLS operation that bounds it, or NULL */
    struct nd_send_space space;
};

/* SEND and UNACKED, and what is left of the TLS operation. */
static bool fired(struct nd_wait *wait, nd_time now, nd_time *next) {
    struct send_wait *this = (struct send_wait *)wait;
    const struct nd_scope *scope = this->scope;
    const nd_time end = nd_scope_end(scope);
    const bool expired = nd_send_space_check(wait->fd, wait->sock, &this->space, now, &wait->expiry, next);
    if (now >= end) {
        wait->expiry = nd_scope_expiry(scope, now);
        return true;
    }
    *next = nd_time_sooner(*next, end);
    wait->expiry.operation = scope ? scope->operation : name_of(this->call);
    return expired;
}

static ssize_t failed(const struct nd_send_call *call, struct nd_sock *sock, size_t done) {
    if (errno == ETIMEDOUT)
        nd_expire_by_kernel(call->fd, sock, ND_OUT);
    if (done == 0 && errno != ETIMEDOUT && nd_expired(call->fd, sock))
        return nd_expired_fail(call->fd, sock, ND_OUT);
    return sent_or_fail(done, errno);
}

/* What there is room for now. The kernel's own wait looks again each time that it has filled the room: what it has just sent may
 * have freed some, less than the third that poll calls room. So does this, until there is none. Returns what the last attempt gave
 * if that was not bytes. */
static ssize_t fill(const struct nd_send_call *call, struct nd_sock *sock, size_t *done, size_t total) {
    ssize_t sent = 1;
    while (sent > 0 && *done < total) {
        sent = without_waiting(call, sock, *done);
        *done += sent > 0 ? (size_t)sent : 0;
    }
    return sent;
}

/* The wait has ended without space: what the program should get. Bytes that went out are a success that neither a signal nor an error
 * takes back: the error stays for the next call. */
static ssize_t give_up(struct send_wait *this, size_t done) {
    struct nd_wait *wait = &this->wait;
    const int error = errno;
    if (wait->how == ND_EXPIRED) {
        if (!wait->expiry.operation)
            wait->expiry.operation = name_of(this->call);
        return expire(this->call, wait->sock, &wait->expiry, done);
    }
    if (done == 0 && (wait->how == ND_INTERRUPTED || wait->how == ND_OWN_TIMEOUT))
        nd_carry_over_send(wait->fd, wait->sock, &this->space, nd_now());
    return sent_or_fail(done, error);
}

/* The kernel does not wait for us (a filter denies poll and select): the call goes on unbounded, as it is. */
static ssize_t send_unbounded(const struct nd_send_call *call, struct nd_sock *sock, size_t done) {
    const ssize_t sent = done > 0 ? send_checked(call, sock, done, call->flags) : nd_send_plain(call);
    return sent < 0 ? failed(call, sock, done) : (ssize_t)done + sent;
}

/* Waits for space for what is left as a blocking call does, until a limit fires. */
static ssize_t send_waiting(struct send_wait *this, size_t done, size_t total) {
    const struct nd_send_call *call = this->call;
    struct nd_wait *wait = &this->wait;
    struct nd_sock *sock = wait->sock;
    nd_wait_begin(wait);
    while (done < total) {
        wait->moved = done > 0;
        sock->blocked_senders++;
        const enum nd_waited waited = nd_wait_for(wait);
        if (waited != ND_REPLACED)
            sock->blocked_senders--;
        if (waited == ND_UNPOLLABLE)
            return send_unbounded(call, sock, done);
        if (waited != ND_READY && waited != ND_ENDED_STREAM)
            return give_up(this, done);
        if (waited == ND_ENDED_STREAM && done > 0)
            return (ssize_t)done;
        if ((nd_sock_flags(sock) & ND_SOCK_EXPIRED) && nd_expired(call->fd, sock)) /* by another thread: no SIGPIPE */
            return done > 0 ? (ssize_t)done : nd_expired_fail(call->fd, sock, ND_OUT);
        const size_t before = done;
        const ssize_t sent = fill(call, sock, &done, total);
        if (sent < 0 && !nd_would_block(sent))
            return failed(call, sock, done);
        if (done > before) {
            this->space.progress = nd_now();
            nd_wait_progress(wait);
        }
    }
    return (ssize_t)done;
}

/* The limit that bounds a wait for room, and where that ends at the earliest. */
static enum nd_limit space_limit(const struct nd_sock *sock, nd_time now, nd_time *deadline) {
    nd_time send = nd_sock_send_limit(sock), unacked = nd_sock_limits(sock)->unacked;
    bool by_send = send && (!unacked || send <= unacked);
    *deadline = by_send || unacked ? nd_time_after(now, by_send ? send : unacked) : ND_NEVER;
    return by_send ? ND_LIMIT_SEND : unacked ? ND_LIMIT_UNACKED : ND_LIMIT_NONE;
}

/* There was no space for everything. */
static ssize_t send_rest(const struct nd_send_call *call, struct nd_sock *sock, size_t done, size_t total) {
    struct nd_slot_use use;
    if (done > 0) {
        const ssize_t sent = fill(call, sock, &done, total);
        if (done == total || !nd_would_block(sent))
            return sent < 0 ? failed(call, sock, done) : (ssize_t)done;
    }
    nd_time now = nd_now(), deadline;
    const enum nd_limit limit = space_limit(sock, now, &deadline);
    struct send_wait this = {
        .wait = {.fd = call->fd,
                 .sock = sock,
                 .events = POLLOUT,
                 .own = nd_kernel_timers_own_deadline(call->fd, sock, ND_OUT, now),
                 .fired = fired},
        .call = call,
        .scope = nd_sock_flags(sock) & ND_SOCK_SCOPED ? nd_scope_of(call->fd, call->caller) : NULL,
        .space = nd_carried_over_send(call->fd, sock, now),
    };
    if (this.scope && this.scope->timeout) /* noted as a whole */
        return send_waiting(&this, done, total);
    nd_slot_begin(&use, operation_of(call), call->fd, now, deadline, nd_limit_of(sock, limit));
    ssize_t sent = send_waiting(&this, done, total);
    nd_slot_end(&use, nd_sock_flags(sock) & ND_SOCK_EXPIRED ? ND_SLOT_EXPIRED : nd_wait_outcome(this.wait.how),
                nd_now());
    return sent;
}

/* MODE=observe: UNACKED is not reported, since nobody looks at the peer while the kernel waits. */
static ssize_t send_observed(const struct nd_send_call *call, struct nd_sock *sock) {
    struct nd_observe observe;
    nd_observe_begin(&observe, operation_of(call), call->fd, sock, ND_LIMIT_SEND);
    ssize_t result = nd_send_plain(call);
    nd_observe_end(&observe, result, (struct nd_expiry){.timeout = nd_sock_send_limit(sock)});
    return result;
}

static bool waits_for_room(const struct nd_send_call *call, const struct nd_sock *sock) {
    uint32_t flags = nd_sock_flags(sock);
    if ((flags & ND_SOCK_NONBLOCK) || (call->flags & (ND_SEND_WHOLE | MSG_DONTWAIT)) || (!call->msg && call->len == 0))
        return false;
    return nd_sock_send_space_limited(sock) || nd_sock_connection_limited(sock) || (flags & ND_SOCK_SCOPED);
}

/* Nothing bounds the call here, but the stream may have been ended elsewhere. */
static ssize_t send_unlimited(const struct nd_send_call *call, struct nd_sock *sock) {
    if (!(nd_sock_flags(sock) & ND_SOCK_STREAM) || (!call->msg && call->len == 0))
        return nd_send_plain(call);
    ssize_t sent = send_checked(call, sock, 0, call->flags);
    return sent < 0 && errno == ENOTSOCK ? nd_send_plain(call) : sent;
}

/* Goes on from what the first attempt, without waiting, has given. */
static ssize_t send_on(const struct nd_send_call *call, struct nd_sock *sock, ssize_t sent) {
    size_t total = sent >= 0 ? nd_send_total(call) : 0; /* not before: the kernel answers a bad address with EFAULT */
    if (sent >= 0 && (size_t)sent == total)
        return sent;
    if (sent < 0 && (errno == ENOTSOCK || errno == EMSGSIZE || errno == EOPNOTSUPP)) {
        if (errno == ENOTSOCK)
            nd_sock_clear(call->fd); /* the number was given to something else where no hook saw it */
        return nd_send_plain(call);
    }
    if (sent < 0 && errno == ETIMEDOUT)
        nd_expire_by_kernel(call->fd, sock, ND_OUT);
    if ((sent < 0 && !nd_would_block(sent)) || nd_nonblocking(call->fd))
        return sent;
    total = nd_send_total(call);
    return total > 0 ? send_rest(call, sock, sent > 0 ? (size_t)sent : 0, total) : nd_send_plain(call);
}

static ssize_t send_bounded(const struct nd_send_call *call) {
    struct nd_sock *sock = nd_sock_lookup(call->fd);
    if (!sock)
        return nd_send_plain(call);
    nd_kernel_timers_refresh(call->fd, sock);
    if (!(nd_watch_exact(call->fd) & ND_WATCH_OUT))
        return nd_send_plain(call);
    if (nd_sock_flags(sock) & ND_SOCK_TLS_CANDIDATE)
        nd_scope_touched(call->fd, sock);
    uint32_t flags = nd_sock_flags(sock);
    if (((flags & ND_SOCK_EXPIRED) && nd_expired(call->fd, sock)) ||
        nd_connection_limits_outlived(call->fd, sock, name_of(call)))
        return nd_expired_fail(call->fd, sock, ND_OUT); /* before the kernel can raise SIGPIPE */
    if (flags & ND_SOCK_BORROWED)
        nd_kernel_timers_give_back(call->fd, sock);
    if (!waits_for_room(call, sock))
        return send_unlimited(call, sock);
    if (nd_observing)
        return send_observed(call, sock);
    return send_on(call, sock, without_waiting(call, sock, 0));
}

/* A call that succeeds leaves errno as it was, whatever it went through. */
static ssize_t finish(const struct nd_send_call *call, ssize_t result, int error_before) {
    struct nd_sock *sock = result >= 0 ? nd_sock_lookup(call->fd) : NULL;
    if (sock && nd_unlikely(nd_sock_is_datagram(sock))) {
        const struct msghdr *msg = call->msg;
        nd_datagram_sent(call->fd, sock, msg ? msg->msg_name : call->to, msg ? msg->msg_namelen : call->to_len);
    } else if (sock && result > 0) {
        nd_sock_sent(sock);
        nd_connection_limits_count(sock, (size_t)result);
        nd_carry_over_end(call->fd, sock, ND_OUT);
    }
    if (result >= 0)
        errno = error_before;
    return result;
}

ssize_t nd_send(const struct nd_send_call *call) {
    int saved = errno;
    return finish(call, send_bounded(call), saved);
}

ssize_t nd_send_rest(const struct nd_send_call *call, bool tried, ssize_t sent, int error_before) {
    struct nd_sock *sock = nd_sock_lookup(call->fd);
    if (!sock)
        return sent < 0 ? nd_send_plain(call) : sent;
    ssize_t result = checked(call, sock, 0, call->flags | (tried ? MSG_DONTWAIT : 0), sent);
    if (tried || (result < 0 && errno == ENOTSOCK))
        result = send_on(call, sock, result);
    return finish(call, result, error_before);
}
