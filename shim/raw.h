/* Raw system calls: for the library's own use, and for hooks that are reached before the real functions are found. They
 * are not cancellation points. Async-signal-safe. */
#pragma once

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stddef.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/select.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#include "shim/time64.h"

/* Makes the system call `number`. Returns its result, or the negated error number; errno stays as it is. */
long nd_raw_call(long number, long a, long b, long c, long d, long e, long f) __attribute__((visibility("hidden")));

/* As syscall(2), which cannot be called since it is a hook: makes the system call; on failure returns -1 with errno
 * set. */
long nd_raw_syscall(long number, long a, long b, long c, long d, long e, long f);

#define ND_RAW3(name, a, b, c) nd_raw_syscall(SYS_##name, (long)(a), (long)(b), (long)(c), 0, 0, 0)
#define ND_RAW6(name, a, b, c, d, e, f)                                                                                \
    nd_raw_syscall(SYS_##name, (long)(a), (long)(b), (long)(c), (long)(d), (long)(e), (long)(f))

/* The number of the process, asked of the kernel with few instructions (a libc may remember it); negative where a
 * filter refuses the question. Keeps errno. */
static inline long nd_raw_getpid(void) {
#ifdef __x86_64__
    long process;
    __asm__ volatile("syscall" : "=a"(process) : "0"((long)SYS_getpid) : "rcx", "r11", "memory");
    return process;
#else
    const int saved = errno;
    const long process = ND_RAW3(getpid, 0, 0, 0);
    errno = saved;
    return process;
#endif
}

/* As a fortified call of libc: ends the program where `len` exceeds `size`, that of the buffer. */
#define ND_RAW_CHECKED(len, size, call) ((len) > (size) ? (abort(), -1) : (call))

/* The kernel's signal sets are smaller than libc's. */
#define ND_KERNEL_SIGSET_SIZE (_NSIG / 8)

static inline long nd_raw_ppoll(struct pollfd *fds, nfds_t count, const struct timespec *timeout,
                                const sigset_t *mask) {
    struct timespec left;
    if (timeout) {
        left = *timeout; /* the system call writes the remaining time to it, libc's ppoll does not */
        timeout = &left;
    }
    return ND_RAW6(ppoll, fds, count, timeout, mask, ND_KERNEL_SIGSET_SIZE, 0);
}

static inline long nd_raw_poll(struct pollfd *fds, nfds_t count, int timeout) {
    struct timespec left = {timeout / 1000, (long)(timeout % 1000) * 1000000};
    return nd_raw_ppoll(fds, count, timeout < 0 ? NULL : &left, NULL);
}

static inline long nd_raw_pselect(int count, fd_set *in, fd_set *out, fd_set *except, const struct timespec *timeout,
                                  const sigset_t *mask) {
    struct {
        const sigset_t *set;
        size_t size;
    } sigmask = {mask, ND_KERNEL_SIGSET_SIZE};
    struct timespec left;
    if (timeout) {
        left = *timeout;
        timeout = &left;
    }
    return ND_RAW6(pselect6, count, in, out, except, timeout, &sigmask);
}

static inline long nd_raw_select(int count, fd_set *in, fd_set *out, fd_set *except, struct timeval *timeout) {
    struct timespec left;
    if (timeout)
        left = (struct timespec){timeout->tv_sec, timeout->tv_usec * 1000};
    long ready = ND_RAW6(pselect6, count, in, out, except, timeout ? &left : NULL, NULL);
    if (timeout)
        *timeout = (struct timeval){left.tv_sec, left.tv_nsec / 1000}; /* as select(2) does on Linux */
    return ready;
}

#ifdef __i386__
static inline long nd_raw_pselect64(int count, fd_set *in, fd_set *out, fd_set *except,
                                    const struct nd_timespec64 *timeout, const sigset_t *mask) {
    struct {
        const sigset_t *set;
        size_t size;
    } sigmask = {mask, ND_KERNEL_SIGSET_SIZE};
    struct nd_timespec64 left;
    if (timeout)
        left = *timeout;
    return ND_RAW6(pselect6_time64, count, in, out, except, timeout ? &left : NULL, &sigmask);
}

static inline long nd_raw_select64(int count, fd_set *in, fd_set *out, fd_set *except, struct nd_timeval64 *timeout) {
    struct nd_timespec64 left = {0};
    if (timeout)
        left = (struct nd_timespec64){.tv_sec = timeout->tv_sec, .tv_nsec = (int32_t)timeout->tv_usec * 1000};
    long ready = ND_RAW6(pselect6_time64, count, in, out, except, timeout ? &left : NULL, NULL);
    if (timeout)
        *timeout = (struct nd_timeval64){left.tv_sec, left.tv_nsec / 1000};
    return ready;
}
#endif

/* Linux 5.11; 441 on every machine. The headers' name is what operations.def goes by, and stays theirs. */
enum { ND_RAW_EPOLL_PWAIT2 = 441 };

/* The kernel's structure has 64-bit times everywhere. */
static inline long nd_raw_epoll_pwait2(int epfd, struct epoll_event *events, int count, const struct timespec *timeout,
                                       const sigset_t *mask) {
    int64_t ts[2] = {timeout ? timeout->tv_sec : 0, timeout ? timeout->tv_nsec : 0};
    return nd_raw_syscall(ND_RAW_EPOLL_PWAIT2, epfd, (long)events, count, timeout ? (long)ts : 0, (long)mask,
                          ND_KERNEL_SIGSET_SIZE);
}

/* Linux 4.6. */
#ifdef SYS_preadv2
enum { ND_SYS_preadv2 = SYS_preadv2, ND_SYS_pwritev2 = SYS_pwritev2 };
#else
enum { ND_SYS_preadv2 = -1, ND_SYS_pwritev2 = -1 };
#endif

/* preadv2 or pwritev2, whose offset is two arguments, of which a 64-bit kernel looks at the first alone. */
static inline long nd_raw_vector2(long number, int fd, const void *iov, int count, int64_t offset, int flags) {
    return nd_raw_syscall(number, fd, (long)iov, count, (long)offset, (long)(offset >> 32), flags);
}

/* Linux 3.19. */
#ifndef SYS_execveat
#define SYS_execveat -1
#endif

/* Linux 3.17. */
#ifndef SYS_seccomp
#define SYS_seccomp -1
#endif
/* Linux 5.1, 5.9 and 5.6; these are the numbers on every machine. */
#ifndef SYS_io_uring_setup
#define SYS_io_uring_setup 425
#define SYS_io_uring_enter 426
#endif
#ifndef SYS_close_range
#define SYS_close_range 436
#endif
#ifndef SYS_pidfd_getfd
#define SYS_pidfd_getfd 438
#endif

/* On 32-bit systems a call's offsets have 32 bits where its name does not say otherwise. */
static inline long nd_raw_fcntl64(int fd, int command, void *arg) {
#ifdef SYS_fcntl64
    return ND_RAW3(fcntl64, fd, command, arg);
#else
    return ND_RAW3(fcntl, fd, command, arg);
#endif
}

static inline long nd_raw_sendfile64(int out, int in, off64_t *offset, size_t count) {
#ifdef SYS_sendfile64
    return ND_RAW6(sendfile64, out, in, offset, count, 0, 0);
#else
    return ND_RAW6(sendfile, out, in, offset, count, 0, 0);
#endif
}

static inline long nd_raw_dup2(int fd, int to) {
#ifdef SYS_dup2
    return ND_RAW3(dup2, fd, to, 0);
#else
    return fd == to ? (ND_RAW3(fcntl, fd, F_GETFD, 0) < 0 ? -1 : fd) : ND_RAW3(dup3, fd, to, 0);
#endif
}
