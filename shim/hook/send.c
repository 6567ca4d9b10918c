/* send, sendto, sendmsg, write, writev. */
#include <errno.h>
#include <limits.h>

#include "shim/call/connect.h"
#include "shim/call/direct_send.h"
#include "shim/call/send.h"
#include "shim/hook/by_number.h"
#include "shim/hook/hook.h"
#include "shim/hook/vector2.h"
#include "shim/message.h"
#include "shim/mode.h"
#include "shim/readable.h"
#include "shim/socket/hand_on.h"
#include "shim/socket/kernel_timers.h"
#include "shim/socket/record.h"

#define CALLER __builtin_return_address(0)

/* Whether the call takes the fast path: an attempt with all its bytes, without waiting (ND_WATCH_TRY), which nearly
 * always is the whole call; or the plain call, where it is only noted that bytes were sent (ND_WATCH_NOTE). */
static inline bool is_fast(unsigned watch, int flags) {
    return (watch & (ND_WATCH_TRY | ND_WATCH_NOTE)) && !(flags & ~(MSG_NOSIGNAL | MSG_MORE));
}

static inline int attempt_flags(unsigned watch, int flags) {
    return flags | MSG_NOSIGNAL | (watch & ND_WATCH_TRY ? MSG_DONTWAIT : 0);
}

static inline void note_sent(int fd, unsigned watch, ssize_t sent) {
    if ((watch & ND_WATCH_NOTE) && sent > 0)
        nd_sock_sent(nd_sock_lookup(fd));
}

ND_COLD static ssize_t send_continue(const struct nd_send_call *call, unsigned watch, ssize_t sent, int error_before) {
    return nd_send_rest(call, (watch & ND_WATCH_TRY) != 0, sent, error_before);
}

/* Whether the attempt can be made in the hook itself, where it saves no registers. */
static inline bool may_try(unsigned watch, int flags) {
    return (watch & (ND_WATCH_TRY | ND_WATCH_NOTE)) == ND_WATCH_TRY && !(flags & ~(MSG_NOSIGNAL | MSG_MORE)) &&
           nd_direct_send_possible();
}

/* The attempt has returned `sent`, which is not the whole call. */
ND_COLD static ssize_t send_continue_direct(const struct nd_send_call *call, ssize_t sent) {
    int error_before = errno;
    if (sent < 0)
        errno = (int)-sent;
    return nd_send_rest(call, true, sent < 0 ? -1 : sent, error_before);
}

ND_COLD static ssize_t write_continue(int fd, const void *buf, size_t len, const void *caller, ssize_t sent) {
    return send_continue_direct(
        &(struct nd_send_call){.kind = ND_WRITE, .fd = fd, .buf = buf, .len = len, .caller = caller}, sent);
}

ND_COLD static ssize_t send_continue_flags(int fd, const void *buf, size_t len, int flags, const void *caller,
                                           ssize_t sent) {
    return send_continue_direct(
        &(struct nd_send_call){.kind = ND_SEND, .fd = fd, .buf = buf, .len = len, .flags = flags, .caller = caller},
        sent);
}

static ND_APART ssize_t note_and_return(struct nd_sock *sock, ssize_t sent) {
    nd_sock_sent(sock);
    return sent;
}

/* The same attempt where it is noted that bytes were sent. */
static inline ssize_t send_and_note(enum nd_send_kind kind, int fd, const void *buf, size_t len, int flags,
                                    const void *caller) {
    ssize_t sent = nd_direct_send(fd, buf, len, &flags);
    if (nd_unlikely(sent != (ssize_t)len))
        return kind == ND_WRITE ? write_continue(fd, buf, len, caller, sent)
                                : send_continue_flags(fd, buf, len, flags, caller, sent);
    struct nd_sock *sock = nd_sock_lookup(fd);
    return (nd_sock_flags(sock) & ND_SOCK_SENT_LAST) || sent == 0 ? sent : note_and_return(sock, sent);
}

static inline bool may_try_and_note(unsigned watch, int flags) {
    return (watch & (ND_WATCH_TRY | ND_WATCH_NOTE)) == (ND_WATCH_TRY | ND_WATCH_NOTE) &&
           !(flags & ~(MSG_NOSIGNAL | MSG_MORE)) && nd_direct_send_possible();
}

