/* recv, recvfrom, recvmsg, read, readv. */
#include <errno.h>
#include <limits.h>

#include "shim/call/direct_send.h"
#include "shim/call/receive.h"
#include "shim/call/receive_fast.h"
#include "shim/hook/hook.h"
#include "shim/hook/vector2.h"
#include "shim/message.h"
#include "shim/mode.h"
#include "shim/readable.h"
#include "shim/socket/discover.h"
#include "shim/socket/record.h"
#include "shim/tls/call_fast.h"
#include "shim/tls/innermost.h"

#define CALLER __builtin_return_address(0)

/* Whether nothing bounds the call, since the TLS operation that makes it, if any, has no deadline. */
ND_INLINE bool is_unbounded(unsigned watch, int fd, const void *caller) {
    return (watch & (ND_WATCH_SCOPE | ND_WATCH_KERNEL_TIMED)) == ND_WATCH_SCOPE &&
           (nd_tls_read_is_established(fd, caller) || !nd_scope_bounds(fd, caller));
}

/* A call in a TLS operation under RECV that is made plainly, since SO_RCVTIMEO times it. */
struct timed {
    struct nd_sock *sock;
    uint32_t generation;
    nd_time began;
};

ND_INLINE bool begin_timed(struct timed *how, int fd, int flags, const void *caller) {
    how->sock = nd_sock_lookup(fd);
    how->generation = atomic_load_explicit(&how->sock->generation, memory_order_relaxed);
    return flags == 0 && nd_tls_read_is_kernel_timed(fd, how->sock, caller, &how->began);
}

ND_INLINE bool end_timed(const struct timed *how, ssize_t got) {
    if (nd_unlikely(got <= 0) ||
        nd_unlikely(atomic_load_explicit(&how->sock->generation, memory_order_relaxed) != how->generation))
        return false;
    nd_sock_received(how->sock);
    return true;
}

#define TRIED_FLAGS (MSG_NOSIGNAL | MSG_WAITALL | MSG_DONTWAIT)

/* Whether the call is one that is tried first: it blocks, and UNACKED bounds it. */
ND_INLINE bool is_tried(unsigned watch, int flags) {
    return nd_watch_tries(watch) && !(flags & ~TRIED_FLAGS);
}

/* The same on a descriptor that no TLS operation is made on. */
ND_INLINE bool is_tried_first(unsigned watch) {
    return (watch & (ND_WATCH_TRY | ND_WATCH_KERNEL_TIMED | ND_WATCH_SCOPE)) == ND_WATCH_TRY;
}

/* Whether that is all the call is made for. */
ND_INLINE bool is_all(long got, size_t len, int flags) {
    return got > 0 && (!(flags & MSG_WAITALL) || got == (long)len);
}

ND_APART static ssize_t read_bounded(int fd, void *buf, size_t len, const void *caller) {
    if (nd_unlikely(!len)) /* returns 0 at once; recv would wait, or receive a datagram */
        return nd_real.read(fd, buf, len);
    return nd_receive(&(struct nd_receive_call){.kind = ND_READ, .fd = fd, .buf = buf, .len = len, .caller = caller});
}

ND_COLD static ssize_t read_ended(int fd, void *buf, size_t len, const void *caller, ssize_t got) {
    const struct nd_receive_call call = {.kind = ND_READ, .fd = fd, .buf = buf, .len = len, .caller = caller};
    return nd_receive_ended(&call, got);
}

ND_COLD static ssize_t read_failed(int fd, void *buf, size_t len, const struct timed *how, ssize_t got) {
    const struct nd_receive_call call = {.kind = ND_READ, .fd = fd, .buf = buf, .len = len};
    return nd_receive_kernel_timed(&call, how->generation, how->began, got);
}

/* `got` is what the system call gave, minus the error number on failure; errno is still what it was before. */
ND_COLD static ssize_t read_tried(int fd, void *buf, size_t len, const void *caller, long got) {
    const struct nd_receive_call call = {.kind = ND_READ, .fd = fd, .buf = buf, .len = len, .caller = caller};
    return nd_receive_tried(&call, got);
}

ND_APART static ssize_t read_trying(int fd, void *buf, size_t len, const void *caller) {
    const int saved = errno;
    const ssize_t got = nd_real.recv(fd, buf, len, MSG_DONTWAIT);
    const int error = errno;
    errno = saved;
    return nd_likely(got > 0) ? got : read_tried(fd, buf, len, caller, got < 0 ? -error : 0);
}

ND_INLINE ssize_t read_try(int fd, void *buf, size_t len, const void *caller) {
    int flags = 0;
    if (nd_unlikely(!nd_direct_send_possible()))
        return read_trying(fd, buf, len, caller);
    const long got = nd_direct_recv(fd, buf, len, &flags);
    return nd_likely(got > 0) ? got : read_tried(fd, buf, len, caller, got);
}

