#include "shim/receiving.h"

#include <errno.h>
#include <limits.h>
#include <netinet/in.h>
#include <sys/time.h>

#include "shim/datagram.h"
#include "shim/discover.h"
#include "shim/expiry.h"
#include "shim/hook.h"
#include "shim/kept.h"
#include "shim/late.h"
#include "shim/pace.h"
#include "shim/readable.h"
#include "shim/scope.h"
#include "shim/signals.h"
#include "shim/slots.h"
#include "shim/sockets.h"
#include "shim/start.h"
#include "shim/tcp_info.h"
#include "shim/timers.h"
#include "shim/vain.h"
#include "shim/wait.h"

static enum nd_call operation_of(const struct nd_receive_call *call) {
    return call->many ? ND_OPERATION_recvmmsg : (enum nd_call)(ND_OPERATION_read + call->kind);
}

static const char *name_of(const struct nd_receive_call *call) {
    return nd_operation_names[operation_of(call)];
}

/* Kernel timers fire on a tick, never early; a coarse start may be one tick (at most 10 ms) too old. */
#define SLOP (10 * ND_MSEC)

static ssize_t real_recvmsg(const struct nd_receive_call *call, int flags) {
#ifdef __i386__
    if (call->has_time64)
        return nd_real.__recvmsg64(call->fd, call->buf, flags);
#endif
    return nd_real.recvmsg(call->fd, call->buf, flags);
}

static ssize_t plain(const struct nd_receive_call *call) {
    switch (call->kind) {
    case ND_READ:
        return nd_real.read(call->fd, call->buf, call->len);
    case ND_READV:
        return nd_real.readv(call->fd, call->buf, (int)call->len);
    case ND_RECV:
        return nd_real.recv(call->fd, call->buf, call->len, call->flags);
    case ND_RECVFROM:
        return nd_real.recvfrom(call->fd, call->buf, call->len, call->flags, call->from, call->from_len);
    default:
        return real_recvmsg(call, call->flags);
    }
}

static ssize_t without_waiting(const struct nd_receive_call *call) {
    struct msghdr msg = {.msg_iov = call->buf, .msg_iovlen = call->len};
    switch (call->kind) {
    case ND_READ:
        return nd_real.recv(call->fd, call->buf, call->len, MSG_DONTWAIT);
    case ND_READV:
        return nd_real.recvmsg(call->fd, &msg, MSG_DONTWAIT);
    case ND_RECV:
        return nd_real.recv(call->fd, call->buf, call->len, call->flags | MSG_DONTWAIT);
    case ND_RECVFROM:
        return nd_real.recvfrom(call->fd, call->buf, call->len, call->flags | MSG_DONTWAIT, call->from, call->from_len);
    default:
        return real_recvmsg(call, call->flags | MSG_DONTWAIT);
    }
}

static bool would_block(ssize_t result) {
    return result < 0 && (errno == EAGAIN || errno == EWOULDBLOCK);
}

static ssize_t expire(const struct nd_receive_call *call, struct nd_sock *sock, struct nd_expiry expiry) {
    if (!(nd_sock_flags(sock) & ND_SOCK_STREAM)) {
        expiry.peer = nd_datagram_peer(sock);
        expiry.peer_len = sizeof sock->peer;
        nd_expire_told(call->fd, &expiry); /* a lost datagram ends nothing */
        nd_vain_end(call->fd, sock, ND_IN);
        errno = ETIMEDOUT;
        return -1;
    }
    nd_expire_stream(call->fd, sock, &expiry);
    return nd_expired_fail(call->fd, sock, ND_IN);
}

static bool is_end(const struct nd_receive_call *call, ssize_t result) {
    return result < 0 ? nd_is_end(errno) : result == 0 && call->len > 0;
}

/* Whether a deadline ended the stream where this process did not see it: in another one, or in the kernel, whose error another
 * call may have taken. */
static bool ended_unseen(int fd, struct nd_sock *sock) {
    return nd_expired_anywhere(fd, sock) || ((nd_sock_flags(sock) & ND_SOCK_KEEPALIVE) && nd_ended_by_kernel(fd, sock));
}

/* Whether a datagram was received, or an error that came in place of one (ICMP). */
static bool has_come(ssize_t result) {
    return result >= 0 || !(errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR || errno == EFAULT);
}

