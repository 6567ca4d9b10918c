#include "shim/call/receive_call.h"

#include "base/compiler.h"
#include "shim/limit/carry_over.h"
#include "shim/limit/datagram.h"
#include "shim/real.h"
#include "shim/socket/ended.h"
#include "shim/wait/wait.h"

static ssize_t real_recvmsg(const struct nd_receive_call *call, int flags) {
#ifdef __i386__
    if (call->has_time64)
        return nd_real.__recvmsg64(call->fd, call->buf, flags);
#endif
    return nd_real.recvmsg(call->fd, call->buf, flags);
}

ssize_t nd_receive_plain(const struct nd_receive_call *call) {
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

ssize_t nd_receive_at_once(const struct nd_receive_call *call) {
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

int nd_receive_expire(int fd, struct nd_sock *sock, struct nd_expiry expiry) {
    if (nd_sock_flags(sock) & ND_SOCK_STREAM) {
        nd_expire_stream(fd, sock, &expiry);
        return nd_expired_fail(fd, sock, ND_IN);
    }
    expiry.peer = nd_datagram_peer(sock);
    expiry.peer_len = sizeof sock->peer;
    nd_expiry_report(fd, &expiry);
    nd_carry_over_end(fd, sock, ND_IN); /* the next call has the whole limit */
    errno = ETIMEDOUT;
    return -1;
}

static bool is_end(const struct nd_receive_call *call, ssize_t result) {
    return result < 0 ? nd_is_end(errno) : result == 0 && call->len > 0;
}

/* Whether a deadline ended the stream unseen by this process: in another process, or in the kernel, whose error another
 * call may have consumed. */
static bool was_ended_elsewhere(const struct nd_receive_call *call, struct nd_sock *sock) {
    return nd_expired_anywhere(call->fd, sock) || ((nd_sock_flags(sock) & ND_SOCK_KEEPALIVE) &&
                                                   nd_expiry_by_timer_found(call->fd, sock, nd_receive_name(call)));
}

/* Whether the call returned a datagram, or an error that was received in its place (ICMP). */
static bool has_received(ssize_t result) {
    return result >= 0 || !(errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR || errno == EFAULT);
}

/* Whether the real call of an ended stream is one that the command had made anew as the hooked one, which has delivered
 * the expiry: the kernel itself says ETIMEDOUT only once. */
static bool was_taken_over(const struct nd_sock *sock, ssize_t result) {
    return result < 0 && errno == ETIMEDOUT && (nd_sock_flags(sock) & ND_SOCK_DELIVERED_IN);
}

ssize_t nd_receive_finish(const struct nd_receive_call *call, struct nd_sock *sock, ssize_t result) {
    if (nd_unlikely(nd_sock_is_datagram(sock))) {
        if (has_received(result) && !(call->flags & MSG_ERRQUEUE))
            nd_datagram_received(call->fd, sock);
        return result;
    }
    if (result > 0) {
        nd_sock_received(sock);
        nd_connection_limits_count(sock, (size_t)result);
        nd_carry_over_end(call->fd, sock, ND_IN);
    }
    if (result > 0 || !(nd_sock_flags(sock) & ND_SOCK_STREAM))
        return result;
    if (nd_unlikely(nd_sock_flags(sock) & ND_SOCK_EXPIRED) && !nd_would_block(result) && nd_expired(call->fd, sock) &&
        !was_taken_over(sock, result))
        return call->len || result < 0 ? nd_expired_fail(call->fd, sock, ND_IN) : result;
    if (result < 0 && errno == ETIMEDOUT)
        nd_expire_by_timer(call->fd, sock, ND_IN, nd_receive_name(call));
    else if (is_end(call, result) && was_ended_elsewhere(call, sock))
        return nd_expired_fail(call->fd, sock, ND_IN);
    return result;
}
