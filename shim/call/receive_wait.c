#include "shim/call/receive_wait.h"

#include <errno.h>
#include <netinet/in.h>
#include <poll.h>

#include "base/clock.h"
#include "shim/call/receive_call.h"
#include "shim/call/silence.h"
#include "shim/limit/carry_over.h"
#include "shim/limit/connection_limits.h"
#include "shim/limit/expiry.h"
#include "shim/poll.h"
#include "shim/report/slots.h"
#include "shim/socket/ended.h"
#include "shim/socket/kernel_timers.h"
#include "shim/socket/limits.h"
#include "shim/wait/signals.h"
#include "shim/wait/wait.h"

/* Kernel timers fire on a tick, never early; a coarse start may be one tick (at most 10 ms) too old. */
#define SLOP (10 * ND_MSEC)

/* Of a datagram socket that is shut down for reading a call that may wait gives 0 at once, one that may not EAGAIN for ever. */
static bool reads_end(int fd, const struct nd_sock *sock) {
    struct pollfd pollfd = {.fd = fd, .events = POLLRDHUP};
    if (nd_sock_flags(sock) & ND_SOCK_STREAM)
        return false;
    const bool ended = nd_poll_now(&pollfd) > 0 && (pollfd.revents & POLLRDHUP);
    errno = EAGAIN;
    return ended;
}

/* The bytes that are there, too few for SO_RCVLOWAT: the kernel's wait has taken them before it ends without more. */
static bool takes_few(const struct nd_receive_call *call, struct nd_sock *sock, ssize_t *result) {
    if (!(nd_sock_flags(sock) & ND_SOCK_LOWAT) || (*result = nd_receive_at_once(call)) <= 0)
        return false;
    *result = nd_receive_finish(call, sock, *result);
    return true;
}

/* A receiving call that waits. */
struct receive_wait {
    struct nd_silence silence;
    const struct nd_receive_call *call;
    bool gathers; /* it has given bytes already: an error is left for the next call */
};

static struct receive_wait begin(const struct nd_receive_call *call, struct nd_sock *sock, nd_time limit, nd_time since,
                                 nd_time own) {
    return (struct receive_wait){
        .silence = nd_silence_begin(nd_receive_operation(call), call->fd, sock, limit, since, own), .call = call};
}

/* Waits, and makes `call` then: until it gives something, which *result is, finished. Another result than ND_READY says why there is
 * none; errno is set where the program is to see it. */
static enum nd_waited receive_when_ready(struct receive_wait *this, const struct nd_receive_call *call,
                                         ssize_t *result) {
    struct nd_sock *sock = this->silence.wait.sock;
    for (;;) {
        const enum nd_waited waited = nd_wait_for(&this->silence.wait);
        const int error = errno;
        *result = -1;
        if (waited == ND_ENDED_STREAM && this->gathers)
            return waited;
        if (waited == ND_UNPOLLABLE) {
            *result = nd_receive_finish(call, sock, nd_receive_plain(call));
            return ND_READY;
        }
        if ((waited == ND_OWN_TIMEOUT || waited == ND_INTERRUPTED) && takes_few(call, sock, result))
            return ND_READY;
        errno = error;
        if (waited != ND_READY && waited != ND_ENDED_STREAM) {
            *result = -1;
            return waited;
        }
        *result = nd_receive_at_once(call);
        if (nd_would_block(*result) && reads_end(call->fd, sock))
            *result = nd_receive_plain(call);
        if (!nd_would_block(*result)) { /* else: no bytes after all (a bad checksum, another thread was first) */
            *result = nd_receive_finish(call, sock, *result);
            return ND_READY;
        }
    }
}

/* Not of a datagram socket, whose MSG_WAITALL the kernel leaves aside. */
static bool wants_all(const struct nd_receive_call *call, const struct nd_sock *sock) {
    return call->kind >= ND_RECV && (call->flags & (MSG_WAITALL | MSG_PEEK)) == MSG_WAITALL &&
           (nd_sock_flags(sock) & ND_SOCK_STREAM);
}

/* Where the bytes after the first `done` go; false if there is no more room. Only for calls that have succeeded before: the
 * addresses are good. */
