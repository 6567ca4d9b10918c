/* send, sendto, sendmsg, write, writev. */
#include <errno.h>
#include <limits.h>

#include "shim/call/connect.h"
#include "shim/call/direct_send.h"
#include "shim/call/send.h"
#include "shim/hook/hook.h"
#include "shim/mode.h"
#include "shim/readable.h"
#include "shim/socket/record.h"

#define CALLER __builtin_return_address(0)

/* The straight path of a descriptor that is watched for room only: an attempt with all there is, which nearly always is the
 * whole call. Also of one of which only a note is made: there the attempt is the call. */
static inline bool goes_straight(unsigned watch, int flags) {
    return (watch & (ND_WATCH_TRY | ND_WATCH_NOTE)) && !(flags & ~(MSG_NOSIGNAL | MSG_MORE));
}

static inline int straight_flags(unsigned watch, int flags) {
    return flags | MSG_NOSIGNAL | (watch & ND_WATCH_TRY ? MSG_DONTWAIT : 0);
}

static inline void tell(int fd, unsigned watch, ssize_t sent) {
    if ((watch & ND_WATCH_NOTE) && sent > 0)
        nd_sock_sent(nd_sock_lookup(fd));
}

ND_COLD static ssize_t go_on(const struct nd_send_call *call, unsigned watch, ssize_t sent, int error_before) {
    return nd_send_rest(call, (watch & ND_WATCH_TRY) != 0, sent, error_before);
}

/* Whether the attempt can be one that keeps no registers, and so stands in the hook itself. */
static inline bool may_try(unsigned watch, int flags) {
    return (watch & (ND_WATCH_TRY | ND_WATCH_NOTE)) == ND_WATCH_TRY && !(flags & ~(MSG_NOSIGNAL | MSG_MORE)) &&
           nd_direct_send_possible();
}

/* It has given `sent`, which is not the whole call. */
ND_COLD static ssize_t go_on_from(const struct nd_send_call *call, ssize_t sent) {
    int error_before = errno;
    if (sent < 0)
        errno = (int)-sent;
    return nd_send_rest(call, true, sent < 0 ? -1 : sent, error_before);
}

ND_COLD static ssize_t write_tried(int fd, const void *buf, size_t len, const void *caller, ssize_t sent) {
    return go_on_from(&(struct nd_send_call){.kind = ND_WRITE, .fd = fd, .buf = buf, .len = len, .caller = caller},
                      sent);
}

ND_COLD static ssize_t send_tried(int fd, const void *buf, size_t len, int flags, const void *caller, ssize_t sent) {
    return go_on_from(
        &(struct nd_send_call){.kind = ND_SEND, .fd = fd, .buf = buf, .len = len, .flags = flags, .caller = caller},
        sent);
}

static ND_APART ssize_t said(struct nd_sock *sock, ssize_t sent) {
    nd_sock_sent(sock);
    return sent;
}

/* The same attempt where a note is made of it. */
static inline ssize_t send_and_tell(enum nd_send_kind kind, int fd, const void *buf, size_t len, int flags,
                                    const void *caller) {
    ssize_t sent = nd_direct_send(fd, buf, len, &flags);
    if (nd_unlikely(sent != (ssize_t)len))
        return kind == ND_WRITE ? write_tried(fd, buf, len, caller, sent)
                                : send_tried(fd, buf, len, flags, caller, sent);
    struct nd_sock *sock = nd_sock_lookup(fd);
    return (nd_sock_flags(sock) & ND_SOCK_SENT_LAST) || sent == 0 ? sent : said(sock, sent);
}

static inline bool may_try_and_tell(unsigned watch, int flags) {
    return (watch & (ND_WATCH_TRY | ND_WATCH_NOTE)) == (ND_WATCH_TRY | ND_WATCH_NOTE) &&
           !(flags & ~(MSG_NOSIGNAL | MSG_MORE)) && nd_direct_send_possible();
}

/* Apart from the hooks, so that those keep no registers where they step in nowhere. */
ND_APART static ssize_t send_straight(enum nd_send_kind kind, int fd, const void *buf, size_t len, int flags,
                                      const void *caller) {
    const unsigned watch = nd_watch(fd);
    int saved = errno;
    ssize_t sent = nd_real.send(fd, buf, len, straight_flags(watch, flags));
    if (nd_unlikely(sent != (ssize_t)len))
        return go_on(
            &(struct nd_send_call){.kind = kind, .fd = fd, .buf = buf, .len = len, .flags = flags, .caller = caller},
            watch, sent, saved);
    tell(fd, watch, sent);
    return sent;
}

static ssize_t send_message_straight(enum nd_send_kind kind, unsigned watch, int fd, const struct msghdr *msg,
                                     int flags, const void *caller) {
    int saved = errno;
    const struct nd_send_call call = {.kind = kind, .fd = fd, .msg = msg, .flags = flags, .caller = caller};
    ssize_t sent = nd_real.sendmsg(fd, msg, straight_flags(watch, flags));
    if (kind == ND_WRITEV && nd_unlikely(sent < 0) && nd_vector_is_void(msg->msg_iov, (int)msg->msg_iovlen)) {
        errno = saved;
        return nd_real.writev(fd, msg->msg_iov, (int)msg->msg_iovlen);
    }
    if (sent < 0 || (size_t)sent != nd_send_total(&call))
        return go_on(&call, watch, sent, saved);
    tell(fd, watch, sent);
    return sent;
}

