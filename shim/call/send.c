#include "shim/call/send.h"

#include <errno.h>

#include "shim/hook/hook.h"
#include "shim/limit/carry_over.h"
#include "shim/limit/connection_limits.h"
#include "shim/limit/datagram.h"
#include "shim/limit/expiry.h"
#include "shim/limit/send_space.h"
#include "shim/report/slots.h"
#include "shim/socket/kernel_timers.h"
#include "shim/socket/record.h"
#include "shim/start.h"
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
    if (!call->msg)
        return nd_real.sendto(call->fd, (const char *)call->buf + done, call->len - done, flags, call->to,
                              call->to_len);
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

/* The socket may look writable and yet take nothing (memory pressure, a SEQPACKET larger than the room): do not spin. */
static enum nd_waited breathe(void) {
    return nd_real.poll(NULL, 0, 10) < 0 ? ND_INTERRUPTED : ND_READY;
}

static nd_time soonest(nd_time a, nd_time b, nd_time c) {
    nd_time soon = a < b ? a : b;
    return soon < c ? soon : c;
}

/* What bounds one wait for room. */
struct bounds {
    const struct nd_scope *scope;
    nd_time own, scope_end; /* ND_NEVER where there is none */
    struct nd_room room;
};

/* Whether a limit has fired at `now`; *next is when to look again. */
static bool fired(const struct nd_send_call *call, const struct nd_sock *sock, struct bounds *bounds, nd_time now,
                  struct nd_expiry *expiry, nd_time *next) {
    bool out_of_patience = nd_room_look(call->fd, sock, &bounds->room, now, expiry, next);
    if (bounds->scope && now >= bounds->scope_end) {
        *expiry = nd_scope_expiry(bounds->scope, now);
        return true;
    }
    expiry->operation = bounds->scope ? bounds->scope->operation : name_of(call);
    return out_of_patience;
}

/* The end of a wait as a blocking call would see it; 0 to try again. Bytes that went out already are a success that no signal
 * and no error takes back: the error stays for the next call. */
static int outcome(enum nd_waited waited, const struct bounds *bounds, size_t done) {
    if (waited == ND_INTERRUPTED)
        return done > 0 || bounds->own != ND_NEVER || !nd_signals_restart() ? EINTR : 0;
    return waited == ND_ENDED_STREAM && done > 0 ? EPIPE : 0;
}

static ssize_t failed(const struct nd_send_call *call, struct nd_sock *sock, size_t done) {
    if (errno == ETIMEDOUT)
        nd_expire_by_kernel(call->fd, sock, ND_OUT);
    if (done == 0 && errno != ETIMEDOUT && nd_expired(call->fd, sock))
        return nd_expired_fail(call->fd, sock, ND_OUT);
    return sent_or_fail(done, errno);
}