/* Not inlined into the hooks, so that those save no registers for descriptors that are not watched. */
ND_APART static ssize_t send_attempt(enum nd_send_kind kind, int fd, const void *buf, size_t len, int flags,
                                     const void *caller) {
    const unsigned watch = nd_watch(fd);
    int saved = errno;
    ssize_t sent = nd_real.send(fd, buf, len, attempt_flags(watch, flags));
    if (nd_unlikely(sent != (ssize_t)len))
        return send_continue(
            &(struct nd_send_call){.kind = kind, .fd = fd, .buf = buf, .len = len, .flags = flags, .caller = caller},
            watch, sent, saved);
    note_sent(fd, watch, sent);
    return sent;
}

static ssize_t send_message_attempt(enum nd_send_kind kind, unsigned watch, int fd, const struct msghdr *msg, int flags,
                                    const void *caller) {
    int saved = errno;
    const struct nd_send_call call = {.kind = kind, .fd = fd, .msg = msg, .flags = flags, .caller = caller};
    ssize_t sent = nd_real.sendmsg(fd, msg, attempt_flags(watch, flags));
    if (kind == ND_WRITEV && nd_unlikely(sent < 0) && nd_vector_is_void(msg->msg_iov, (int)nd_message_buffers(msg))) {
        errno = saved;
        return nd_real.writev(fd, msg->msg_iov, (int)nd_message_buffers(msg));
    }
    if (sent < 0 || (size_t)sent != nd_send_total(&call))
        return send_continue(&call, watch, sent, saved);
    note_sent(fd, watch, sent);
    return sent;
}

ND_APART static ssize_t write_bounded(int fd, const void *buf, size_t len, const void *caller) {
    return nd_send(&(struct nd_send_call){.kind = ND_WRITE, .fd = fd, .buf = buf, .len = len, .caller = caller});
}

ND_APART static ssize_t write_watched(int fd, const void *buf, size_t len, const void *caller) {
    const unsigned watch = nd_watch(fd);
    if (may_try_and_note(watch, 0))
        return send_and_note(ND_WRITE, fd, buf, len, 0, caller);
    if (is_fast(watch, 0))
        return send_attempt(ND_WRITE, fd, buf, len, 0, caller);
    return write_bounded(fd, buf, len, caller);
}

ssize_t nd_hook_write(int fd, const void *buf, size_t len) {
    const unsigned watch = nd_watch(fd);
    if (nd_unlikely(watch & ND_WATCH_OUT)) {
        if (!may_try(watch, 0))
            return write_watched(fd, buf, len, CALLER);
        int none = 0;
        ssize_t sent = nd_direct_send(fd, buf, len, &none);
        return sent == (ssize_t)len ? sent : write_continue(fd, buf, len, CALLER, sent);
    }
    return nd_real.write(fd, buf, len);
}
ND_ALIAS_OF(__write, write);

ND_APART static ssize_t writev_watched(int fd, const struct iovec *iov, int count, const void *caller) {
    struct msghdr msg = {.msg_iov = (struct iovec *)(uintptr_t)iov, .msg_iovlen = (size_t)count};
    const unsigned watch = nd_watch(fd);
    /* A write of nothing does not even give the socket's error, which a send would take. */
    if (nd_readable_on_stack(iov, (size_t)count * sizeof *iov) && nd_vector_is_void(iov, count))
        return nd_real.writev(fd, iov, count);
    if (is_fast(watch, 0))
        return send_message_attempt(ND_WRITEV, watch, fd, &msg, 0, caller);
    return nd_vector_is_void(iov, count)
               ? nd_real.writev(fd, iov, count)
               : nd_send(&(struct nd_send_call){.kind = ND_WRITEV, .fd = fd, .msg = &msg, .caller = caller});
}

ssize_t nd_hook_writev(int fd, const struct iovec *iov, int count) {
    if (nd_unlikely(nd_watch(fd) & ND_WATCH_OUT) && count > 0 && count <= IOV_MAX)
        return writev_watched(fd, iov, count, CALLER);
    return nd_real.writev(fd, iov, count);
}

ssize_t nd_hook_pwritev2(int fd, const struct iovec *iov, int count, off_t offset, int flags) {
    if (nd_unlikely(nd_watch(fd) & ND_WATCH_OUT) && nd_vector2_is_plain(count, offset, flags))
        return writev_watched(fd, iov, count, CALLER);
    return nd_real.pwritev2(fd, iov, count, offset, flags);
}