static bool rest_of(const struct nd_receive_call *call, size_t done, struct nd_receive_call *rest) {
    const struct msghdr *msg = call->buf;
    *rest = (struct nd_receive_call){.kind = ND_RECV, .fd = call->fd, .flags = call->flags};
    if (call->kind != ND_RECVMSG) {
        rest->buf = (char *)call->buf + done;
        rest->len = call->len - done;
        return rest->len > 0;
    }
    for (size_t i = 0; i < msg->msg_iovlen; i++) {
        if (done < msg->msg_iov[i].iov_len) {
            rest->buf = (char *)msg->msg_iov[i].iov_base + done;
            rest->len = msg->msg_iov[i].iov_len - done;
            return true;
        }
        done -= msg->msg_iov[i].iov_len;
    }
    return false;
}

static bool has_ended(int fd) {
    struct pollfd pollfd = {.fd = fd};
    return nd_poll_now(&pollfd) > 0 && (pollfd.revents & POLLHUP); /* POLLERR: see ND_ENDED_STREAM */
}

/* MSG_WAITALL: the kernel's timer counts the whole call, RECV only silence. What came before is the program's to keep: the call goes on
 * while bytes come, `done` of them until now. An error is left for the next call, as the kernel leaves it. */
static ssize_t gather(struct receive_wait *this, size_t done) {
    struct nd_receive_call rest;
    for (this->gathers = true; rest_of(this->call, done, &rest); this->silence.since = nd_now()) {
        ssize_t result;
        const enum nd_waited waited = receive_when_ready(this, &rest, &result);
        if (waited == ND_EXPIRED) {
            this->silence.wait.expiry.operation = nd_receive_name(this->call);
            nd_expire_stream(this->call->fd, this->silence.wait.sock, &this->silence.wait.expiry);
        }
        if (waited != ND_READY || result <= 0)
            break;
        done += (size_t)result;
        nd_wait_progress(&this->silence.wait);
    }
    return (ssize_t)done;
}

/* MSG_WAITALL with MSG_PEEK, where nothing tells of more bytes but the call itself: made again until there are enough of them
 * or no more have come for `limit`. */
static ssize_t peek_all(const struct nd_receive_call *call, struct nd_sock *sock, nd_time limit, nd_time began,
                        ssize_t got) {
    struct nd_receive_call rest;
    for (ssize_t before = 0; got > 0 && rest_of(call, (size_t)got, &rest) && !has_ended(call->fd);) {
        const nd_time now = nd_now(), elapsed = now - began;
        if (elapsed < limit)
            break; /* a signal */
        const nd_time silent = got > before && !nd_silence_is_known(sock) ? 0 : nd_silence_of(call->fd, sock, elapsed);
        if (silent >= limit)
            return nd_receive_expire(call, sock,
                                     (struct nd_expiry){.operation = nd_receive_name(call),
                                                        .limit = nd_limit_name(sock, ND_LIMIT_RECV),
                                                        .timeout = limit,
                                                        .elapsed = elapsed});
        before = got;
        began = now - silent;
        got = nd_receive_plain(call);
    }
    return nd_receive_finish(call, sock, got);
}

/* Waits until the call has given what the program should get. A call of RECV's that comes back with nothing has waited all the same. */
static ssize_t receive_waiting(struct receive_wait *this, nd_time began) {
    ssize_t result;
    const struct nd_receive_call *call = this->call;
    struct nd_sock *sock = this->silence.wait.sock;
    const enum nd_waited waited = receive_when_ready(this, call, &result);
    if (waited == ND_EXPIRED) {
        if (!this->silence.wait.expiry.operation)
            this->silence.wait.expiry.operation = nd_receive_name(call);
        return nd_receive_expire(call, sock, this->silence.wait.expiry);
    }
    if (result > 0 && wants_all(call, sock) && !this->silence.scope) {
        this->silence.since = nd_now();
        return gather(this, (size_t)result);
    }
    if (this->silence.limit && (waited == ND_INTERRUPTED || waited == ND_OWN_TIMEOUT)) {
        const int error = errno;
        nd_carry_over_receive(call->fd, sock, began, nd_now());
        errno = error;
    }
    return result;
}

