#include "shim/call/send.h"

#include <poll.h>

#include "base/compiler.h"
#include "shim/call/connect.h"
#include "shim/call/send_remainder.h"
#include "shim/limit/carry_over.h"
#include "shim/limit/datagram.h"
#include "shim/limit/observe.h"
#include "shim/message.h"
#include "shim/mode.h"
#include "shim/real.h"
#include "shim/socket/ended.h"
#include "shim/socket/kernel_timers.h"
#include "shim/socket/limits.h"
#include "shim/tls/innermost.h"
#include "shim/wait/wait.h"

_Static_assert(ND_OPERATION_write + ND_WRITEV == ND_OPERATION_writev &&
                   ND_OPERATION_write + ND_SEND == ND_OPERATION_send &&
                   ND_OPERATION_write + ND_SENDTO == ND_OPERATION_sendto &&
                   ND_OPERATION_write + ND_SENDMSG == ND_OPERATION_sendmsg,
               "operations.def has the order of enum nd_send_kind");

static enum nd_call operation_of(const struct nd_send_call *call) {
    return call->many ? ND_OPERATION_sendmmsg : (enum nd_call)(ND_OPERATION_write + call->kind);
}

ssize_t nd_send_plain(const struct nd_send_call *call) {
    switch (call->kind) {
    case ND_WRITE:
        return nd_real.write(call->fd, call->buf, call->len);
    case ND_WRITEV:
        return nd_real.writev(call->fd, call->msg->msg_iov, (int)nd_message_buffers(call->msg)); // NOLINT: it has one
    case ND_SEND:
        return nd_real.send(call->fd, call->buf, call->len, call->flags);
    case ND_SENDTO:
        return nd_real.sendto(call->fd, call->buf, call->len, call->flags, call->to, call->to_len);
    default:
        return nd_send_message(call, call->msg, call->flags);
    }
}

size_t nd_send_total(const struct nd_send_call *call) {
    if (!call->msg)
        return call->len;
    size_t total = 0;
    for (size_t i = 0; i < nd_message_buffers(call->msg); i++)
        total += call->msg->msg_iov[i].iov_len;
    return total;
}

/* Makes the call for the bytes after the first `done`. */
static ssize_t send_now(const struct nd_send_call *call, size_t done, int flags) {
    if (done > 0)
        return nd_send_remainder(call, done, flags);
    if (call->msg)
        return nd_send_message(call, call->msg, flags);
    if (call->kind == ND_SENDTO) /* a wrapper's sendto may be made of send, and the other way round */
        return nd_real.sendto(call->fd, call->buf, call->len, flags, call->to, call->to_len);
    return nd_real.send(call->fd, call->buf, call->len, flags);
}

/* An attempt with MSG_NOSIGNAL has returned `sent`. Returns what the program gets: no SIGPIPE for a stream that a
 * deadline ended in another process, nor where the call has sent bytes. Else the attempt is repeated without
 * MSG_NOSIGNAL, for the kernel's SIGPIPE. */
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

static ssize_t sent_or_fail(size_t done, int error) {
    if (done > 0)
        return (ssize_t)done;
    errno = error;
    return -1;
}

/* A call that waits for space in the send buffer. */
struct send_wait {
    struct nd_wait wait; /* first: the function `fired` casts back */
    const struct nd_send_call *call;
    struct nd_scope *scope; /* the TLS operation that bounds it, or NULL */
    struct nd_send_space space;
    const struct nd_slot_use *use; /* its slot; NULL where the TLS operation has one */
};

/* SEND and UNACKED, and what is left of the TLS operation. */
static bool fired(struct nd_wait *wait, nd_time now, nd_time *next) {
    struct send_wait *this = (struct send_wait *)wait;
    const struct nd_scope *scope = this->scope;
    const nd_time end = nd_scope_end(scope);
    const bool expired = nd_send_space_check(wait->fd, wait->sock, &this->space, now, &wait->expiry, next);
    if (this->use)
        nd_send_space_show(wait->sock, &this->space, this->use);
    if (now >= end) {
        wait->expiry = nd_scope_expiry(scope, now);
        return true;
    }
    *next = nd_time_sooner(*next, end);
    if (scope)
        wait->expiry.operation = scope->operation;
    return expired;
}

static ssize_t failed(const struct nd_send_call *call, struct nd_sock *sock, size_t done) {
    if (errno == ETIMEDOUT)
        nd_expire_by_timer(call->fd, sock, ND_OUT, nd_operation_names[operation_of(call)]);
    if (done == 0 && errno != ETIMEDOUT && nd_expired(call->fd, sock))
        return nd_expired_fail(call->fd, sock, ND_OUT);
    return sent_or_fail(done, errno);
}

/* Sends until the send buffer is full. A blocking call in the kernel tries again each time it has filled the buffer,
 * since what it has just sent may have freed less space than the third of the buffer that poll requires; so does this.
 * Returns what the last attempt returned. */