/* The call ended with `result`: an end that a deadline, ours or the kernel's, brought about is told as such. */
static ssize_t finish(const struct nd_receive_call *call, struct nd_sock *sock, ssize_t result) {
    if (nd_unlikely(nd_sock_is_datagram(sock))) {
        if (has_come(result) && !(call->flags & MSG_ERRQUEUE))
            nd_datagram_received(call->fd, sock);
        return result;
    }
    if (result > 0) {
        nd_sock_heard(sock);
        nd_pace_count(sock, (size_t)result);
        nd_vain_end(call->fd, sock, ND_IN);
    }
    if (result > 0 || !(nd_sock_flags(sock) & ND_SOCK_STREAM))
        return result;
    if (nd_unlikely(nd_sock_flags(sock) & ND_SOCK_EXPIRED) && !would_block(result) && nd_expired(call->fd, sock))
        return call->len || result < 0 ? nd_expired_fail(call->fd, sock, ND_IN) : result;
    if (result < 0 && errno == ETIMEDOUT)
        nd_expire_by_kernel(call->fd, sock, ND_IN);
    else if (is_end(call, result) && ended_unseen(call->fd, sock))
        return nd_expired_fail(call->fd, sock, ND_IN);
    return result;
}

/* The call was made plainly; if it waited, then for no longer than the program's own timeout, the shorter one. */
static ssize_t waited_for_own(const struct nd_receive_call *call, struct nd_sock *sock, ssize_t result) {
    const nd_time own = sock->own_rcvtimeo * ND_USEC;
    if (would_block(result) && own > 0 && !(nd_sock_flags(sock) & ND_SOCK_NONBLOCK) && !(call->flags & MSG_DONTWAIT) &&
        nd_sock_recv_limit(sock) && !nd_nonblocking(call->fd)) {
        nd_time now = nd_now();
        nd_vain_receive(call->fd, sock, now - own, now);
        errno = EAGAIN;
    }
    return finish(call, sock, result);
}

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

enum rest { GOT, LATE, ENDED };

/* Waits and makes the call then. GOT: *result is what it gave, finished, or EAGAIN at the program's own deadline; LATE: ours is
 * over; ENDED: the descriptor has become another one meanwhile (EBADF), or there is an error that `leave_error` leaves for the
 * next call. */
static enum rest wait_for_rest(const struct nd_receive_call *call, struct nd_sock *sock,
                               const struct patience *patience, bool leave_error, ssize_t *result) {
    const struct nd_sock_hold hold = nd_sock_take(call->fd, sock);
    const nd_time until = patience->own < patience->deadline ? patience->own : patience->deadline;
    struct nd_expiry expiry;
    for (;;) {
        *result = -1;
        enum nd_waited waited = nd_wait_paced(call->fd, sock, POLLIN, until, &expiry);
        if (!nd_sock_held(call->fd, sock, &hold) || (leave_error && waited == ND_ENDED_STREAM)) {
            errno = EBADF;
            return ENDED;
        }
        if (waited == ND_EXPIRED) {
            expiry.operation = name_of(call);
            nd_expire_stream(call->fd, sock, &expiry);
            if (!leave_error)
                nd_expired_fail(call->fd, sock, ND_IN);
            return leave_error ? ENDED : GOT;
        }
        if (waited == ND_TIMED_OUT) {
            errno = EAGAIN;
            return until == patience->deadline ? LATE : GOT;
        }
        if (waited == ND_INTERRUPTED) {
            if (!shows_interruption(sock) && patience->own == ND_NEVER)
                continue;
            errno = EINTR;
            return GOT;
        }
        *result = without_waiting(call);
        if (would_block(*result) && reads_end(call->fd, sock))
            *result = plain(call);
        if (!would_block(*result)) { /* else: no bytes after all (a bad checksum, another thread was first) */
            *result = finish(call, sock, *result);
            return GOT;
        }
    }
}

/* When the program's own SO_RCVTIMEO ends a call that begins to wait now. */
static nd_time own_deadline(int fd, const struct nd_sock *sock) {
    struct timeval value = {0, 0};
    socklen_t len = sizeof value;
    int64_t usec = sock->own_rcvtimeo;
    if (!(nd_sock_flags(sock) & ND_SOCK_RCVTIMEO) && nd_real.getsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &value, &len) == 0)
        usec = (int64_t)value.tv_sec * 1000000 + value.tv_usec;
    return usec > 0 ? nd_time_after(nd_now(), usec * ND_USEC) : ND_NEVER;
}