/* On a descriptor that TLS operations are made on. */
ND_APART static ssize_t read_in_tls(int fd, void *buf, size_t len, const void *caller, unsigned watch) {
    if (!is_unbounded(watch, fd, caller))
        return read_bounded(fd, buf, len, caller);
    if (is_tried(watch, 0) && nd_likely(len))
        return read_try(fd, buf, len, caller);
    const ssize_t got = nd_real.read(fd, buf, len);
    return nd_likely(got > 0) ? got : read_ended(fd, buf, len, caller, got);
}

/* The same on a socket under SO_RCVTIMEO (RECV). */
ND_APART static ssize_t read_in_tls_timed(int fd, void *buf, size_t len, const void *caller) {
    struct timed how;
    if (!begin_timed(&how, fd, 0, caller))
        return read_bounded(fd, buf, len, caller);
    const ssize_t got = nd_real.read(fd, buf, len);
    return nd_likely(end_timed(&how, got)) ? got : read_failed(fd, buf, len, &how, got);
}

ND_COLD static ssize_t read_continue(int fd, void *buf, size_t len, const void *caller, struct nd_kernel_timed *timed,
                                     ssize_t result) {
    const struct nd_receive_call call = {.kind = ND_READ, .fd = fd, .buf = buf, .len = len, .caller = caller};
    return nd_kernel_timed_continue(&call, timed, result);
}

ND_APART static ssize_t read_watched(int fd, void *buf, size_t len, const void *caller, unsigned watch) {
    struct nd_kernel_timed timed;
    if (nd_kernel_timed_begin(&timed, ND_OPERATION_read, watch, fd, 0)) {
        const ssize_t result = nd_real.read(fd, buf, len);
        return nd_likely(nd_kernel_timed_end(&timed, result, len, 0))
                   ? result
                   : read_continue(fd, buf, len, caller, &timed, result);
    }
    return read_bounded(fd, buf, len, caller);
}

/* Any but the commonest calls on a descriptor with ND_WATCH_IN. */
ND_APART static ssize_t read_otherwise(int fd, void *buf, size_t len, const void *caller) {
    const unsigned watch = nd_watch(fd);
    if (watch & ND_WATCH_SCOPE)
        return !(watch & ND_WATCH_KERNEL_TIMED) ? read_in_tls(fd, buf, len, caller, watch)
                                                : read_in_tls_timed(fd, buf, len, caller);
    return read_watched(fd, buf, len, caller, watch);
}

static inline ssize_t read_for(int fd, void *buf, size_t len, const void *caller) {
    const unsigned watch = nd_watch(fd);
    if (nd_likely(!(watch & ND_WATCH_IN)))
        return nd_real.read(fd, buf, len);
    /* A read of nothing does not even give the socket's error, which a receive would take. */
    return is_tried_first(watch) && nd_likely(len) ? read_try(fd, buf, len, NULL)
                                                   : read_otherwise(fd, buf, len, caller);
}

ssize_t nd_hook_read(int fd, void *buf, size_t len) {
    return read_for(fd, buf, len, CALLER);
}
ND_ALIAS_OF(__read, read);

ssize_t nd_hook___read_chk(int fd, void *buf, size_t len, size_t size) {
    if (nd_unlikely(len > size))
        return nd_real.__read_chk(fd, buf, len, size);
    return read_for(fd, buf, len, CALLER);
}

/* What the kernel times is the program's own readv, which may have any buffers. */
ND_APART static ssize_t readv_watched(int fd, const struct iovec *iov, int count, const void *caller, unsigned watch) {
    const bool is_own = (watch & (ND_WATCH_KERNEL_TIMED | ND_WATCH_SCOPE)) == ND_WATCH_KERNEL_TIMED;
    if (!is_own && nd_vector_is_void(iov, count))
        return nd_real.readv(fd, iov, count);
    return nd_receive(&(struct nd_receive_call){
        .kind = ND_READV, .fd = fd, .buf = (void *)(uintptr_t)iov, .len = (size_t)count, .caller = caller});
}

ssize_t nd_hook_readv(int fd, const struct iovec *iov, int count) {
    const unsigned watch = nd_watch(fd);
    if (nd_unlikely(watch & ND_WATCH_IN) && count > 0 && count <= IOV_MAX)
        return readv_watched(fd, iov, count, CALLER, watch);
    return nd_real.readv(fd, iov, count);
}