ND_APART static ssize_t write_bounded(int fd, const void *buf, size_t len, const void *caller) {
    return nd_send(&(struct nd_send_call){.kind = ND_WRITE, .fd = fd, .buf = buf, .len = len, .caller = caller});
}

ND_APART static ssize_t write_watched(int fd, const void *buf, size_t len, const void *caller) {
    const unsigned watch = nd_watch(fd);
    if (may_try_and_tell(watch, 0))
        return send_and_tell(ND_WRITE, fd, buf, len, 0, caller);
    if (goes_straight(watch, 0))
        return send_straight(ND_WRITE, fd, buf, len, 0, caller);
    return write_bounded(fd, buf, len, caller);
}

ssize_t nd_hook_write(int fd, const void *buf, size_t len) {
    const unsigned watch = nd_watch(fd);
    if (nd_unlikely(watch & ND_WATCH_OUT)) {
        if (!may_try(watch, 0))
            return write_watched(fd, buf, len, CALLER);
        int none = 0;
        ssize_t sent = nd_direct_send(fd, buf, len, &none);
        return sent == (ssize_t)len ? sent : write_tried(fd, buf, len, CALLER, sent);
    }
    return nd_real.write(fd, buf, len);
}
ND_ALIAS_OF(__write, write);

ND_APART static ssize_t writev_watched(int fd, const struct iovec *iov, int count, const void *caller) {
    struct msghdr msg = {.msg_iov = (struct iovec *)(uintptr_t)iov, .msg_iovlen = (size_t)count};
    const unsigned watch = nd_watch(fd);
    if (goes_straight(watch, 0))
        return send_message_straight(ND_WRITEV, watch, fd, &msg, 0, caller);
    return nd_vector_is_void(iov, count)
               ? nd_real.writev(fd, iov, count)
               : nd_send(&(struct nd_send_call){.kind = ND_WRITEV, .fd = fd, .msg = &msg, .caller = caller});
}

ssize_t nd_hook_writev(int fd, const struct iovec *iov, int count) {
    if (nd_unlikely(nd_watch(fd) & ND_WATCH_OUT) && count > 0 && count <= IOV_MAX)
        return writev_watched(fd, iov, count, CALLER);
    return nd_real.writev(fd, iov, count);
}

ND_APART static ssize_t send_bounded(int fd, const void *buf, size_t len, int flags, const void *caller) {
    return nd_send(
        &(struct nd_send_call){.kind = ND_SEND, .fd = fd, .buf = buf, .len = len, .flags = flags, .caller = caller});
}

ND_APART static ssize_t send_watched(int fd, const void *buf, size_t len, int flags, const void *caller) {
    const unsigned watch = nd_watch(fd);
    if (may_try_and_tell(watch, flags))
        return send_and_tell(ND_SEND, fd, buf, len, flags, caller);
    if (goes_straight(watch, flags))
        return send_straight(ND_SEND, fd, buf, len, flags, caller);
    return send_bounded(fd, buf, len, flags, caller);
}

ssize_t nd_hook_send(int fd, const void *buf, size_t len, int flags) {
    const unsigned watch = nd_watch(fd);
    if (nd_unlikely(watch & ND_WATCH_OUT)) {
        if (!may_try(watch, flags))
            return send_watched(fd, buf, len, flags, CALLER);
        ssize_t sent = nd_direct_send(fd, buf, len, &flags);
        return sent == (ssize_t)len ? sent : send_tried(fd, buf, len, flags, CALLER, sent);
    }
    return nd_real.send(fd, buf, len, flags);
}
ND_ALIAS_OF(__send, send);

ND_APART static ssize_t sendto_watched(int fd, const void *buf, size_t len, int flags, const struct sockaddr *to,
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
    const unsigned watch = nd_watch(fd);
    if (nd_unlikely(flags & MSG_FASTOPEN) && !(watch & ND_WATCH_OUT) && to && nd_active)
        return connect_and_send(
            &(struct nd_send_call){
                .kind = ND_SENDTO, .fd = fd, .buf = buf, .len = len, .flags = flags, .to = to, .to_len = to_len},
            to, to_len);
    if (nd_unlikely(watch & ND_WATCH_OUT))
        return !to && goes_straight(watch, flags) ? send_straight(ND_SENDTO, fd, buf, len, flags, CALLER)
                                                  : sendto_watched(fd, buf, len, flags, to, to_len, CALLER);
    return nd_real.sendto(fd, buf, len, flags, to, to_len);
}

ND_APART static ssize_t sendmsg_watched(int fd, const struct msghdr *msg, int flags, const void *caller) {
    const unsigned watch = nd_watch(fd);
    return goes_straight(watch, flags)
               ? send_message_straight(ND_SENDMSG, watch, fd, msg, flags, caller)
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
