#include "shim/call/receive_wait.h"

#include <errno.h>
#include <netinet/in.h>
#include <poll.h>

#include "base/clock.h"
#include "shim/call/receive_call.h"
#include "shim/limit/carry_over.h"
#include "shim/limit/connection_limits.h"
#include "shim/limit/expiry.h"
#include "shim/real.h"
#include "shim/report/slots.h"
#include "shim/socket/ended.h"
#include "shim/socket/kernel_timers.h"
#include "shim/socket/limits.h"
#include "shim/socket/tcp_info.h"
#include "shim/wait/signals.h"
#include "shim/wait/wait.h"

/* Kernel timers fire on a tick, never early; a coarse start may be one tick (at most 10 ms) too old. */
#define SLOP (10 * ND_MSEC)

/* Whether the program would see an interruption: its own SO_RCVTIMEO makes the kernel show each. */
static bool shows_interruption(const struct nd_sock *sock) {
    return sock->own_rcvtimeo != 0 || !nd_signals_restart();
}

/* How long a call waits: `deadline` is ours, `own` that of the program's SO_RCVTIMEO; ND_NEVER for none. */
struct patience {
    nd_time deadline, own;
};

/* Of a datagram socket that is shut down for reading a call that may wait gives 0 at once, one that may not EAGAIN for ever. */
static bool reads_end(int fd, const struct nd_sock *sock) {
    struct pollfd pollfd = {.fd = fd, .events = POLLRDHUP};
    if (nd_sock_flags(sock) & ND_SOCK_STREAM)
        return false;
    const bool ended = nd_real.poll(&pollfd, 1, 0) > 0 && (pollfd.revents & POLLRDHUP);
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

enum rest { GOT, LATE, ENDED };

/* Waits and makes the call then. GOT: *result is what it gave, finished, or EAGAIN at the program's own deadline; LATE: ours is
 * over; ENDED: the descriptor has become another one meanwhile (EBADF), or there is an error that `leave_error` leaves for the
 * next call. */
static enum rest wait_for_rest(const struct nd_receive_call *call, struct nd_sock *sock,
                               const struct patience *patience, bool leave_error, ssize_t *result) {
    const struct nd_sock_hold hold = nd_sock_take(call->fd, sock);
    const nd_time until = nd_time_sooner(patience->own, patience->deadline);
    struct nd_expiry expiry;
    for (;;) {
        *result = -1;
        enum nd_waited waited = nd_wait_connection(call->fd, sock, POLLIN, until, &expiry);
        if (!nd_sock_held(call->fd, sock, &hold) || (leave_error && waited == ND_ENDED_STREAM)) {
            errno = EBADF;
            return ENDED;
        }
        if (waited == ND_EXPIRED) {
            expiry.operation = nd_receive_name(call);
            nd_expire_stream(call->fd, sock, &expiry);
            if (!leave_error)
                nd_expired_fail(call->fd, sock, ND_IN);
            return leave_error ? ENDED : GOT;
        }
        if (waited == ND_TIMED_OUT) {
            if (until != patience->deadline && takes_few(call, sock, result))
                return GOT;
            *result = -1;
            errno = EAGAIN;
            return until == patience->deadline ? LATE : GOT;
        }
        if (waited == ND_INTERRUPTED) {
            if (!shows_interruption(sock) && patience->own == ND_NEVER)
                continue;
            if (takes_few(call, sock, result))
                return GOT;
            *result = -1;
            errno = EINTR;
            return GOT;
        }
        *result = nd_receive_at_once(call);
        if (nd_would_block(*result) && reads_end(call->fd, sock))
            *result = nd_receive_plain(call);
        if (!nd_would_block(*result)) { /* else: no bytes after all (a bad checksum, another thread was first) */
            *result = nd_receive_finish(call, sock, *result);
            return GOT;
        }
    }
}

/* Inside a TLS operation: try, then wait for what is left of it. */
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
    const struct patience patience = {nd_time_after(scope->began, scope->timeout),
                                      nd_kernel_timers_own_deadline(call->fd, sock, ND_IN, nd_now())};
    if (wait_for_rest(call, sock, &patience, false, &result) == LATE)
        return nd_receive_expire(call, sock, nd_scope_expiry(scope, nd_now()));
    return result;
}

static struct nd_expiry recv_expiry(const struct nd_receive_call *call, const struct nd_sock *sock, nd_time limit,
                                    nd_time elapsed) {
    return (struct nd_expiry){
        .operation = nd_receive_name(call), .limit = ND_LIMIT_NAME(sock, "RECV"), .timeout = limit, .elapsed = elapsed};
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
    return nd_real.poll(&pollfd, 1, 0) > 0 && (pollfd.revents & (POLLERR | POLLHUP));
}

/* Whether the kernel says when bytes came last. */
static bool tells_silence(const struct nd_sock *sock) {
    const uint32_t tcp = ND_SOCK_STREAM | ND_SOCK_INET;
    return (nd_sock_flags(sock) & tcp) == tcp;
}

/* How long the connection has been silent, as far as it is less than `elapsed`: another thread may have read from it since
 * this one began to wait. */