/* Inside a TLS operation: try, then wait for what is left of it. */
static ssize_t receive_scoped(const struct nd_receive_call *call, struct nd_sock *sock, const struct nd_scope *scope) {
    ssize_t result = without_waiting(call);
    if (result < 0 && errno == ENOTSOCK) {
        nd_sock_forget(call->fd);
        return plain(call);
    }
    if (!would_block(result))
        return finish(call, sock, result);
    if (nd_nonblocking(call->fd))
        return result;
    const struct patience patience = {nd_time_after(scope->began, scope->timeout), own_deadline(call->fd, sock)};
    if (wait_for_rest(call, sock, &patience, false, &result) == LATE)
        return expire(call, sock, nd_scope_expiry(scope, nd_now()));
    return result;
}

static struct nd_expiry recv_expiry(const struct nd_receive_call *call, const struct nd_sock *sock, nd_time limit,
                                    nd_time elapsed) {
    return (struct nd_expiry){
        .operation = name_of(call), .limit = ND_LIMIT_NAME(sock, "RECV"), .timeout = limit, .elapsed = elapsed};
}

/* Not of a datagram socket, whose MSG_WAITALL the kernel leaves aside. */
static bool wants_all(const struct nd_receive_call *call, const struct nd_sock *sock) {
    return call->kind >= ND_RECV && (call->flags & (MSG_WAITALL | MSG_PEEK)) == MSG_WAITALL &&
           (nd_sock_flags(sock) & ND_SOCK_STREAM);
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
    struct tcp_info info;
    if (!tells_silence(sock) || !nd_tcp_info(fd, &info))
        return elapsed;
    nd_time heard = (nd_time)(info.tcpi_last_data_recv + 1) * ND_MSEC; /* whole milliseconds, rounded down */
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
            return expire(call, sock, recv_expiry(call, sock, limit, elapsed));
        before = got;
        began = now - silent;
        got = plain(call);
    }
    return finish(call, sock, got);
}

/* A call that began at `began` has given `result`. One that came back with nothing has waited all the same. */
static ssize_t waited(const struct nd_receive_call *call, struct nd_sock *sock, nd_time began, ssize_t result) {
    const int error = errno;
    if (result < 0 && (error == EINTR || error == EAGAIN))
        nd_vain_receive(call->fd, sock, began, nd_now());
    errno = error;
    return result;
}

/* Waits until the connection has been silent for `limit`, 0 for no such limit, from `began` at the earliest: the kernel's timer
 * has fired, or an interruption ended the call that it kept, or nobody kept it. */
static ssize_t go_on(const struct nd_receive_call *call, struct nd_sock *sock, nd_time limit, nd_time own,
                     nd_time began) {
    ssize_t result = -1;
    struct patience patience = {ND_NEVER, own};
    const nd_time since = limit ? nd_vain_received(sock, began) : began;
    for (;;) {
        nd_time now = nd_now(), elapsed = now - since, silent = limit ? silence(call->fd, sock, elapsed) : 0;
        bool over = limit && silent >= limit; /* then a last look: bytes may have come while this process was stopped */
        if (limit)
            patience.deadline = over ? now : now + limit - silent;
        if (wait_for_rest(call, sock, &patience, false, &result) == LATE) {
            if (over)
                return expire(call, sock, recv_expiry(call, sock, limit, elapsed));
            continue;
        }
        if (result > 0 && wants_all(call, sock))
            return gather(call, sock, limit, own, nd_now(), (size_t)result);
        return limit ? waited(call, sock, began, result) : result;
    }
}

/* Under a limit that no timer of the kernel's keeps: try, then wait. */
static ssize_t receive_paced(const struct nd_receive_call *call, struct nd_sock *sock, nd_time limit) {
    ssize_t result = -1;
    if ((nd_sock_flags(sock) & ND_SOCK_LOWAT) && !nd_nonblocking(call->fd))
        errno = EAGAIN; /* the bytes that are there may be too few */
    else
        result = without_waiting(call);
    if (result < 0 && errno == ENOTSOCK) {
        nd_sock_forget(call->fd);
        return plain(call);
    }
    struct nd_receive_call rest;
    bool more = result > 0 && wants_all(call, sock) && rest_of(call, (size_t)result, &rest);
    if ((!would_block(result) && !more) || nd_nonblocking(call->fd))
        return finish(call, sock, result);
    struct nd_slot_use use;
    const nd_time own = own_deadline(call->fd, sock), began = nd_now();
    nd_slot_begin(&use, operation_of(call), call->fd, began, ND_NEVER, ND_LIMIT_NONE);
    if (!more) {
        result = go_on(call, sock, limit, own, began);
    } else {
        finish(call, sock, result);
        if (!has_ended(call->fd))
            result = gather(call, sock, limit, own, began, (size_t)result);
    }
    nd_slot_end(&use, nd_slot_how(result), nd_now_coarse());
    return result;
}

