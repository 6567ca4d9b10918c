/* The calls that only i386 has by number (syscall.c). Whatever cannot be understood, and every pointer that cannot be
 * read, is left to the kernel. */
#ifdef __i386__
#include <linux/net.h>
#include <string.h>

#include "base/clock.h"
#include "shim/hook/by_number.h"
#include "shim/hook/hook.h"
#include "shim/mode.h"
#include "shim/raw.h"
#include "shim/readable.h"

/* How many arguments each call behind socketcall takes. */
static const uint8_t counts[] = {
    [SYS_SOCKET] = 3,      [SYS_BIND] = 3,        [SYS_CONNECT] = 3,    [SYS_LISTEN] = 2,     [SYS_ACCEPT] = 3,
    [SYS_GETSOCKNAME] = 3, [SYS_GETPEERNAME] = 3, [SYS_SOCKETPAIR] = 4, [SYS_SEND] = 4,       [SYS_RECV] = 4,
    [SYS_SENDTO] = 6,      [SYS_RECVFROM] = 6,    [SYS_SHUTDOWN] = 2,   [SYS_SETSOCKOPT] = 5, [SYS_GETSOCKOPT] = 5,
    [SYS_SENDMSG] = 3,     [SYS_RECVMSG] = 3,     [SYS_ACCEPT4] = 4,    [SYS_RECVMMSG] = 5,   [SYS_SENDMMSG] = 4,
};

/* `n` long words at `from`; false where the kernel would not get them either, or we have nothing to do with them. */
static bool take(long *words, const void *from, size_t n) {
    if (!nd_active || !nd_readable(from, n * sizeof *words))
        return false;
    memcpy(words, from, n * sizeof *words);
    return true;
}

static long transfer(long call, const long v[6]) {
    int fd = (int)v[0];
    switch (call) {
    case SYS_SEND:
        return nd_hook_send(fd, (void *)v[1], (size_t)v[2], (int)v[3]);
    case SYS_SENDTO:
        return nd_hook_sendto(fd, (void *)v[1], (size_t)v[2], (int)v[3], (void *)v[4], (socklen_t)v[5]);
    case SYS_SENDMSG:
        return nd_hook_sendmsg(fd, (void *)v[1], (int)v[2]);
    case SYS_SENDMMSG:
        return nd_hook_sendmmsg(fd, (void *)v[1], (unsigned)v[2], (int)v[3]);
    case SYS_RECV:
        return nd_hook_recv(fd, (void *)v[1], (size_t)v[2], (int)v[3]);
    case SYS_RECVFROM:
        return nd_hook_recvfrom(fd, (void *)v[1], (size_t)v[2], (int)v[3], (void *)v[4], (void *)v[5]);
    case SYS_RECVMSG:
        return nd_hook_recvmsg(fd, (void *)v[1], (int)v[2]);
    default:
        return nd_hook_recvmmsg(fd, (void *)v[1], (unsigned)v[2], (int)v[3], (void *)v[4]);
    }
}

static long by_socketcall(long call, const void *args) {
    long v[6] = {0};
    size_t n = (unsigned long)call < sizeof counts ? counts[call] : 0;
    if (n == 0 || !take(v, args, n))
        return nd_real.syscall(SYS_socketcall, call, (long)args, 0, 0, 0, 0);
    switch (call) {
    case SYS_SOCKET:
        return nd_hook_socket((int)v[0], (int)v[1], (int)v[2]);
    case SYS_SOCKETPAIR:
        return nd_hook_socketpair((int)v[0], (int)v[1], (int)v[2], (void *)v[3]);
    case SYS_BIND:
        return nd_hook_bind((int)v[0], (void *)v[1], (socklen_t)v[2]);
    case SYS_LISTEN:
        return nd_hook_listen((int)v[0], (int)v[1]);
    case SYS_CONNECT:
        return nd_hook_connect((int)v[0], (void *)v[1], (socklen_t)v[2]);
    case SYS_ACCEPT:
        return nd_hook_accept((int)v[0], (void *)v[1], (void *)v[2]);
    case SYS_ACCEPT4:
        return nd_hook_accept4((int)v[0], (void *)v[1], (void *)v[2], (int)v[3]);
    case SYS_GETSOCKOPT:
        return nd_hook_getsockopt((int)v[0], (int)v[1], (int)v[2], (void *)v[3], (void *)v[4]);
    case SYS_SETSOCKOPT:
        return nd_hook_setsockopt((int)v[0], (int)v[1], (int)v[2], (void *)v[3], (socklen_t)v[4]);
    case SYS_GETSOCKNAME: /* not hooked */
    case SYS_GETPEERNAME:
    case SYS_SHUTDOWN:
        return nd_real.syscall(SYS_socketcall, call, (long)args, 0, 0, 0, 0);
    default:
        return transfer(call, v);
    }
}