static ssize_t fill(const struct nd_send_call *call, struct nd_sock *sock, size_t *done, size_t total) {
    ssize_t sent = 1;
    while (sent > 0 && *done < total) {
        sent = send_checked(call, sock, *done, call->flags | MSG_DONTWAIT);
        *done += sent > 0 ? (size_t)sent : 0;
    }
    return sent;
}

/* The wait has ended without space: returns what the program gets. A call that has sent bytes succeeds whatever ends
 * it; an error stays for the next call. */
static ssize_t give_up(struct send_wait *this, size_t done) {
    struct nd_wait *wait = &this->wait;
    const int error = errno;
    if (wait->how == ND_EXPIRED) {
        nd_expire_stream(wait->fd, wait->sock, &wait->expiry);
        return done > 0 ? (ssize_t)done : nd_expired_fail(wait->fd, wait->sock, ND_OUT);
    }
    if (done == 0 && (wait->how == ND_INTERRUPTED || wait->how == ND_OWN_TIMEOUT || wait->how == ND_WOKEN))
        nd_carry_over_send(wait->fd, wait->sock, &this->space, nd_now());
    return sent_or_fail(done, error);
}

/* A filter was installed while the call waited: it goes on, unbounded. */
static ssize_t send_under_filter(const struct nd_send_call *call, size_t done) {
    const size_t total = nd_send_total(call);
    ssize_t sent = 0;
    while (done < total && (sent = done > 0 ? nd_send_remainder_plainly(call, done) : nd_send_plain(call)) > 0)
        done += (size_t)sent;
    return sent < 0 ? sent_or_fail(done, errno) : (ssize_t)done;
}

/* A filter denies poll and select: the rest of the call is made as a blocking one, unbounded. */
static ssize_t send_unbounded(const struct nd_send_call *call, struct nd_sock *sock, size_t done) {
    if (!nd_active)
        return send_under_filter(call, done);
    const ssize_t sent = done > 0 ? send_checked(call, sock, done, call->flags) : nd_send_plain(call);
    return sent < 0 ? failed(call, sock, done) : (ssize_t)done + sent;
}