/* The kernel keeps RECV for us; the call that began at `began` has given `result`, which is not simply bytes. */
ND_COLD static ssize_t kept_result(const struct nd_receive_call *call, struct nd_sock *sock, nd_time began,
                                   ssize_t result) {
    nd_time limit = nd_sock_recv_limit(sock);
    int error = errno;
    if (result > 0) {
        nd_sock_heard(sock);
        if (call->flags & MSG_PEEK)
            return peek_all(call, sock, limit, began, result);
        if (nd_now() - began >= limit && !has_ended(call->fd))
            return gather(call, sock, limit, ND_NEVER, began, (size_t)result);
        return result;
    }
    if (would_block(result)) {
        if (nd_now() - began < limit || nd_nonblocking(call->fd))
            return result;
        return go_on(call, sock, limit, ND_NEVER, began);
    }
    if (result < 0 && error == EINTR && !shows_interruption(sock))
        return go_on(call, sock, limit, ND_NEVER, began + SLOP);
    errno = error;
    return finish(call, sock, waited(call, sock, began + SLOP, result));
}

/* Under RECV, with the kernel's timer alone: the call that began at `began` has given `result`. */
static ssize_t limited_result(const struct nd_receive_call *call, struct nd_sock *sock, uint32_t generation,
                              nd_time began, ssize_t result) {
    if (nd_unlikely(sock->generation !=
                    generation)) { /* closed by another thread; the number may be a stranger's by now */
        if (would_block(result))
            errno = ETIMEDOUT;
    } else if (nd_unlikely(result <= 0) || nd_unlikely(wants_more(call, sock, (size_t)result))) {
        result = kept_result(call, sock, began, result);
    } else if (nd_unlikely(nd_sock_is_datagram(sock))) {
        nd_datagram_received(call->fd, sock);
    } else {
        nd_sock_heard(sock);
    }
    return result;
}

static ssize_t receive_limited(const struct nd_receive_call *call, struct nd_sock *sock, nd_time limit) {
    struct nd_slot_use use;
    const uint32_t generation = atomic_load_explicit(&sock->generation, memory_order_relaxed);
    const nd_time began = nd_now_coarse();
    nd_slot_begin(&use, operation_of(call), call->fd, began, nd_time_after(began, limit),
                  nd_limit_of(sock, ND_LIMIT_RECV));
    ssize_t result = limited_result(call, sock, generation, began, plain(call));
    nd_slot_end(&use, nd_slot_how(result), nd_now_coarse());
    return result;
}

/* A wait has shown that no answer came: this call says so, unless one has come after all. */
static ssize_t receive_late(const struct nd_receive_call *call, struct nd_sock *sock) {
    ssize_t result = call->flags & MSG_ERRQUEUE ? plain(call) : without_waiting(call);
    if (result < 0 && errno == ENOTSOCK) {
        nd_sock_forget(call->fd);
        return plain(call);
    }
    if ((call->flags & MSG_ERRQUEUE) || !would_block(result) || !nd_late_take(call->fd, sock))
        return finish(call, sock, result);
    errno = ETIMEDOUT;
    return -1;
}

/* MODE=observe. A wait in a TLS operation is told by the operation as a whole. */
static ssize_t receive_observed(const struct nd_receive_call *call, struct nd_sock *sock,
                                const struct nd_scope *scope) {
    struct nd_slot_use use;
    if (scope)
        return plain(call);
    nd_time began = nd_now(), limit = nd_sock_recv_limit(sock);
    nd_slot_begin(&use, operation_of(call), call->fd, began, ND_NEVER, nd_limit_of(sock, ND_LIMIT_RECV));
    ssize_t result = plain(call);
    nd_slot_end(&use, nd_slot_how(result), nd_now());
    if (limit)
        nd_expire_observed(call->fd, name_of(call), ND_LIMIT_NAME(sock, "RECV"), limit, began);
    nd_pace_observed(call->fd, sock, name_of(call), began);
    return nd_sock_is_datagram(sock) ? finish(call, sock, result) : result;
}