static nd_time silence(int fd, const struct nd_sock *sock, nd_time elapsed) {
    struct nd_tcp_info info;
    if (!tells_silence(sock) || !nd_tcp_info_read(fd, &info))
        return elapsed;
    nd_time heard = info.last_data_recv + ND_MSEC; /* whole milliseconds, rounded down */
    return heard < elapsed ? heard : elapsed;
}

/* MSG_WAITALL: the kernel's timer counts the whole call, RECV only silence, which a call that waits since `began` shares with
 * the connection. What came before is the program's to keep: go on gathering while bytes come. An error is left for the next
 * call, as the kernel leaves it. */
static ssize_t gather(const struct nd_receive_call *call, struct nd_sock *sock, nd_time limit, nd_time own,
                      nd_time began, size_t done) {
    struct nd_receive_call rest;
    nd_time since = nd_now() - (tells_silence(sock) ? silence(call->fd, sock, nd_now() - began) : 0);
    for (; rest_of(call, done, &rest); since = nd_now()) {
        ssize_t result;
        const struct patience patience = {limit ? nd_time_after(since, limit) : ND_NEVER, own};
        enum rest how = wait_for_rest(&rest, sock, &patience, true, &result);
        if (how == LATE) {
            struct nd_expiry expiry = recv_expiry(call, sock, limit, nd_now() - since);
            nd_expire_stream(call->fd, sock, &expiry);
        }
        if (how != GOT || result <= 0)
            break;
        done += (size_t)result;
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
        const nd_time silent = got > before && !tells_silence(sock) ? 0 : silence(call->fd, sock, elapsed);
        if (silent >= limit)
            return nd_receive_expire(call, sock, recv_expiry(call, sock, limit, elapsed));
        before = got;
        began = now - silent;
        got = nd_receive_plain(call);
    }
    return nd_receive_finish(call, sock, got);
}

/* A call that began at `began` has given `result`. One that came back with nothing has waited all the same. */
static ssize_t waited(const struct nd_receive_call *call, struct nd_sock *sock, nd_time began, ssize_t result) {
    const int error = errno;
    if (result < 0 && (error == EINTR || error == EAGAIN))
        nd_carry_over_receive(call->fd, sock, began, nd_now());
    errno = error;
    return result;
}

/* Waits until the connection has been silent for `limit`, 0 for no such limit, from `began` at the earliest: the kernel's timer
 * has fired, or an interruption ended the call that it kept, or nobody kept it. */
static ssize_t go_on(const struct nd_receive_call *call, struct nd_sock *sock, nd_time limit, nd_time own,
                     nd_time began) {
    ssize_t result = -1;
    struct patience patience = {ND_NEVER, own};
    const nd_time since = limit ? nd_carried_over_receive(sock, began) : began;
    for (;;) {
        nd_time now = nd_now(), elapsed = now - since, silent = limit ? silence(call->fd, sock, elapsed) : 0;
        bool over = limit && silent >= limit; /* then a last look: bytes may have come while this process was stopped */
        if (limit)
            patience.deadline = over ? now : now + limit - silent;
        if (wait_for_rest(call, sock, &patience, false, &result) == LATE) {
            if (over)
                return nd_receive_expire(call, sock, recv_expiry(call, sock, limit, elapsed));
            continue;
        }
        if (result > 0 && wants_all(call, sock))
            return gather(call, sock, limit, own, nd_now(), (size_t)result);
        return limit ? waited(call, sock, began, result) : result;
    }
}

/* Under a limit that no timer of the kernel's keeps: try, then wait. */
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
    const nd_time began = nd_now(), own = nd_kernel_timers_own_deadline(call->fd, sock, ND_IN, began);
    nd_slot_begin(&use, nd_receive_operation(call), call->fd, began, ND_NEVER, ND_LIMIT_NONE);
    if (!more) {
        result = go_on(call, sock, limit, own, began);
    } else {
        nd_receive_finish(call, sock, result);
        if (!has_ended(call->fd))
            result = gather(call, sock, limit, own, began, (size_t)result);
    }
    nd_slot_end(&use, nd_slot_how(result), nd_now_coarse());
    return result;
}

/* The kernel keeps RECV for us; the call that began at `began` has given `result`, which is not simply bytes. */
ssize_t nd_receive_kernel_timed_result(const struct nd_receive_call *call, struct nd_sock *sock, nd_time began,
                                       ssize_t result) {
    nd_time limit = nd_sock_recv_limit(sock);
    int error = errno;
    if (result > 0) {
        nd_sock_received(sock);
        if (call->flags & MSG_PEEK)
            return peek_all(call, sock, limit, began, result);
        if (nd_now() - began >= limit && !has_ended(call->fd))
            return gather(call, sock, limit, ND_NEVER, began, (size_t)result);
        return result;
    }
    if (nd_would_block(result)) {
        if (nd_now() - began < limit || nd_nonblocking(call->fd))
            return result;
        return go_on(call, sock, limit, ND_NEVER, began);
    }
    if (result < 0 && error == EINTR && !shows_interruption(sock))
        return go_on(call, sock, limit, ND_NEVER, began + SLOP);
    errno = error;
    return nd_receive_finish(call, sock, waited(call, sock, began + SLOP, result));
}