ssize_t nd_hook_preadv2(int fd, const struct iovec *iov, int count, off_t offset, int flags) {
    if (nd_unlikely(nd_watch(fd) & ND_WATCH_IN) && nd_vector2_is_plain(count, offset, flags))
        return readv_watched(fd, iov, count, CALLER, nd_watch(fd));
    return nd_real.preadv2(fd, iov, count, offset, flags);
}

ssize_t nd_hook_preadv64v2(int fd, const struct iovec *iov, int count, off64_t offset, int flags) {
    if (nd_unlikely(nd_watch(fd) & ND_WATCH_IN) && nd_vector2_is_plain(count, offset, flags))
        return readv_watched(fd, iov, count, CALLER, nd_watch(fd));
    return nd_real.preadv64v2(fd, iov, count, offset, flags);
}

ND_APART static ssize_t recv_bounded(int fd, void *buf, size_t len, int flags, const void *caller) {
    return nd_receive(
        &(struct nd_receive_call){.kind = ND_RECV, .fd = fd, .buf = buf, .len = len, .flags = flags, .caller = caller});
}

ND_COLD static ssize_t recv_ended(int fd, void *buf, size_t len, int flags, const void *caller, ssize_t got) {
    const struct nd_receive_call call = {
        .kind = ND_RECV, .fd = fd, .buf = buf, .len = len, .flags = flags, .caller = caller};
    return nd_receive_ended(&call, got);
}

ND_COLD static ssize_t recv_failed(int fd, void *buf, size_t len, const struct timed *how, ssize_t got) {
    const struct nd_receive_call call = {.kind = ND_RECV, .fd = fd, .buf = buf, .len = len};
    return nd_receive_kernel_timed(&call, how->generation, how->began, got);
}

ND_COLD static ssize_t recv_tried(int fd, void *buf, size_t len, int flags, const void *caller, long got) {
    const struct nd_receive_call call = {
        .kind = ND_RECV, .fd = fd, .buf = buf, .len = len, .flags = flags, .caller = caller};
    return nd_receive_tried(&call, got);
}

ND_APART static ssize_t recv_trying(int fd, void *buf, size_t len, int flags, const void *caller) {
    const int saved = errno;
    const ssize_t got = nd_real.recv(fd, buf, len, flags | MSG_DONTWAIT);
    const int error = errno;
    errno = saved;
    return is_all(got, len, flags) ? got : recv_tried(fd, buf, len, flags, caller, got < 0 ? -error : got);
}

ND_INLINE ssize_t recv_try(int fd, void *buf, size_t len, int flags, const void *caller) {
    if (nd_unlikely(!nd_direct_send_possible()))
        return recv_trying(fd, buf, len, flags, caller);
    const long got = nd_direct_recv(fd, buf, len, &flags);
    return nd_likely(is_all(got, len, flags)) ? got : recv_tried(fd, buf, len, flags, caller, got);
}

ND_APART static ssize_t recv_in_tls(int fd, void *buf, size_t len, int flags, const void *caller, unsigned watch) {
    if (!is_unbounded(watch, fd, caller))
        return recv_bounded(fd, buf, len, flags, caller);
    if (is_tried(watch, flags))
        return recv_try(fd, buf, len, flags, caller);
    const ssize_t got = nd_real.recv(fd, buf, len, flags);
    return nd_likely(got > 0) ? got : recv_ended(fd, buf, len, flags, caller, got);
}

ND_APART static ssize_t recv_in_tls_timed(int fd, void *buf, size_t len, int flags, const void *caller) {
    struct timed how;
    if (!begin_timed(&how, fd, flags, caller))
        return recv_bounded(fd, buf, len, flags, caller);
    const ssize_t got = nd_real.recv(fd, buf, len, flags);
    return nd_likely(end_timed(&how, got)) ? got : recv_failed(fd, buf, len, &how, got);
}

ND_COLD static ssize_t recv_continue(int fd, void *buf, size_t len, int flags, const void *caller,
                                     struct nd_kernel_timed *timed, ssize_t result) {
    const struct nd_receive_call call = {
        .kind = ND_RECV, .fd = fd, .buf = buf, .len = len, .flags = flags, .caller = caller};
    return nd_kernel_timed_continue(&call, timed, result);
}

ND_APART static ssize_t recv_watched(int fd, void *buf, size_t len, int flags, const void *caller, unsigned watch) {
    struct nd_kernel_timed timed;
    if (nd_kernel_timed_begin(&timed, ND_OPERATION_recv, watch, fd, flags)) {
        const ssize_t result = nd_real.recv(fd, buf, len, flags);
        return nd_likely(nd_kernel_timed_end(&timed, result, len, flags))
                   ? result
                   : recv_continue(fd, buf, len, flags, caller, &timed, result);
    }
    return recv_bounded(fd, buf, len, flags, caller);
}

