/* syscall: the hooked calls made by number. They are bounded as the functions are, and everything else leaves by a
 * jump, so that no frame of ours stands on the stack of a clone or vfork made this way. libc's syscall is no
 * cancellation point; the functions are, so cancellation is held off meanwhile.
 *
 * A wrapper behind this library may make its own call by number, inside a call that a hook has made to it: hooked
 * again, that would come back to the wrapper without end. */
#include <errno.h>
#include <pthread.h>

#include "base/libc.h"
#include "shim/hook/by_number.h"
#include "shim/hook/hook.h"
#include "shim/mode.h"
#include "shim/next.h"
#include "shim/raw.h"
#include "shim/readable.h"
#include "shim/report/operations.h"
#include "shim/socket/discover.h"
#include "shim/wait/uring.h"

/* When a number leaves the fast path: with a descriptor whose calls of that kind do, or always; NOTED is one that
 * `noted` makes. */
enum { ALWAYS = 0x80, NOTED = ALWAYS | 1 };

/* Of the operations, those that move bytes on one descriptor do so where that is watched, but for messages, which
 * may bring descriptors on any. */
#define WHEN(family, direction)                                                                                        \
    (ND_FAMILY_##family == ND_FAMILY_RECEIVE || ND_FAMILY_##family == ND_FAMILY_SEND                                   \
         ? (ND_MOVES_##direction == ND_MOVES_IN ? ND_WATCH_IN : ND_WATCH_OUT)                                          \
         : ALWAYS)

enum {
#define ND_OPERATION(name, family, limit, direction) WHEN_##name = WHEN(family, direction),
#include "shim/report/operations.def"
};

/* clang-format off */
static const uint8_t forms[] = {
#define ND_SYSTEM_CALL(call, operation) [SYS_##call] = WHEN_##operation,
#include "shim/report/operations.def"
    [SYS_socket] = ALWAYS,     [SYS_socketpair] = ALWAYS, [SYS_bind] = ALWAYS,  [SYS_listen] = ALWAYS,
    [SYS_getsockopt] = ALWAYS, [SYS_setsockopt] = ALWAYS, [SYS_dup] = ALWAYS,   [SYS_dup3] = ALWAYS,
    [SYS_unshare] = ALWAYS,    [SYS_close_range] = ALWAYS, [SYS_execve] = NOTED,
#if SYS_execveat != -1
    [SYS_execveat] = NOTED,
#endif
    [SYS_fcntl] = ALWAYS,      [SYS_ioctl] = ALWAYS,      [SYS_prctl] = NOTED,  [SYS_epoll_ctl] = ALWAYS,
#ifdef SYS_dup2
    [SYS_dup2] = ALWAYS,
#endif
#ifdef SYS_fcntl64
    [SYS_fcntl64] = ALWAYS,
#endif
#if SYS_seccomp != -1
    [SYS_seccomp] = NOTED,
#endif
    [SYS_pidfd_getfd] = NOTED, [SYS_io_uring_setup] = NOTED, [SYS_io_uring_enter] = NOTED,
#ifdef __i386__
    [SYS_socketcall] = ALWAYS,
    [SYS_select] = ALWAYS,
#endif
};
/* clang-format on */

/* ppoll and pselect6 write back what is left of the timeout, where they can, which the functions do not. */
static void write_back(struct timespec *timeout, nd_time began) {
    nd_time left = timeout->tv_sec * ND_SEC + timeout->tv_nsec - (nd_now() - began);
    left = left > 0 ? left : 0;
    if (!nd_writable(timeout, sizeof *timeout))
        return;
    timeout->tv_sec = (time_t)(left / ND_SEC);
    timeout->tv_nsec = (long)(left % ND_SEC);
}

/* A timeout so long that nobody counts it, or one that the kernel refuses, is left to the kernel. */
static bool counts(const struct timespec *timeout) {
    nd_time seconds = nd_readable(timeout, sizeof *timeout) ? timeout->tv_sec : -1;
    return seconds >= 0 && seconds < ND_NEVER / ND_SEC - 1 && timeout->tv_nsec >= 0 && timeout->tv_nsec < ND_SEC;
}

static long by_ppoll(long a, long b, long c, long d, long e) {
    struct timespec *timeout = (void *)c;
    if ((d && e != ND_KERNEL_SIGSET_SIZE) || (timeout && !counts(timeout)))
        return nd_real.syscall(SYS_ppoll, a, b, c, d, e, 0);
    nd_time began = nd_now();
    int ready = nd_hook_ppoll((void *)a, (nfds_t)b, timeout, (void *)d);
    if (timeout)
        write_back(timeout, began);
    return ready;
}

/* The function reads the timeout and writes it back itself, where the system call leaves both to the kernel. */
static long by_select(long number, long a, long b, long c, long d, long e) {
    struct timeval *timeout = (void *)e, copy;
    if (timeout && !nd_readable(timeout, sizeof *timeout))
        return nd_real.syscall(number, a, b, c, d, e, 0);
    if (timeout)
        copy = *timeout;
    const int ready = nd_hook_select((int)a, (void *)b, (void *)c, (void *)d, timeout ? &copy : NULL);
    if (timeout && nd_writable(timeout, sizeof *timeout))
        *timeout = copy;
    return ready;
}

static long by_pselect(long a, long b, long c, long d, long e, long f) {
    const struct {
        const sigset_t *set;
        size_t size;
    } *mask = (void *)f;
    struct timespec *timeout = (void *)e;
    if ((mask && !nd_readable(mask, sizeof *mask)) || (mask && mask->set && mask->size != ND_KERNEL_SIGSET_SIZE) ||
        (timeout && !counts(timeout)))
        return nd_real.syscall(SYS_pselect6, a, b, c, d, e, f);
    nd_time began = nd_now();
    int ready = nd_hook_pselect((int)a, (void *)b, (void *)c, (void *)d, timeout, mask ? mask->set : NULL);
    if (timeout)
        write_back(timeout, began);
    return ready;
}

static long by_epoll(long number, long a, long b, long c, long d, long e, long f) {
    if (e && f != ND_KERNEL_SIGSET_SIZE)
        return nd_real.syscall(number, a, b, c, d, e, f);
#ifdef SYS_epoll_pwait2
    if (number == SYS_epoll_pwait2)
#ifdef __i386__ /* its times have 64 bits everywhere */
        return nd_hook___epoll_pwait2_time64((int)a, (void *)b, (int)c, (void *)d, (void *)e);
#else
        return nd_hook_epoll_pwait2((int)a, (void *)b, (int)c, (void *)d, (void *)e);
#endif
#endif
    return nd_hook_epoll_pwait((int)a, (void *)b, (int)c, (int)d, (void *)e);
}

/* libc's fcntl makes some commands of others. */
static long by_fcntl(long number, long a, long b, long c) {
    bool ours = b == F_SETFL || b == F_DUPFD || b == F_DUPFD_CLOEXEC;
    return ours ? nd_hook_fcntl((int)a, (int)b, (void *)c) : nd_real.syscall(number, a, b, c, 0, 0, 0);
}

#ifdef SYS_preadv2
/* preadv2 and pwritev2: the offset is two numbers in a 32-bit program. */
static long by_vector2(long number, long a, long b, long c, long d, long e, long f) {
    const off64_t offset = sizeof d == sizeof(off64_t) ? d : (off64_t)(((uint64_t)e << 32) | (uint32_t)d);
    return number == SYS_preadv2 ? nd_hook_preadv64v2((int)a, (void *)b, (int)c, offset, (int)f)
                                 : nd_hook_pwritev64v2((int)a, (void *)b, (int)c, offset, (int)f);
}
#endif

/* Each of the following makes the calls that it knows, and hands on the others. */

/* Calls on any descriptor as such. */
static long about_descriptors(long number, long a, long b, long c, long d, long e, long f) {
    switch (number) {
    case SYS_close:
        return nd_hook_close((int)a);
    case SYS_dup:
        return nd_hook_dup((int)a);
#ifdef SYS_dup2
    case SYS_dup2:
        return nd_hook_dup2((int)a, (int)b);
#endif
    case SYS_dup3:
        return nd_hook_dup3((int)a, (int)b, (int)c);
    case SYS_unshare:
        return nd_hook_unshare((int)a);
    case SYS_close_range:
        return nd_hook_close_range((unsigned)a, (unsigned)b, (int)c);
    case SYS_ioctl:
        return nd_hook_ioctl((int)a, (unsigned long)b, (void *)c);
    case SYS_epoll_ctl:
        return nd_hook_epoll_ctl((int)a, (int)b, (int)c, (void *)d);
#ifdef SYS_fcntl64
    case SYS_fcntl64:
#endif
    case SYS_fcntl:
        return by_fcntl(number, a, b, c);
    default:
        return nd_real.syscall(number, a, b, c, d, e, f);
    }
}

/* Calls on a socket as such. */
static long about_sockets(long number, long a, long b, long c, long d, long e, long f) {
    switch (number) {
    case SYS_socket:
        return nd_hook_socket((int)a, (int)b, (int)c);
    case SYS_socketpair:
        return nd_hook_socketpair((int)a, (int)b, (int)c, (void *)d);
    case SYS_bind:
        return nd_hook_bind((int)a, (void *)b, (socklen_t)c);
    case SYS_listen:
        return nd_hook_listen((int)a, (int)b);
    case SYS_connect:
        return nd_hook_connect((int)a, (void *)b, (socklen_t)c);
#ifdef SYS_accept
    case SYS_accept:
        return nd_hook_accept((int)a, (void *)b, (void *)c);
#endif
    case SYS_accept4:
        return nd_hook_accept4((int)a, (void *)b, (void *)c, (int)d);
    case SYS_getsockopt:
        return nd_hook_getsockopt((int)a, (int)b, (int)c, (void *)d, (void *)e);
    case SYS_setsockopt:
        return nd_hook_setsockopt((int)a, (int)b, (int)c, (void *)d, (socklen_t)e);
    default:
        return about_descriptors(number, a, b, c, d, e, f);
    }
}

static long wait_for(long number, long a, long b, long c, long d, long e, long f) {
    switch (number) {
#ifdef SYS_poll
    case SYS_poll:
        return nd_hook_poll((void *)a, (nfds_t)b, (int)c);
#endif
    case SYS_ppoll:
        return by_ppoll(a, b, c, d, e);
#if defined(SYS_select) && !defined(__i386__)
    case SYS_select:
        return by_select(number, a, b, c, d, e);
#endif
#ifdef SYS__newselect
    case SYS__newselect:
        return by_select(number, a, b, c, d, e);
#endif
    case SYS_pselect6:
        return by_pselect(a, b, c, d, e, f);
#ifdef SYS_epoll_wait
    case SYS_epoll_wait:
        return nd_hook_epoll_wait((int)a, (void *)b, (int)c, (int)d);
#endif
#ifdef SYS_epoll_pwait2
    case SYS_epoll_pwait2:
#endif
    case SYS_epoll_pwait:
        return by_epoll(number, a, b, c, d, e, f);
#ifdef __i386__
    case SYS_socketcall:
    case SYS_select:
    case SYS_ppoll_time64:
    case SYS_pselect6_time64:
    case SYS_recvmmsg_time64:
        return nd_syscall32(number, a, b, c, d, e, f);
#endif
    default:
        return about_sockets(number, a, b, c, d, e, f);
    }
}

long nd_syscall_hooked(long number, long a, long b, long c, long d, long e, long f) {
    switch (number) {
    case SYS_read:
        return nd_hook_read((int)a, (void *)b, (size_t)c);
    case SYS_readv:
        return nd_hook_readv((int)a, (void *)b, (int)c);
    case SYS_recvfrom:
        return nd_hook_recvfrom((int)a, (void *)b, (size_t)c, (int)d, (void *)e, (void *)f);
    case SYS_recvmsg:
        return nd_hook_recvmsg((int)a, (void *)b, (int)c);
    case SYS_recvmmsg:
        return nd_hook_recvmmsg((int)a, (void *)b, (unsigned)c, (int)d, (void *)e);
    case SYS_write:
        return nd_hook_write((int)a, (void *)b, (size_t)c);
    case SYS_writev:
        return nd_hook_writev((int)a, (void *)b, (int)c);
    case SYS_sendto:
        return nd_hook_sendto((int)a, (void *)b, (size_t)c, (int)d, (void *)e, (socklen_t)f);
    case SYS_sendmsg:
        return nd_libc_is_musl() ? nd_sendmsg_by_number((int)a, (void *)b, (int)c)
                                 : nd_hook_sendmsg((int)a, (void *)b, (int)c);
    case SYS_sendmmsg:
        return nd_libc_is_musl() ? nd_sendmmsg_by_number((int)a, (void *)b, (unsigned)c, (int)d)
                                 : nd_hook_sendmmsg((int)a, (void *)b, (unsigned)c, (int)d);
    case SYS_sendfile:
        return nd_hook_sendfile((int)a, (int)b, (void *)c, (size_t)d);
#ifdef SYS_sendfile64
    case SYS_sendfile64:
        return nd_hook_sendfile64((int)a, (int)b, (void *)c, (size_t)d);
#endif
    case SYS_splice:
        return nd_hook_splice((int)a, (void *)b, (int)c, (void *)d, (size_t)e, (unsigned)f);
#ifdef SYS_preadv2
    case SYS_preadv2:
    case SYS_pwritev2:
        return by_vector2(number, a, b, c, d, e, f);
#endif
    default:
        return wait_for(number, a, b, c, d, e, f);
    }
}

/* Calls that are not hooked as functions, or whose function is not called for it; and those by which a child of vfork,
 * in whose parent's memory the state of cancellation would stay, becomes another program. */
static long noted(long number, long a, long b, long c, long d, long e, long f) {
    if (number == SYS_prctl || number == SYS_seccomp)
        return nd_prctl_by_number(number, a, b, c, d, e, f);
    if (number == SYS_execve)
        return nd_hook_execve((const char *)a, (char *const *)b, (char *const *)c);
    if (number == SYS_execveat)
        return nd_hook_execveat((int)a, (const char *)b, (char *const *)c, (char *const *)d, (int)e);
    const long result = nd_real.syscall(number, a, b, c, d, e, f);
    const int saved = errno;
    if (result < 0 || !nd_active)
        return result;
    if (number == SYS_pidfd_getfd)
        nd_discover_arrived((int)result);
    else if (number == SYS_io_uring_setup || b > 0)
        nd_uring_noted(number == SYS_io_uring_setup);
    errno = saved;
    return result;
}

ND_COLD static long syscall_watched(unsigned when, long number, long a, long b, long c, long d, long e, long f) {
    if (when == NOTED)
        return noted(number, a, b, c, d, e, f);
    int state = PTHREAD_CANCEL_ENABLE;
    pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &state);
    long result = nd_syscall_hooked(number, a, b, c, d, e, f);
    pthread_setcancelstate(state, NULL);
    return result;
}

/* A caller passes as many arguments as its call has: where they are on the stack, what follows them is the caller's, and a
 * sibling call would store others there (i386, gcc 12). */
#ifdef __i386__
__attribute__((optimize("no-optimize-sibling-calls")))
#endif
long nd_hook_syscall(long number, long a, long b, long c, long d, long e, long f) {
    unsigned when = (unsigned long)number < sizeof forms ? forms[number] : 0;
    if (nd_unlikely(when) && ((when & ALWAYS) || (nd_watch((int)a) & when)) &&
        !(nd_next_any && nd_next_has(__builtin_return_address(0))))
        return syscall_watched(when, number, a, b, c, d, e, f);
    return nd_real.syscall(number, a, b, c, d, e, f);
}
