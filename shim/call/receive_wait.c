#include "shim/call/receive_wait.h"

#include <poll.h>

#include "shim/call/silence.h"
#include "shim/limit/carry_over.h"
#include "shim/message.h"
#include "shim/poll.h"
#include "shim/real.h"
#include "shim/socket/kernel_timers.h"
#include "shim/socket/limits.h"
#include "shim/wait/signals.h"

/* The kernel's timers fire on a tick, never early; a start read from the coarse clock is at most one tick (10 ms) too
 * old. */
#define SLOP (10 * ND_MSEC)

/* Whether this is a datagram socket that is shut down for reading: there a blocking call returns 0 at once, one with
 * MSG_DONTWAIT fails with EAGAIN each time. */
static bool is_shut_down(int fd, const struct nd_sock *sock) {
    struct pollfd pollfd = {.fd = fd, .events = POLLRDHUP};
    if (nd_sock_flags(sock) & ND_SOCK_STREAM)
        return false;
    const bool ended = nd_poll_now(&pollfd) > 0 && (pollfd.revents & POLLRDHUP);
    errno = EAGAIN;
    return ended;
}

/* Takes the bytes that are there, fewer than SO_RCVLOWAT: a wait of the kernel's that ends without more returns
 * them. */
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
    bool gathers; /* bytes were received already: an error stays for the next call */
};

static struct receive_wait begin(const struct nd_receive_call *call, struct nd_sock *sock, nd_time limit, nd_time since,
                                 nd_time own) {
    struct receive_wait this = {
        .silence = nd_silence_begin(nd_receive_operation(call), call->fd, sock, limit, since, own), .call = call};
    nd_wait_begin(&this.silence.wait);
    return this;
}

/* Waits, then makes `call`, until it returns something other than EAGAIN: ND_READY, with *result as the program gets
 * it. Any other value says why there is no result, with errno as in nd_wait_for. */
static enum nd_waited receive_when_ready(struct receive_wait *this, const struct nd_receive_call *call,
                                         ssize_t *result) {
    struct nd_sock *sock = this->silence.wait.sock;
    for (;;) {
        const enum nd_waited waited = nd_wait_for(&this->silence.wait);
        const int error = errno;
        if (waited == ND_UNPOLLABLE) {
            *result = nd_receive_finish(call, sock, nd_receive_plain(call));
            return ND_READY;
        }
        if ((waited == ND_OWN_TIMEOUT || waited == ND_INTERRUPTED) && takes_few(call, sock, result))
            return ND_READY;
        if (waited != ND_READY && !(waited == ND_ENDED_STREAM && !this->gathers)) {
            *result = -1;
            errno = error;
            return waited;
        }
        *result = nd_receive_at_once(call);
        if (nd_would_block(*result) && is_shut_down(call->fd, sock))
            *result = nd_receive_plain(call);
        if (!nd_would_block(*result)) { /* else: a bad checksum, or another thread has read the bytes */
            *result = nd_receive_finish(call, sock, *result);
            return ND_READY;
        }
    }
}

/* Whether MSG_WAITALL holds for the call: the kernel ignores it on datagram sockets. */
static bool wants_all(const struct nd_receive_call *call, const struct nd_sock *sock) {
    return call->kind >= ND_RECV && (call->flags & (MSG_WAITALL | MSG_PEEK)) == MSG_WAITALL &&
           (nd_sock_flags(sock) & ND_SOCK_STREAM);
}

/* Sets *rest to a call for the bytes after the first `done`; false if the buffers are full. Only for calls that have
 * received bytes: their addresses are valid. */