/* The call ends where the program would see it end, for all that its limits do not. */
static ssize_t in_vain(const struct nd_send_call *call, struct nd_sock *sock, const struct bounds *bounds, size_t done,
                       int error) {
    if (done == 0 && (error == EINTR || error == EAGAIN))
        nd_vain_send(call->fd, sock, &bounds->room, nd_now());
    return sent_or_fail(done, error);
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

/* Waits for room for what is left as a blocking call does, until a limit fires. */
static ssize_t send_waiting(const struct nd_send_call *call, struct nd_sock *sock, size_t done, size_t total,
                            nd_time now) {
    struct bounds bounds = {.scope = nd_sock_flags(sock) & ND_SOCK_SCOPED ? nd_scope_of(call->fd, call->caller) : NULL,
                            .own = nd_timers_own_deadline(call->fd, sock, ND_OUT, now),
                            .room = nd_vain_room(call->fd, sock, now)};
    bounds.scope_end = nd_scope_end(bounds.scope);
    const struct nd_sock_hold hold = nd_sock_take(call->fd, sock);
    while (done < total) {
        struct nd_expiry expiry;
        nd_time next;
        if (fired(call, sock, &bounds, now, &expiry, &next))
            return expire(call, sock, &expiry, done);
        if (now >= bounds.own)
            return in_vain(call, sock, &bounds, done, EAGAIN);
        sock->stuck++;
        nd_time until = soonest(next, bounds.own, bounds.scope_end);
        enum nd_waited waited = nd_wait_paced(call->fd, sock, POLLOUT, until, &expiry);
        int error = outcome(waited, &bounds, done);
        if (!nd_sock_held(call->fd, sock, &hold))
            return sent_or_fail(done, EBADF); /* the number is a stranger's now */
        sock->stuck--;
        if (waited == ND_EXPIRED) {
            expiry.operation = name_of(call);
            return expire(call, sock, &expiry, done);
        }
        if (error)
            return in_vain(call, sock, &bounds, done, error);
        if ((nd_sock_flags(sock) & ND_SOCK_EXPIRED) && nd_expired(call->fd, sock)) /* by another thread: no SIGPIPE */
            return done > 0 ? (ssize_t)done : nd_expired_fail(call->fd, sock, ND_OUT);
        const size_t before = done;
        ssize_t sent = waited == ND_READY || waited == ND_ENDED_STREAM ? fill(call, sock, &done, total) : 0;
        now = nd_now();
        if (done > before)
            bounds.room.progress = now;
        if (done > before && (sent > 0 || nd_would_block(sent)))
            continue;
        if (nd_would_block(sent)) {
            error = outcome(breathe(), &bounds, done);
            if (error)
                return in_vain(call, sock, &bounds, done, error);
        } else if (sent < 0) {
            return failed(call, sock, done);
        }
    }
    return (ssize_t)done;
}

/* The limit that bounds a wait for room, and where that ends at the earliest. */
static enum nd_limit room_limit(const struct nd_sock *sock, nd_time now, nd_time *deadline) {
    nd_time send = nd_sock_send_limit(sock), unacked = nd_sock_limits(sock)->unacked;
    bool by_send = send && (!unacked || send <= unacked);
    *deadline = by_send || unacked ? nd_time_after(now, by_send ? send : unacked) : ND_NEVER;
    return by_send ? ND_LIMIT_SEND : unacked ? ND_LIMIT_UNACKED : ND_LIMIT_NONE;
}

/* There was no room for everything. */
static ssize_t send_rest(const struct nd_send_call *call, struct nd_sock *sock, size_t done, size_t total) {
    struct nd_slot_use use;
    if (done > 0) {
        const ssize_t sent = fill(call, sock, &done, total);
        if (done == total || !nd_would_block(sent))
            return sent < 0 ? failed(call, sock, done) : (ssize_t)done;
    }
    nd_time now = nd_now(), deadline;
    enum nd_limit limit = room_limit(sock, now, &deadline);
    const struct nd_scope *scope = nd_sock_flags(sock) & ND_SOCK_SCOPED ? nd_scope_of(call->fd, call->caller) : NULL;
    if (scope && scope->timeout) /* noted as a whole */
        return send_waiting(call, sock, done, total, now);
    nd_slot_begin(&use, operation_of(call), call->fd, now, deadline, nd_limit_of(sock, limit));
    ssize_t sent = send_waiting(call, sock, done, total, now);
    nd_slot_end(&use, nd_sock_flags(sock) & ND_SOCK_EXPIRED ? ND_SLOT_EXPIRED : nd_slot_how(sent), nd_now());
    return sent;
}

/* MODE=observe: UNACKED is not told, since nobody looks at the peer while the kernel waits. */
static ssize_t send_observed(const struct nd_send_call *call, struct nd_sock *sock) {
    struct nd_slot_use use;
    nd_time began = nd_now();
    nd_slot_begin(&use, operation_of(call), call->fd, began, ND_NEVER, nd_limit_of(sock, ND_LIMIT_SEND));
    ssize_t result = nd_send_plain(call);
    nd_slot_end(&use, nd_slot_how(result), nd_now());
    nd_expire_observed(call->fd, name_of(call), ND_LIMIT_NAME(sock, "SEND"), nd_sock_send_limit(sock), began);
    nd_pace_observed(call->fd, sock, name_of(call), began);
    return result;
}

static bool waits_for_room(const struct nd_send_call *call, const struct nd_sock *sock) {
    uint32_t flags = nd_sock_flags(sock);
    if ((flags & ND_SOCK_NONBLOCK) || (call->flags & (ND_SEND_WHOLE | MSG_DONTWAIT)) || (!call->msg && call->len == 0))
        return false;
    return nd_sock_room_limited(sock) || nd_sock_paced(sock) || (flags & ND_SOCK_SCOPED);
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
            nd_sock_forget(call->fd); /* the number was given to something else where no hook saw it */
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
    struct nd_sock *sock = nd_sock_peek(call->fd);
    if (!sock)
        return nd_send_plain(call);
    nd_timers_refresh(call->fd, sock);
    if (!(nd_watch_exact(call->fd) & ND_WATCH_OUT))
        return nd_send_plain(call);
    if (nd_sock_flags(sock) & ND_SOCK_SOUGHT)
        nd_scope_touched(call->fd, sock);
    uint32_t flags = nd_sock_flags(sock);
    if (((flags & ND_SOCK_EXPIRED) && nd_expired(call->fd, sock)) || nd_pace_outlived(call->fd, sock, name_of(call)))
        return nd_expired_fail(call->fd, sock, ND_OUT); /* before the kernel can raise SIGPIPE */
    if (flags & ND_SOCK_BORROWED)
        nd_timers_give_back(call->fd, sock);
    if (!waits_for_room(call, sock))
        return send_unlimited(call, sock);
    if (nd_observing)
        return send_observed(call, sock);
    return send_on(call, sock, without_waiting(call, sock, 0));
}

/* A call that succeeds leaves errno as it was, whatever it went through. */
static ssize_t finish(const struct nd_send_call *call, ssize_t result, int error_before) {
    struct nd_sock *sock = result >= 0 ? nd_sock_peek(call->fd) : NULL;
    if (sock && nd_unlikely(nd_sock_is_datagram(sock))) {
        const struct msghdr *msg = call->msg;
        nd_datagram_sent(call->fd, sock, msg ? msg->msg_name : call->to, msg ? msg->msg_namelen : call->to_len);
    } else if (sock && result > 0) {
        nd_sock_said(sock);
        nd_pace_count(sock, (size_t)result);
        nd_vain_end(call->fd, sock, ND_OUT);
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
    struct nd_sock *sock = nd_sock_peek(call->fd);
    if (!sock)
        return sent < 0 ? nd_send_plain(call) : sent;
    ssize_t result = checked(call, sock, 0, call->flags | (tried ? MSG_DONTWAIT : 0), sent);
    if (tried || (result < 0 && errno == ENOTSOCK))
        result = send_on(call, sock, result);
    return finish(call, result, error_before);
}