static ssize_t receive_bounded(const struct nd_receive_call *call) {
    struct nd_sock *sock = nd_sock_peek(call->fd);
    if (!sock)
        return plain(call);
    nd_timers_refresh(call->fd, sock);
    if (!(nd_watch_exact(call->fd) & ND_WATCH_IN))
        return plain(call);
    if (nd_sock_flags(sock) & ND_SOCK_SOUGHT)
        nd_scope_touched(call->fd, sock);
    uint32_t flags = nd_sock_flags(sock);
    if (((flags & ND_SOCK_EXPIRED) && nd_expired(call->fd, sock)) || nd_pace_outlived(call->fd, sock, name_of(call)))
        return nd_expired_fail(call->fd, sock, ND_IN);
    if (nd_unlikely(flags & ND_SOCK_LATE))
        return receive_late(call, sock);
    const int prompt = flags & ND_SOCK_STREAM ? MSG_DONTWAIT | MSG_ERRQUEUE | MSG_OOB : MSG_DONTWAIT | MSG_ERRQUEUE;
    if ((call->flags & prompt) || (flags & ND_SOCK_NONBLOCK)) /* a receive of a stream's urgent byte never waits */
        return finish(call, sock, plain(call));
    nd_time limit = flags & (ND_SOCK_RCVTIMEO | ND_SOCK_VAIN_IN) ? nd_sock_recv_limit(sock) : 0;
    const struct nd_scope *scope = flags & ND_SOCK_SCOPED ? nd_scope_of(call->fd, call->caller) : NULL;
    if (nd_observing)
        return receive_observed(call, sock, scope);
    if (scope && scope->timeout && !(limit && nd_scope_is_kept(scope, limit, nd_now_coarse())))
        return receive_scoped(call, sock, scope);
    const bool ours =
        (nd_sock_paced(sock) && (flags & ND_SOCK_STREAM)) || ((flags & (ND_SOCK_VAIN_IN | ND_SOCK_LOWAT)) && limit);
    if (ours && !peeks_all(call) && has_room(call))
        return receive_paced(call, sock, limit);
    return limit ? receive_limited(call, sock, limit) : waited_for_own(call, sock, plain(call));
}

static inline ssize_t receive_straight(const struct nd_receive_call *call) {
    struct nd_sock *sock = nd_sock_peek(call->fd);
    const uint32_t which = nd_sock_flags(sock) & (ND_SOCK_NONBLOCK | ND_SOCK_RCVTIMEO);
    if (which == ND_SOCK_RCVTIMEO && !(call->flags & (MSG_DONTWAIT | MSG_ERRQUEUE)))
        return receive_limited(call, sock, nd_sock_limits(sock)->recv);
    ssize_t result = plain(call);
    if (nd_unlikely(result <= 0))
        return waited_for_own(call, sock, result);
    nd_sock_heard(sock);
    return result;
}

static inline ssize_t receive(const struct nd_receive_call *call) {
    const unsigned watch = nd_watch(call->fd);
    const bool kept = (watch & ND_WATCH_KEPT) && !((watch & ND_WATCH_SCOPE) && nd_scope_bounds(call->fd, call->caller));
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
    struct nd_sock *sock = nd_sock_peek(call->fd);
    int saved = errno;
    if (sock)
        result = finish(call, sock, result);
    if (result >= 0)
        errno = saved;
    return result;
}

ssize_t nd_kept_went_on(const struct nd_receive_call *call, struct nd_kept *kept, ssize_t result) {
    const int saved = kept->limit ? kept->error : errno; /* a call that does not wait and fails does not succeed */
    if (kept->limit) {
        result = limited_result(call, kept->sock, kept->generation, kept->use.began, result);
        nd_slot_end(&kept->use, nd_slot_how(result), nd_now_coarse());
    } else if (kept->sock->generation == kept->generation) {
        result = waited_for_own(call, kept->sock, result);
    }
    if (result >= 0)
        errno = saved;
    return result;
}

ssize_t nd_receive_kept(const struct nd_receive_call *call, uint32_t generation, nd_time began, ssize_t result) {
    struct nd_sock *sock = nd_sock_peek(call->fd);
    int saved = errno;
    if (sock->generation == generation)
        result = kept_result(call, sock, began, result);
    else if (would_block(result))
        errno = ETIMEDOUT;
    if (result >= 0)
        errno = saved;
    return result;
}
