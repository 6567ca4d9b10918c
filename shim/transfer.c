/* sendfile, splice, sendmmsg, recvmmsg: there is no way to try these without waiting. Where SEND or RECV is on, the kernel
 * keeps it (SO_SNDTIMEO, SO_RCVTIMEO, set at birth) and the hook gives the right error; otherwise they are left alone. */
#include <errno.h>
#include <fcntl.h>

#include "shim/discover.h"
#include "shim/expiry.h"
#include "shim/hook.h"
#include "shim/pace.h"
#include "shim/signals.h"
#include "shim/slots.h"
#include "shim/sockets.h"
#include "shim/start.h"
#include "shim/timers.h"
#include "shim/wait.h"

/* One call, and how it is made. */
struct call {
    const char *operation;
    int fd; /* the socket */
    enum nd_direction direction;
    long (*make)(const struct call *call);
    int in, out;
    void *first, *second;
    size_t count;
    int flags;
};

static nd_time limit_of(const struct call *call, const struct nd_sock *sock) {
    if (call->direction == ND_IN)
        return nd_sock_flags(sock) & ND_SOCK_RCVTIMEO ? nd_sock_recv_limit(sock) : 0;
    return nd_sock_flags(sock) & ND_SOCK_SNDTIMEO ? nd_sock_send_limit(sock) : 0;
}

static long expire(const struct call *call, struct nd_sock *sock, nd_time limit, nd_time elapsed) {
    bool in = call->direction == ND_IN;
    struct nd_expiry expiry = {.operation = call->operation,
                               .limit = in ? ND_LIMIT_NAME(sock, "RECV") : ND_LIMIT_NAME(sock, "SEND"),
                               .timeout = limit,
                               .elapsed = elapsed};
    if (!(nd_sock_flags(sock) & ND_SOCK_STREAM)) {
        nd_expire_told(call->fd, &expiry);
        errno = ETIMEDOUT;
        return -1;
    }
    nd_expire_stream(call->fd, sock, &expiry);
    return nd_expired_fail(call->fd, sock, call->direction);
}

/* An interrupted call goes on where the program would not have seen the interruption. */
static bool goes_on(const struct call *call, const struct nd_sock *sock) {
    int64_t own = call->direction == ND_IN ? sock->own_rcvtimeo : sock->own_sndtimeo;
    return errno == EINTR && own == 0 && nd_signals_restart();
}

static long make_limited(const struct call *call, struct nd_sock *sock, nd_time limit, nd_time began) {
    const uint32_t generation = sock->generation;
    const int saved = errno;
    nd_time elapsed;
    do {
        long result = call->make(call);
        if (result >= 0) {
            errno = saved;
            return result;
        }
        elapsed = nd_now() - began;
    } while (elapsed < limit && goes_on(call, sock));
    bool late = elapsed >= limit && (errno == EAGAIN || errno == EINTR) && sock->generation == generation;
    return late && !nd_nonblocking(call->fd) ? expire(call, sock, limit, elapsed) : -1;
}

ND_COLD static long bounded(const struct call *call) {
    struct nd_sock *sock = nd_sock_peek(call->fd);
    if (sock)
        nd_timers_refresh(call->fd, sock);
    if (sock && (((nd_sock_flags(sock) & ND_SOCK_EXPIRED) && nd_expired(call->fd, sock)) ||
                 nd_pace_outlived(call->fd, sock, call->operation)))
        return nd_expired_fail(call->fd, sock, call->direction);
    nd_time limit = sock ? limit_of(call, sock) : 0;
    if (!limit)
        return call->make(call);
    struct nd_slot_use use;
    nd_time began = nd_now();
    nd_slot_begin(&use, nd_operation_find(call->operation), call->fd, began, nd_time_after(began, limit),
                  nd_limit_of(sock, call->direction == ND_IN ? ND_LIMIT_RECV : ND_LIMIT_SEND));
    long result = make_limited(call, sock, limit, began);
    nd_slot_end(&use, nd_slot_how(result), nd_now_coarse());
    return result;
}

static long make_sendfile(const struct call *call) {
    return nd_real.sendfile(call->out, call->in, call->first, call->count);
}

