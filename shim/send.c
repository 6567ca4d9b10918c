/* send, sendto, sendmsg, write, writev. */
#include <errno.h>
#include <limits.h>

#include "shim/connect.h"
#include "shim/hook.h"
#include "shim/sending.h"
#include "shim/sockets.h"
#include "shim/start.h"

#define CALLER __builtin_return_address(0)

/* The straight path of a descriptor that is watched for room only: an attempt with all there is, which nearly always is the
 * whole call. */
static bool goes_straight(int fd, int flags) {
    return (nd_watch(fd) & ND_WATCH_TRY) && !(flags & ~(MSG_NOSIGNAL | MSG_MORE));
}

static ssize_t send_straight(enum nd_send_kind kind, int fd, const void *buf, size_t len, int flags,
                             const void *caller) {
    int saved = errno;
    ssize_t sent = nd_real.sendto(fd, buf, len, flags | MSG_DONTWAIT | MSG_NOSIGNAL, NULL, 0);
    if (sent == (ssize_t)len)
        return sent;
    return nd_send_rest(
        &(struct nd_send_call){.kind = kind, .fd = fd, .buf = buf, .len = len, .flags = flags, .caller = caller}, sent,
        saved);
}

static ssize_t send_message_straight(enum nd_send_kind kind, int fd, const struct msghdr *msg, int flags,
                                     const void *caller) {
    int saved = errno;
    const struct nd_send_call call = {.kind = kind, .fd = fd, .msg = msg, .flags = flags, .caller = caller};
    ssize_t sent = nd_real.sendmsg(fd, msg, flags | MSG_DONTWAIT | MSG_NOSIGNAL);
    return sent >= 0 && (size_t)sent == nd_send_total(&call) ? sent : nd_send_rest(&call, sent, saved);
}

ND_COLD static ssize_t write_watched(int fd, const void *buf, size_t len, const void *caller) {
    return nd_send(&(struct nd_send_call){.kind = ND_WRITE, .fd = fd, .buf = buf, .len = len, .caller = caller});
}

ssize_t nd_hook_write(int fd, const void *buf, size_t len) {
    if (nd_unlikely(nd_watch(fd) & ND_WATCH_OUT))
        return len > 0 && goes_straight(fd, 0) ? send_straight(ND_WRITE, fd, buf, len, 0, CALLER)
                                               : write_watched(fd, buf, len, CALLER);
    return nd_real.write(fd, buf, len);
}
ND_ALIAS_OF(__write, write);

ND_COLD static ssize_t writev_watched(int fd, const struct iovec *iov, int count, const void *caller) {
    struct msghdr msg = {.msg_iov = (struct iovec *)(uintptr_t)iov, .msg_iovlen = (size_t)count};
    return goes_straight(fd, 0)
               ? send_message_straight(ND_WRITEV, fd, &msg, 0, caller)
               : nd_send(&(struct nd_send_call){.kind = ND_WRITEV, .fd = fd, .msg = &msg, .caller = caller});
}

ssize_t nd_hook_writev(int fd, const struct iovec *iov, int count) {
    if (nd_unlikely(nd_watch(fd) & ND_WATCH_OUT) && count > 0 && count <= IOV_MAX)
        return writev_watched(fd, iov, count, CALLER);
    return nd_real.writev(fd, iov, count);
}

ND_COLD static ssize_t send_watched(int fd, const void *buf, size_t len, int flags, const void *caller) {
    return nd_send(
        &(struct nd_send_call){.kind = ND_SEND, .fd = fd, .buf = buf, .len = len, .flags = flags, .caller = caller});
}

ssize_t nd_hook_send(int fd, const void *buf, size_t len, int flags) {
    if (nd_unlikely(nd_watch(fd) & ND_WATCH_OUT))
        return len > 0 && goes_straight(fd, flags) ? send_straight(ND_SEND, fd, buf, len, flags, CALLER)
                                                   : send_watched(fd, buf, len, flags, CALLER);
    return nd_real.send(fd, buf, len, flags);
}
ND_ALIAS_OF(__send, send);

ND_COLD static ssize_t sendto_watched(int fd, const void *buf, size_t len, int flags, const struct sockaddr *to,
                                      socklen_t to_len, const void *caller) {
    return nd_send(&(struct nd_send_call){.kind = ND_SENDTO,
                                          .fd = fd,
                                          .buf = buf,
                                          .len = len,
                                          .flags = flags,
                                          .to = to,
                                          .to_len = to_len,
                                          .caller = caller});
}

static ssize_t send_connecting(const void *call) {
    return nd_send_plain(call);
}

/* A send that connects first; on a connected stream MSG_FASTOPEN has no address, or none that counts. */
ND_COLD static ssize_t connect_and_send(const struct nd_send_call *call, const struct sockaddr *to, socklen_t to_len) {
    int saved = errno;
    ssize_t result = nd_connect_by_send(call->fd, to, to_len, !(call->flags & MSG_DONTWAIT), send_connecting, call);
    if (result >= 0)
        errno = saved;
    return result;
}

ssize_t nd_hook_sendto(int fd, const void *buf, size_t len, int flags, const struct sockaddr *to, socklen_t to_len) {
    if (nd_unlikely(flags & MSG_FASTOPEN) && to && nd_active && !(nd_watch(fd) & ND_WATCH_OUT))
        return connect_and_send(
            &(struct nd_send_call){
                .kind = ND_SENDTO, .fd = fd, .buf = buf, .len = len, .flags = flags, .to = to, .to_len = to_len},
            to, to_len);
    if (nd_unlikely(nd_watch(fd) & ND_WATCH_OUT))
        return len > 0 && !to && goes_straight(fd, flags) ? send_straight(ND_SENDTO, fd, buf, len, flags, CALLER)
                                                          : sendto_watched(fd, buf, len, flags, to, to_len, CALLER);
    return nd_real.sendto(fd, buf, len, flags, to, to_len);
}

ND_COLD static ssize_t sendmsg_watched(int fd, const struct msghdr *msg, int flags, const void *caller) {
    return goes_straight(fd, flags) ? send_message_straight(ND_SENDMSG, fd, msg, flags, caller)
                                    : nd_send(&(struct nd_send_call){
                                          .kind = ND_SENDMSG, .fd = fd, .msg = msg, .flags = flags, .caller = caller});
}

ssize_t nd_hook_sendmsg(int fd, const struct msghdr *msg, int flags) {
    if (nd_unlikely(flags & MSG_FASTOPEN) && msg && msg->msg_name && nd_active && !(nd_watch(fd) & ND_WATCH_OUT))
        return connect_and_send(&(struct nd_send_call){.kind = ND_SENDMSG, .fd = fd, .msg = msg, .flags = flags},
                                msg->msg_name, msg->msg_namelen);
    if (nd_unlikely(nd_watch(fd) & ND_WATCH_OUT))
        return sendmsg_watched(fd, msg, flags, CALLER);
    return nd_real.sendmsg(fd, msg, flags);
}
#ifdef __i386__
ND_ALIAS_OF(__sendmsg64, sendmsg);
#endif