static bool rest_of(const struct nd_receive_call *call, size_t done, struct nd_receive_call *rest) {
    const struct msghdr *msg = call->buf;
    *rest = (struct nd_receive_call){.kind = ND_RECV, .fd = call->fd, .flags = call->flags};
    if (call->kind != ND_RECVMSG) {
        rest->buf = (char *)call->buf + done;
        rest->len = call->len - done;
        return rest->len > 0;
    }
    for (size_t i = 0; i < nd_message_buffers(msg); i++) {
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

/* MSG_WAITALL: SO_RCVTIMEO bounds the whole call, RECV only silence. Returns how many bytes the call has received,
 * `done` of them before this. An expiry or an error ends the call with those bytes; the error stays for the next call,
 * as in the kernel. */
static ssize_t gather(struct receive_wait *this, size_t done) {
    struct nd_receive_call rest;
    this->silence.wait.anew = false;
    for (this->gathers = true; rest_of(this->call, done, &rest); this->silence.since = nd_now()) {
        ssize_t result;
        const enum nd_waited waited = receive_when_ready(this, &rest, &result);
        if (waited == ND_EXPIRED)
            nd_expire_stream(this->call->fd, this->silence.wait.sock, &this->silence.wait.expiry);
        if (waited != ND_READY || result <= 0)
            break;
        done += (size_t)result;
        nd_wait_progress(&this->silence.wait);
    }
    return (ssize_t)done;
}

/* MSG_WAITALL with MSG_PEEK, where poll cannot wait for more bytes than are there: the call is made again until there
 * are enough, or no more have been received for `limit`. */
static ssize_t peek_all(const struct nd_receive_call *call, struct nd_sock *sock, nd_time limit, nd_time began,
                        ssize_t got) {
    struct nd_receive_call rest;
    for (ssize_t before = 0; got > 0 && rest_of(call, (size_t)got, &rest) && !has_ended(call->fd);) {
        const nd_time now = nd_now(), elapsed = now - began;
        if (elapsed < limit)
            break; /* interrupted by a signal */
        const nd_time silent = got > before && !nd_silence_is_known(sock) ? 0 : nd_silence_of(call->fd, sock, elapsed);
        if (silent >= limit)
            return nd_receive_expire(call->fd, sock,
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

/* Waits and receives: returns what the program gets. */
static ssize_t receive_waiting(struct receive_wait *this, nd_time began) {
    ssize_t result;
    const struct nd_receive_call *call = this->call;
    struct nd_sock *sock = this->silence.wait.sock;
    const enum nd_waited waited = receive_when_ready(this, call, &result);
    if (waited == ND_EXPIRED)
        return nd_receive_expire(call->fd, sock, this->silence.wait.expiry);
    if (result > 0 && wants_all(call, sock) && !this->silence.scope) {
        this->silence.since = nd_now();
        return gather(this, (size_t)result);
    }
    if (waited != ND_READY) /* else the call has received */
        nd_silence_carry_over(&this->silence, began);
    return result;
}

ssize_t nd_receive_scoped(const struct nd_receive_call *call, struct nd_sock *sock, struct nd_scope *scope) {
    ssize_t result = nd_receive_at_once(call);
    if (result < 0 && errno == ENOTSOCK) {
        nd_sock_clear_stale(call->fd);
        return nd_receive_plain(call);
    }
    if (!nd_would_block(result))
        return nd_receive_finish(call, sock, result);
    if (nd_nonblocking(call->fd))
        return result;
    const nd_time now = nd_now();
    struct receive_wait this = begin(call, sock, 0, now, nd_kernel_timers_own_deadline(call->fd, sock, ND_IN, now));
    this.silence.scope = scope;
    this.silence.wait.anew = true;
    nd_scope_run(scope, now);
    this.silence.scope_end = nd_scope_end(scope);
    result = receive_waiting(&this, now);
    nd_scope_stand(scope, nd_now());
    return result;
}

/* What bounds a wait first, for `netdeadline ps`: not UNACKED, which holds only once the peer owes an
 * acknowledgement. */
static unsigned bound(struct nd_sock *sock, nd_time limit, nd_time now, nd_time *deadline) {
    *deadline = limit ? now + limit : ND_NEVER;
    return limit ? nd_limit_of(sock, ND_LIMIT_RECV) : ND_LIMIT_NONE;
}

ssize_t nd_receive_rest(const struct nd_receive_call *call, struct nd_sock *sock, nd_time limit, ssize_t result) {
    struct nd_receive_call rest;
    bool more = result > 0 && wants_all(call, sock) && rest_of(call, (size_t)result, &rest);
    if ((!nd_would_block(result) && !more) || nd_nonblocking(call->fd))
        return nd_receive_finish(call, sock, result);
    struct nd_slot_use use;
    const nd_time began = nd_now();
    nd_time deadline;
    const unsigned first = bound(sock, limit, began, &deadline);
    nd_slot_begin(&use, nd_receive_operation(call), call->fd, began, deadline, first);
    struct receive_wait this = begin(call, sock, limit, more || !limit ? began : nd_carried_over_receive(sock, began),
                                     nd_kernel_timers_own_deadline(call->fd, sock, ND_IN, began));
    this.silence.wait.anew = (nd_sock_flags(sock) & ND_SOCK_SCOPED) != 0; /* a TLS operation may get a limit */
    if (!more) {
        result = receive_waiting(&this, began);
    } else {
        nd_receive_finish(call, sock, result);
        if (!has_ended(call->fd))
            result = gather(&this, (size_t)result);
    }
    nd_slot_end(&use, nd_wait_outcome(this.silence.wait.how, result), nd_now_coarse());
    return result;
}

ssize_t nd_receive_polled(const struct nd_receive_call *call, struct nd_sock *sock, nd_time limit) {
    ssize_t result = -1;
    if ((nd_sock_flags(sock) & ND_SOCK_LOWAT) && !nd_nonblocking(call->fd))
        errno = EAGAIN; /* the bytes that are there may be fewer than SO_RCVLOWAT */
    else
        result = nd_receive_at_once(call);
    if (result < 0 && errno == ENOTSOCK) {
        nd_sock_clear_stale(call->fd);
        return nd_receive_plain(call);
    }
    return nd_receive_rest(call, sock, limit, result);
}

/* The call that began at `began` under SO_RCVTIMEO, and has received `done` bytes, continues in poll. The program's own
 * timeout ends it at `own`. */
static ssize_t continue_in_poll(const struct nd_receive_call *call, struct nd_sock *sock, nd_time began, nd_time own,
                                size_t done, enum nd_slot_end *how) {
    const nd_time now = nd_now();
    nd_time since = nd_carried_over_receive(sock, began);
    if (done > 0)
        since = nd_silence_is_known(sock) ? now - nd_silence_of(call->fd, sock, now - began) : now;
    struct receive_wait this = begin(call, sock, nd_sock_recv_limit(sock), since, own);
    const ssize_t result = done > 0 ? gather(&this, done) : receive_waiting(&this, began);
    *how = nd_wait_outcome(this.silence.wait.how, result);
    return result;
}

ssize_t nd_receive_kernel_timed_result(const struct nd_receive_call *call, struct nd_sock *sock, nd_time began,
                                       ssize_t result, enum nd_slot_end *how) {
    const nd_time limit = nd_sock_recv_limit(sock);
    const int error = errno;
    const bool over = nd_now() - began >= limit;
    *how = ND_SLOT_DONE;
    if (result > 0) {
        nd_sock_received(sock);
        if (!(call->flags & MSG_PEEK))
            return (over || nd_slots_woken()) && !has_ended(call->fd)
                       ? continue_in_poll(call, sock, began, ND_NEVER, (size_t)result, how)
                       : result;
        result = peek_all(call, sock, limit, began, result);
    } else if (nd_would_block(result)) {
        *how = ND_SLOT_QUIET;
        return over && !nd_nonblocking(call->fd) ? continue_in_poll(call, sock, began, ND_NEVER, 0, how) : result;
    } else {
        if (result < 0 && error == EINTR && nd_slots_woken()) {
            nd_kernel_timers_refresh(call->fd, sock);
            return continue_in_poll(call, sock, began, nd_kernel_timers_own_deadline(call->fd, sock, ND_IN, began), 0,
                                    how);
        }
        if (result < 0 && error == EINTR) {
            if (sock->own_rcvtimeo == 0 && nd_signals_restart())
                return continue_in_poll(call, sock, began + SLOP, ND_NEVER, 0, how);
            nd_carry_over_receive(call->fd, sock, began + SLOP, nd_now());
        }
        result = nd_receive_finish(call, sock, result);
    }
    *how = nd_wait_outcome(ND_READY, result);
    return result;
}