ND_APART static ssize_t recv_otherwise(int fd, void *buf, size_t len, int flags, const void *caller) {
    const unsigned watch = nd_watch(fd);
    if (watch & ND_WATCH_SCOPE)
        return !(watch & ND_WATCH_KERNEL_TIMED) ? recv_in_tls(fd, buf, len, flags, caller, watch)
                                                : recv_in_tls_timed(fd, buf, len, flags, caller);
    return recv_watched(fd, buf, len, flags, caller, watch);
}

ND_APART static ssize_t recv_with_flags(int fd, void *buf, size_t len, int flags, const void *caller) {
    if (flags == MSG_DONTWAIT)
        return nd_real.recv(fd, buf, len, flags); /* does not wait, and nothing else is bounded */
    return flags & ~TRIED_FLAGS ? recv_otherwise(fd, buf, len, flags, caller) : recv_try(fd, buf, len, flags, NULL);
}

static inline ssize_t recv_for(int fd, void *buf, size_t len, int flags, const void *caller) {
    const unsigned watch = nd_watch(fd);
    if (nd_likely(!(watch & ND_WATCH_IN)))
        return nd_real.recv(fd, buf, len, flags);
    if (!is_tried_first(watch))
        return recv_otherwise(fd, buf, len, flags, caller);
    if (flags || nd_unlikely(!nd_direct_send_possible()))
        return recv_with_flags(fd, buf, len, flags, caller);
    const long got = nd_direct_recv(fd, buf, len, &flags);
    return nd_likely(got > 0) ? got : recv_tried(fd, buf, len, 0, NULL, got);
}

ssize_t nd_hook_recv(int fd, void *buf, size_t len, int flags) {
    return recv_for(fd, buf, len, flags, CALLER);
}

ssize_t nd_hook___recv_chk(int fd, void *buf, size_t len, size_t size, int flags) {
    if (nd_unlikely(len > size))
        return nd_real.__recv_chk(fd, buf, len, size, flags);
    return recv_for(fd, buf, len, flags, CALLER);
}

ND_APART static ssize_t recvfrom_watched(int fd, void *buf, size_t len, int flags, struct sockaddr *from,
                                         socklen_t *from_len, const void *caller) {
    return nd_receive(&(struct nd_receive_call){.kind = ND_RECVFROM,
                                                .fd = fd,
                                                .buf = buf,
                                                .len = len,
                                                .flags = flags,
                                                .from = from,
                                                .from_len = from_len,
                                                .caller = caller});
}

ssize_t nd_hook_recvfrom(int fd, void *buf, size_t len, int flags, struct sockaddr *from, socklen_t *from_len) {
    if (nd_unlikely(nd_watch(fd) & ND_WATCH_IN))
        return recvfrom_watched(fd, buf, len, flags, from, from_len, CALLER);
    return nd_real.recvfrom(fd, buf, len, flags, from, from_len);
}

ssize_t nd_hook___recvfrom_chk(int fd, void *buf, size_t len, size_t size, int flags, struct sockaddr *from,
                               socklen_t *from_len) {
    if (nd_unlikely(len > size))
        return nd_real.__recvfrom_chk(fd, buf, len, size, flags, from, from_len);
    return nd_hook_recvfrom(fd, buf, len, flags, from, from_len);
}

ND_APART static ssize_t recvmsg_watched(int fd, struct msghdr *msg, int flags, const void *caller) {
    return nd_receive(&(struct nd_receive_call){
        .kind = ND_RECVMSG, .fd = fd, .buf = msg, .len = 1, .flags = flags, .caller = caller});
}

ssize_t nd_hook_recvmsg(int fd, struct msghdr *msg, int flags) {
    ssize_t got = nd_unlikely(nd_watch(fd) & ND_WATCH_IN) ? recvmsg_watched(fd, msg, flags, CALLER)
                                                          : nd_real.recvmsg(fd, msg, flags);
    if (nd_unlikely(got >= 0 && nd_message_control_size(msg) > 0) && nd_active)
        nd_discover_received(msg);
    return got;
}

#ifdef __i386__
ssize_t nd_hook___recvmsg64(int fd, struct msghdr *msg, int flags) {
    const struct nd_receive_call call = {
        .kind = ND_RECVMSG, .fd = fd, .buf = msg, .len = 1, .flags = flags, .caller = CALLER, .has_time64 = true};
    ssize_t got = nd_unlikely(nd_watch(fd) & ND_WATCH_IN) ? nd_receive(&call) : nd_real.__recvmsg64(fd, msg, flags);
    if (nd_unlikely(got >= 0 && nd_message_control_size(msg) > 0) && nd_active)
        nd_discover_received(msg);
    return got;
}
#endif