ssize_t nd_hook_sendfile(int out, int in, off_t *offset, size_t count) {
    if (nd_unlikely(nd_watch(out) & ND_WATCH_OUT))
        return bounded(&(struct call){"sendfile", out, ND_OUT, make_sendfile, in, out, offset, NULL, count, 0});
    return nd_real.sendfile(out, in, offset, count);
}

static long make_sendfile64(const struct call *call) {
    return nd_real.sendfile64(call->out, call->in, call->first, call->count);
}

ssize_t nd_hook_sendfile64(int out, int in, off64_t *offset, size_t count) {
    if (nd_unlikely(nd_watch(out) & ND_WATCH_OUT))
        return bounded(&(struct call){"sendfile64", out, ND_OUT, make_sendfile64, in, out, offset, NULL, count, 0});
    return nd_real.sendfile64(out, in, offset, count);
}

static long make_splice(const struct call *call) {
    return nd_real.splice(call->in, call->first, call->out, call->second, call->count, (unsigned)call->flags);
}

ssize_t nd_hook_splice(int in, off64_t *in_offset, int out, off64_t *out_offset, size_t count, unsigned flags) {
    bool waits = !(flags & SPLICE_F_NONBLOCK);
    if (nd_unlikely(nd_watch(out) & ND_WATCH_OUT) && waits)
        return bounded(
            &(struct call){"splice", out, ND_OUT, make_splice, in, out, in_offset, out_offset, count, (int)flags});
    if (nd_unlikely(nd_watch(in) & ND_WATCH_IN) && waits)
        return bounded(
            &(struct call){"splice", in, ND_IN, make_splice, in, out, in_offset, out_offset, count, (int)flags});
    return nd_real.splice(in, in_offset, out, out_offset, count, flags);
}

static long make_sendmmsg(const struct call *call) {
    return nd_real.sendmmsg(call->out, call->first, (unsigned)call->count, call->flags);
}

int nd_hook_sendmmsg(int fd, struct mmsghdr *messages, unsigned count, int flags) {
    if (nd_unlikely(nd_watch(fd) & ND_WATCH_OUT) && !(flags & MSG_DONTWAIT))
        return (int)bounded(
            &(struct call){"sendmmsg", fd, ND_OUT, make_sendmmsg, -1, fd, messages, NULL, count, flags});
    return nd_real.sendmmsg(fd, messages, count, flags);
}
#ifdef __i386__
ND_ALIAS_OF(__sendmmsg64, sendmmsg);
#endif

static long make_recvmmsg(const struct call *call) {
    return nd_real.recvmmsg(call->in, call->first, (unsigned)call->count, call->flags, call->second);
}

static void look_at_received(const struct mmsghdr *messages, int got) {
    for (int i = 0; i < got && nd_active; i++)
        if (messages[i].msg_hdr.msg_controllen > 0)
            nd_discover_received(&messages[i].msg_hdr);
}

int nd_hook_recvmmsg(int fd, struct mmsghdr *messages, unsigned count, int flags, struct timespec *timeout) {
    int got;
    if (nd_unlikely(nd_watch(fd) & ND_WATCH_IN) && !(flags & (MSG_DONTWAIT | MSG_ERRQUEUE)))
        got =
            (int)bounded(&(struct call){"recvmmsg", fd, ND_IN, make_recvmmsg, fd, -1, messages, timeout, count, flags});
    else
        got = nd_real.recvmmsg(fd, messages, count, flags, timeout);
    look_at_received(messages, got);
    return got;
}

#ifdef __i386__
static long make_recvmmsg64(const struct call *call) {
    return nd_real.__recvmmsg64(call->in, call->first, (unsigned)call->count, call->flags, call->second);
}

int nd_hook___recvmmsg64(int fd, struct mmsghdr *messages, unsigned count, int flags, struct nd_timespec64 *timeout) {
    int got;
    if (nd_unlikely(nd_watch(fd) & ND_WATCH_IN) && !(flags & (MSG_DONTWAIT | MSG_ERRQUEUE)))
        got = (int)bounded(
            &(struct call){"recvmmsg", fd, ND_IN, make_recvmmsg64, fd, -1, messages, timeout, count, flags});
    else
        got = nd_real.__recvmmsg64(fd, messages, count, flags, timeout);
    look_at_received(messages, got);
    return got;
}
#endif