static long by_select(const void *args) {
    long v[5];
    if (!take(v, args, 5))
        return nd_real.syscall(SYS_select, (long)args, 0, 0, 0, 0, 0);
    return nd_hook_syscall(SYS__newselect, v[0], v[1], v[2], v[3], v[4], 0);
}

/* A timeout that nobody counts, or that the kernel refuses, is left to the kernel. */
static bool counts_down(const struct nd_timespec64 *timeout) {
    return nd_readable(timeout, sizeof *timeout) && timeout->tv_sec >= 0 && timeout->tv_sec < ND_NEVER / ND_SEC - 1 &&
           timeout->tv_nsec >= 0 && timeout->tv_nsec < ND_SEC;
}

/* The system calls write back what is left of the timeout, where they can, which the functions do not. */
static void write_back(struct nd_timespec64 *timeout, nd_time began) {
    nd_time left = timeout->tv_sec * ND_SEC + timeout->tv_nsec - (nd_now() - began);
    left = left > 0 ? left : 0;
    if (!nd_writable(timeout, sizeof *timeout))
        return;
    timeout->tv_sec = left / ND_SEC;
    timeout->tv_nsec = (int32_t)(left % ND_SEC);
    timeout->unused = 0;
}

static long by_ppoll(long a, long b, long c, long d, long e) {
    struct nd_timespec64 *timeout = (void *)c;
    if (!nd_active || (d && e != ND_KERNEL_SIGSET_SIZE) || (timeout && !counts_down(timeout)))
        return nd_real.syscall(SYS_ppoll_time64, a, b, c, d, e, 0);
    nd_time began = nd_now();
    int ready = nd_hook___ppoll64((void *)a, (nfds_t)b, timeout, (void *)d);
    if (timeout)
        write_back(timeout, began);
    return ready;
}

static long by_pselect(long a, long b, long c, long d, long e, long f) {
    struct nd_timespec64 *timeout = (void *)e;
    long mask[2] = {0, ND_KERNEL_SIGSET_SIZE}; /* where it is, and its size */
    if (!nd_active || (f && !take(mask, (void *)f, 2)) || (mask[0] && mask[1] != ND_KERNEL_SIGSET_SIZE) ||
        (timeout && !counts_down(timeout)))
        return nd_real.syscall(SYS_pselect6_time64, a, b, c, d, e, f);
    nd_time began = nd_now();
    int ready = nd_hook___pselect64((int)a, (void *)b, (void *)c, (void *)d, timeout, (void *)mask[0]);
    if (timeout)
        write_back(timeout, began);
    return ready;
}

long nd_syscall32(long number, long a, long b, long c, long d, long e, long f) {
    switch (number) {
    case SYS_socketcall:
        return by_socketcall(a, (void *)b);
    case SYS_select:
        return by_select((void *)a);
    case SYS_ppoll_time64:
        return by_ppoll(a, b, c, d, e);
    case SYS_pselect6_time64:
        return by_pselect(a, b, c, d, e, f);
    default:
        return nd_hook___recvmmsg64((int)a, (void *)b, (unsigned)c, (int)d, (void *)e);
    }
}
#endif