ssize_t nd_hook_pwritev64v2(int fd, const struct iovec *iov, int count, off64_t offset, int flags) {
    if (nd_unlikely(nd_watch(fd) & ND_WATCH_OUT) && nd_vector2_is_plain(count, offset, flags))
        return writev_watched(fd, iov, count, CALLER);
    return nd_real.pwritev64v2(fd, iov, count, offset, flags);
}

ND_APART static ssize_t send_bounded(int fd, const void *buf, size_t len, int flags, const void *caller) {
    return nd_send(
        &(struct nd_send_call){.kind = ND_SEND, .fd = fd, .buf = buf, .len = len, .flags = flags, .caller = caller});
}

ND_APART static ssize_t send_watched(int fd, const void *buf, size_t len, int flags, const void *caller) {
    const unsigned watch = nd_watch(fd);
    if (may_try_and_note(watch, flags))
        return send_and_note(ND_SEND, fd, buf, len, flags, caller);
    if (is_fast(watch, flags))
        return send_attempt(ND_SEND, fd, buf, len, flags, caller);
    return send_bounded(fd, buf, len, flags, caller);
}

ssize_t nd_hook_send(int fd, const void *buf, size_t len, int flags) {
    const unsigned watch = nd_watch(fd);
    if (nd_unlikely(watch & ND_WATCH_OUT)) {
        if (!may_try(watch, flags))
            return send_watched(fd, buf, len, flags, CALLER);
        ssize_t sent = nd_direct_send(fd, buf, len, &flags);
        return sent == (ssize_t)len ? sent : send_continue_flags(fd, buf, len, flags, CALLER, sent);
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

/* A send that connects first. On a connected stream a send with MSG_FASTOPEN has no address, or one that the kernel
 * ignores. */
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
        return !to && is_fast(watch, flags) ? send_attempt(ND_SENDTO, fd, buf, len, flags, CALLER)
                                            : sendto_watched(fd, buf, len, flags, to, to_len, CALLER);
    return nd_real.sendto(fd, buf, len, flags, to, to_len);
}

ND_APART static ssize_t sendmsg_watched(int fd, const struct msghdr *msg, int flags, const void *caller) {
    const unsigned watch = nd_watch(fd);
    return is_fast(watch, flags) ? send_message_attempt(ND_SENDMSG, watch, fd, msg, flags, caller)
                                 : nd_send(&(struct nd_send_call){
                                       .kind = ND_SENDMSG, .fd = fd, .msg = msg, .flags = flags, .caller = caller});
}

ssize_t nd_hook_sendmsg(int fd, const struct msghdr *msg, int flags) {
    if (nd_unlikely(flags & MSG_FASTOPEN) && msg && msg->msg_name && nd_active && !(nd_watch(fd) & ND_WATCH_OUT))
        return connect_and_send(&(struct nd_send_call){.kind = ND_SENDMSG, .fd = fd, .msg = msg, .flags = flags},
                                msg->msg_name, msg->msg_namelen);
    if (nd_unlikely(nd_kernel_timers_any_timeout))
        nd_hand_on_message(fd, msg);
    if (nd_unlikely(nd_watch(fd) & ND_WATCH_OUT))
        return sendmsg_watched(fd, msg, flags, CALLER);
    return nd_real.sendmsg(fd, msg, flags);
}

ssize_t nd_sendmsg_by_number(int fd, const struct msghdr *msg, int flags) {
    const struct nd_send_call call = {
        .kind = ND_SENDMSG, .fd = fd, .msg = msg, .flags = flags, .caller = CALLER, .by_number = true};
    const bool is_watched = nd_watch(fd) & ND_WATCH_OUT;
    if (flags & MSG_FASTOPEN && msg && msg->msg_name && nd_active && !is_watched)
        return connect_and_send(&call, msg->msg_name, msg->msg_namelen);
    if (nd_kernel_timers_any_timeout)
        nd_hand_on_message(fd, msg);
    return is_watched ? nd_send(&call) : nd_send_plain(&call);
}

#ifdef __i386__
ND_ALIAS_OF(__sendmsg64, sendmsg);
#endif