/* Inside a TLS operation: tries, then waits for what is left of it. */
ssize_t nd_receive_scoped(const struct nd_receive_call *call, struct nd_sock *sock, const struct nd_scope *scope) {
    ssize_t result = nd_receive_at_once(call);
    if (result < 0 && errno == ENOTSOCK) {
        nd_sock_clear(call->fd);
        return nd_receive_plain(call);
    }
    if (!nd_would_block(result))
        return nd_receive_finish(call, sock, result);
    if (nd_nonblocking(call->fd))
        return result;
    const nd_time now = nd_now();
    struct receive_wait this = begin(call, sock, 0, now, nd_kernel_timers_own_deadline(call->fd, sock, ND_IN, now));
    this.silence.scope = scope;
    this.silence.scope_end = nd_time_after(scope->began, scope->timeout);
    return receive_waiting(&this, now);
}

/* Under a limit that no timer of the kernel's keeps: tries, then waits. */
ssize_t nd_receive_polled(const struct nd_receive_call *call, struct nd_sock *sock, nd_time limit) {
    ssize_t result = -1;
    if ((nd_sock_flags(sock) & ND_SOCK_LOWAT) && !nd_nonblocking(call->fd))
        errno = EAGAIN; /* the bytes that are there may be too few */
    else
        result = nd_receive_at_once(call);
    if (result < 0 && errno == ENOTSOCK) {
        nd_sock_clear(call->fd);
        return nd_receive_plain(call);
    }
    struct nd_receive_call rest;
    bool more = result > 0 && wants_all(call, sock) && rest_of(call, (size_t)result, &rest);
    if ((!nd_would_block(result) && !more) || nd_nonblocking(call->fd))
        return nd_receive_finish(call, sock, result);
    struct nd_slot_use use;
    const nd_time began = nd_now();
    nd_slot_begin(&use, nd_receive_operation(call), call->fd, began, ND_NEVER, ND_LIMIT_NONE);
    struct receive_wait this = begin(call, sock, limit, more || !limit ? began : nd_carried_over_receive(sock, began),
                                     nd_kernel_timers_own_deadline(call->fd, sock, ND_IN, began));
    if (!more) {
        result = receive_waiting(&this, began);
    } else {
        nd_receive_finish(call, sock, result);
        if (!has_ended(call->fd))
            result = gather(&this, (size_t)result);
    }
    nd_slot_end(&use, nd_wait_outcome(this.silence.wait.how), nd_now_coarse());
    return result;
}

/* The call that began at `began` under the kernel's timer goes on, polled. */
static ssize_t go_on(const struct nd_receive_call *call, struct nd_sock *sock, nd_time limit, nd_time began,
                     enum nd_waited *how) {
    struct receive_wait this = begin(call, sock, limit, nd_carried_over_receive(sock, began), ND_NEVER);
    const ssize_t result = receive_waiting(&this, began);
    *how = this.silence.wait.how;
    return result;
}

/* What came before the kernel's timer fired, if no more has come since the silence began. */
static ssize_t go_on_gathering(const struct nd_receive_call *call, struct nd_sock *sock, nd_time limit, nd_time began,
                               size_t done, enum nd_waited *how) {
    const nd_time now = nd_now();
    struct receive_wait this =
        begin(call, sock, limit, now - (nd_silence_is_known(sock) ? nd_silence_of(call->fd, sock, now - began) : 0),
              ND_NEVER);
    const ssize_t result = gather(&this, done);
    *how = this.silence.wait.how;
    return result;
}

ssize_t nd_receive_kernel_timed_result(const struct nd_receive_call *call, struct nd_sock *sock, nd_time began,
                                       ssize_t result, enum nd_waited *how) {
    const nd_time limit = nd_sock_recv_limit(sock);
    const int error = errno;
    *how = ND_READY;
    if (result > 0) {
        nd_sock_received(sock);
        if (call->flags & MSG_PEEK)
            return peek_all(call, sock, limit, began, result);
        if (nd_now() - began >= limit && !has_ended(call->fd))
            return go_on_gathering(call, sock, limit, began, (size_t)result, how);
        return result;
    }
    if (nd_would_block(result)) {
        *how = ND_OWN_TIMEOUT;
        if (nd_now() - began < limit || nd_nonblocking(call->fd))
            return result;
        return go_on(call, sock, limit, began, how);
    }
    if (result < 0 && error == EINTR) {
        if (sock->own_rcvtimeo == 0 && nd_signals_restart())
            return go_on(call, sock, limit, began + SLOP, how);
        nd_carry_over_receive(call->fd, sock, began + SLOP, nd_now());
    }
    errno = error;
    return nd_receive_finish(call, sock, result);
}