/* Waits for space and sends, as a blocking call does, until all is sent or a limit fires. */
static ssize_t send_waiting(struct send_wait *this, size_t done, size_t total) {
    const struct nd_send_call *call = this->call;
    struct nd_wait *wait = &this->wait;
    struct nd_sock *sock = wait->sock;
    nd_wait_begin(wait);
    while (done < total) {
        wait->moved = done > 0;
        wait->anew = this->scope && done == 0;
        sock->blocked_senders++;
        const enum nd_waited waited = nd_wait_for(wait);
        if (sock->generation == wait->hold.generation)
            sock->blocked_senders--;
        if (waited == ND_UNPOLLABLE)
            return send_unbounded(call, sock, done);
        if (waited != ND_READY && waited != ND_ENDED_STREAM)
            return give_up(this, done);
        if (waited == ND_ENDED_STREAM && done > 0)
            return (ssize_t)done;
        if ((nd_sock_flags(sock) & ND_SOCK_EXPIRED) &&
            nd_expired(call->fd, sock)) /* by another thread; prevents SIGPIPE */
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

static ssize_t send_bounded(const struct nd_send_call *call);

/* The send buffer had no space for everything. */
static ssize_t send_rest(const struct nd_send_call *call, struct nd_sock *sock, size_t done, size_t total) {
    struct nd_slot_use use;
    if (done > 0) {
        const ssize_t sent = fill(call, sock, &done, total);
        if (done == total || !nd_would_block(sent))
            return sent < 0 ? failed(call, sock, done) : (ssize_t)done;
    }
    nd_time now = nd_now();
    struct send_wait this = {
        .wait = {.operation = operation_of(call),
                 .fd = call->fd,
                 .sock = sock,
                 .events = POLLOUT,
                 .own = nd_kernel_timers_own_deadline(call->fd, sock, ND_OUT, now),
                 .fired = fired},
        .call = call,
        .scope = nd_sock_flags(sock) & ND_SOCK_SCOPED ? nd_scope_of(call->fd, call->caller) : NULL,
        .space = nd_carried_over_send(call->fd, sock, now),
    };
    if (this.scope && this.scope->timeout) { /* the TLS operation has the slot */
        nd_scope_run(this.scope, now);
        const ssize_t result = send_waiting(&this, done, total);
        nd_scope_stand(this.scope, nd_now());
        return nd_starts_over(result) ? send_bounded(call) : result;
    }
    nd_slot_begin(&use, operation_of(call), call->fd, now, ND_NEVER, ND_LIMIT_NONE);
    this.use = &use;
    ssize_t sent = send_waiting(&this, done, total);
    nd_slot_end(&use, nd_sock_flags(sock) & ND_SOCK_EXPIRED ? ND_SLOT_EXPIRED : nd_wait_outcome(this.wait.how, sent),
                nd_now());
    return sent;
}

static bool waits_for_space(const struct nd_send_call *call, const struct nd_sock *sock) {
    uint32_t flags = nd_sock_flags(sock);
    if ((call->flags & ND_SEND_WHOLE) || (flags & ND_SOCK_NONBLOCK) || (call->flags & MSG_DONTWAIT) ||
        (!call->msg && call->len == 0))
        return false;
    return nd_sock_send_space_limited(sock) || nd_sock_connection_limited(sock) || (flags & ND_SOCK_SCOPED);
}

/* No limit bounds the call, but another process may have ended the stream. */
static ssize_t send_unlimited(const struct nd_send_call *call, struct nd_sock *sock) {
    if (!(nd_sock_flags(sock) & ND_SOCK_STREAM) || (!call->msg && call->len == 0))
        return nd_send_plain(call);
    ssize_t sent = send_checked(call, sock, 0, call->flags);
    return sent < 0 && errno == ENOTSOCK ? nd_send_plain(call) : sent;
}

/* Continues after the first attempt, with MSG_DONTWAIT, which has returned `sent`. */
static ssize_t send_continue(const struct nd_send_call *call, struct nd_sock *sock, ssize_t sent) {
    size_t total = sent >= 0 ? nd_send_total(call) : 0; /* only then the iovecs are known to be readable */
    if (sent >= 0 && (size_t)sent == total)
        return sent;
    if (sent < 0 && (errno == ENOTSOCK || errno == EMSGSIZE || errno == EOPNOTSUPP)) {
        if (errno == ENOTSOCK)
            nd_sock_clear_stale(call->fd); /* unseen by the hooks, the number was given to another file */
        return nd_send_plain(call);
    }
    if (sent < 0 && errno == ETIMEDOUT)
        nd_expire_by_timer(call->fd, sock, ND_OUT, nd_operation_names[operation_of(call)]);
    if ((sent < 0 && !nd_would_block(sent)) || nd_nonblocking(call->fd))
        return sent;
    total = nd_send_total(call);
    return total > 0 ? send_rest(call, sock, sent > 0 ? (size_t)sent : 0, total) : nd_send_plain(call);
}

/* MODE=observe: UNACKED is not reported, since nothing checks the peer while the kernel waits. A call that the command
 * has woken goes on for the rest, under the settings that hold now. */
static ssize_t send_observed(const struct nd_send_call *call, struct nd_sock *sock) {
    struct nd_observe observe;
    struct nd_scope *scope = nd_sock_flags(sock) & ND_SOCK_SCOPED ? nd_scope_of(call->fd, call->caller) : NULL;
    nd_observe_begin(&observe, operation_of(call), call->fd, sock, ND_LIMIT_SEND);
    if (scope)
        nd_scope_run(scope, nd_now());
    ssize_t result = nd_send_plain(call);
    if (scope)
        nd_scope_stand(scope, nd_now());
    const bool is_part = result > 0 && nd_slots_woken();
    nd_observe_end(&observe, result, (struct nd_expiry){0});
    return is_part ? send_continue(call, sock, result) : result;
}

static ssize_t connecting_send(const void *call) {
    return nd_send_plain(call);
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
        nd_connection_limits_outlived(call->fd, sock, nd_operation_names[operation_of(call)]))
        return nd_expired_fail(call->fd, sock, ND_OUT); /* prevents SIGPIPE */
    if (flags & ND_SOCK_BORROWED)
        nd_kernel_timers_give_back(call->fd, sock);
    if (nd_unlikely(sock->deferred))
        return nd_connect_deferred(call->fd, sock, !(call->flags & MSG_DONTWAIT), connecting_send, call);
    if (nd_unlikely(flags & ND_SOCK_CONNECTING) && !(call->flags & MSG_DONTWAIT) &&
        !nd_connect_await(call->fd, sock, ND_OUT))
        return -1;
    if (!waits_for_space(call, sock))
        return send_unlimited(call, sock);
    if (nd_observing)
        return send_observed(call, sock);
    return send_continue(call, sock, send_checked(call, sock, 0, call->flags | MSG_DONTWAIT));
}

/* The call has returned `result`. */
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
    return nd_keep_errno(result, error_before);
}

ssize_t nd_send(const struct nd_send_call *call) {
    int saved = errno;
    ssize_t result = send_bounded(call);
    while (nd_starts_over(result))
        result = send_bounded(call);
    return finish(call, result, saved);
}

ssize_t nd_send_rest(const struct nd_send_call *call, bool tried, ssize_t sent, int error_before) {
    struct nd_sock *sock = nd_sock_lookup(call->fd);
    if (!sock)
        return sent < 0 ? nd_send_plain(call) : sent;
    ssize_t result = checked(call, sock, 0, call->flags | (tried ? MSG_DONTWAIT : 0), sent);
    if (tried || (result < 0 && errno == ENOTSOCK))
        result = send_continue(call, sock, result);
    return finish(call, result, error_before);
}
