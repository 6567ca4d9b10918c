/* recv, recvfrom, recvmsg, read, readv. */
#include <errno.h>
#include <limits.h>

#include "shim/call/receive.h"
#include "shim/call/receive_fast.h"
#include "shim/hook/hook.h"
#include "shim/mode.h"
#include "shim/readable.h"
#include "shim/socket/discover.h"
#include "shim/socket/record.h"
#include "shim/tls/call_fast.h"
#include "shim/tls/innermost.h"
#include "shim/tls/scope.h"

#define CALLER __builtin_return_address(0)

/* Whether nothing bounds the call, since the TLS operation that it may be part of has no deadline. */
ND_INLINE bool goes_straight(unsigned watch, int fd, const void *caller) {
    return (watch & (ND_WATCH_SCOPE | ND_WATCH_KERNEL_TIMED)) == ND_WATCH_SCOPE &&
           (nd_tls_read_is_established(fd, caller) || !nd_scope_bounds(fd, caller));
}

/* A call in a TLS operation under RECV that is made as it is, since the kernel's timer keeps it. */
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

ND_APART static ssize_t read_bounded(int fd, void *buf, size_t len, const void *caller) {
    if (nd_unlikely(!len)) /* gives 0 at once, where recv would wait, or take a datagram */
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

/* On a descriptor that TLS operations are made on. */
ND_APART static ssize_t read_in_tls(int fd, void *buf, size_t len, const void *caller, unsigned watch) {
    if (!goes_straight(watch, fd, caller))
        return read_bounded(fd, buf, len, caller);
    const ssize_t got = nd_real.read(fd, buf, len);
    return nd_likely(got > 0) ? got : read_ended(fd, buf, len, caller, got);
}

/* The same under RECV. */
ND_APART static ssize_t read_in_tls_kept(int fd, void *buf, size_t len, const void *caller) {
    struct timed how;
    if (!begin_timed(&how, fd, 0, caller))
        return read_bounded(fd, buf, len, caller);
    const ssize_t got = nd_real.read(fd, buf, len);
    return nd_likely(end_timed(&how, got)) ? got : read_failed(fd, buf, len, &how, got);
}

ND_COLD static ssize_t read_on(int fd, void *buf, size_t len, const void *caller, struct nd_kernel_timed *kept,
                               ssize_t result) {
    const struct nd_receive_call call = {.kind = ND_READ, .fd = fd, .buf = buf, .len = len, .caller = caller};
    return nd_kernel_timed_continue(&call, kept, result);
}

ND_APART static ssize_t read_watched(int fd, void *buf, size_t len, const void *caller, unsigned watch) {
    struct nd_kernel_timed kept;
    if (nd_kernel_timed_begin(&kept, ND_OPERATION_read, watch, fd, 0)) {
        const ssize_t result = nd_real.read(fd, buf, len);
        return nd_likely(nd_kernel_timed_end(&kept, result, len, 0)) ? result
                                                                     : read_on(fd, buf, len, caller, &kept, result);
    }
    return read_bounded(fd, buf, len, caller);
}

static inline ssize_t read_for(int fd, void *buf, size_t len, const void *caller) {
    const unsigned watch = nd_watch(fd);
    if (nd_unlikely(watch & ND_WATCH_IN))
        return !(watch & ND_WATCH_SCOPE)          ? read_watched(fd, buf, len, caller, watch)
               : !(watch & ND_WATCH_KERNEL_TIMED) ? read_in_tls(fd, buf, len, caller, watch)
                                                  : read_in_tls_kept(fd, buf, len, caller);
    return nd_real.read(fd, buf, len);
}

ssize_t nd_hook_read(int fd, void *buf, size_t len) {
    return read_for(fd, buf, len, CALLER);
}
ND_ALIAS_OF(__read, read);

ssize_t nd_hook___read_chk(int fd, void *buf, size_t len, size_t room) {
    if (nd_unlikely(len > room))
        return nd_real.__read_chk(fd, buf, len, room);
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

ND_APART static ssize_t recv_in_tls(int fd, void *buf, size_t len, int flags, const void *caller, unsigned watch) {
    if (!goes_straight(watch, fd, caller))
        return recv_bounded(fd, buf, len, flags, caller);
    const ssize_t got = nd_real.recv(fd, buf, len, flags);
    return nd_likely(got > 0) ? got : recv_ended(fd, buf, len, flags, caller, got);
}

ND_APART static ssize_t recv_in_tls_kept(int fd, void *buf, size_t len, int flags, const void *caller) {
    struct timed how;
    if (!begin_timed(&how, fd, flags, caller))
        return recv_bounded(fd, buf, len, flags, caller);
    const ssize_t got = nd_real.recv(fd, buf, len, flags);
    return nd_likely(end_timed(&how, got)) ? got : recv_failed(fd, buf, len, &how, got);
}

ND_COLD static ssize_t recv_on(int fd, void *buf, size_t len, int flags, const void *caller,
                               struct nd_kernel_timed *kept, ssize_t result) {
    const struct nd_receive_call call = {
        .kind = ND_RECV, .fd = fd, .buf = buf, .len = len, .flags = flags, .caller = caller};
    return nd_kernel_timed_continue(&call, kept, result);
}

ND_APART static ssize_t recv_watched(int fd, void *buf, size_t len, int flags, const void *caller, unsigned watch) {
    struct nd_kernel_timed kept;
    if (nd_kernel_timed_begin(&kept, ND_OPERATION_recv, watch, fd, flags)) {
        const ssize_t result = nd_real.recv(fd, buf, len, flags);
        return nd_likely(nd_kernel_timed_end(&kept, result, len, flags))
                   ? result
                   : recv_on(fd, buf, len, flags, caller, &kept, result);
    }
    return recv_bounded(fd, buf, len, flags, caller);
}

static inline ssize_t recv_for(int fd, void *buf, size_t len, int flags, const void *caller) {
    const unsigned watch = nd_watch(fd);
    if (nd_unlikely(watch & ND_WATCH_IN))
        return !(watch & ND_WATCH_SCOPE)          ? recv_watched(fd, buf, len, flags, caller, watch)
               : !(watch & ND_WATCH_KERNEL_TIMED) ? recv_in_tls(fd, buf, len, flags, caller, watch)
                                                  : recv_in_tls_kept(fd, buf, len, flags, caller);
    return nd_real.recv(fd, buf, len, flags);
}

ssize_t nd_hook_recv(int fd, void *buf, size_t len, int flags) {
    return recv_for(fd, buf, len, flags, CALLER);
}

ssize_t nd_hook___recv_chk(int fd, void *buf, size_t len, size_t room, int flags) {
    if (nd_unlikely(len > room))
        return nd_real.__recv_chk(fd, buf, len, room, flags);
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

ssize_t nd_hook___recvfrom_chk(int fd, void *buf, size_t len, size_t room, int flags, struct sockaddr *from,
                               socklen_t *from_len) {
    if (nd_unlikely(len > room))
        return nd_real.__recvfrom_chk(fd, buf, len, room, flags, from, from_len);
    return nd_hook_recvfrom(fd, buf, len, flags, from, from_len);
}

ND_APART static ssize_t recvmsg_watched(int fd, struct msghdr *msg, int flags, const void *caller) {
    return nd_receive(&(struct nd_receive_call){
        .kind = ND_RECVMSG, .fd = fd, .buf = msg, .len = 1, .flags = flags, .caller = caller});
}

ssize_t nd_hook_recvmsg(int fd, struct msghdr *msg, int flags) {
    ssize_t got = nd_unlikely(nd_watch(fd) & ND_WATCH_IN) ? recvmsg_watched(fd, msg, flags, CALLER)
                                                          : nd_real.recvmsg(fd, msg, flags);
    if (nd_unlikely(got >= 0 && msg->msg_controllen > 0) && nd_active)
        nd_discover_received(msg);
    return got;
}

#ifdef __i386__
ssize_t nd_hook___recvmsg64(int fd, struct msghdr *msg, int flags) {
    const struct nd_receive_call call = {
        .kind = ND_RECVMSG, .fd = fd, .buf = msg, .len = 1, .flags = flags, .caller = CALLER, .has_time64 = true};
    ssize_t got = nd_unlikely(nd_watch(fd) & ND_WATCH_IN) ? nd_receive(&call) : nd_real.__recvmsg64(fd, msg, flags);
    if (nd_unlikely(got >= 0 && msg->msg_controllen > 0) && nd_active)
        nd_discover_received(msg);
    return got;
}
#endif
