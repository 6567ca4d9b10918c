/* A send or receive that does not wait, in the fewest instructions: the system call itself, which preserves the
 * registers of its arguments and errno. Used only where libc's function would do nothing else: no other library
 * interposes it after this one, and the process has one thread, so that no cancellation can be pending. Where that
 * cannot be known (glibc before 2.32, other architectures) libc is called. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <sys/socket.h>
#include <sys/syscall.h>

#include "shim/mode.h"

/* Called once at start, after the real functions are bound. */
void nd_direct_send_start(void);

#if (defined(__x86_64__) && !defined(__ILP32__)) || defined(__aarch64__)

/* Whether nd_direct_send and nd_direct_recv may be called. */
static inline bool nd_direct_send_possible(void) {
    return *nd_one_thread != 0;
}

/* sendto or recvfrom without an address; returns minus the error number on failure. *flags, to which `more` is added for
 * the call, keeps its value in the register of the address's length, which the kernel ignores without an address, so
 * that the compiler need not save it. */
static inline long nd_direct(long number, int fd, const void *buf, size_t len, int *flags, int more) {
#ifdef __x86_64__
    register int r10 __asm__("r10") = *flags | more;
    register const void *r8 __asm__("r8") = NULL;
    register int r9 __asm__("r9") = *flags;
    __asm__ volatile("syscall"
                     : "+a"(number), "+r"(r9)
                     : "D"(fd), "S"(buf), "d"(len), "r"(r10), "r"(r8)
                     : "rcx", "r11", "memory");
    *flags = r9;
    return number;
#else
    register long x8 __asm__("x8") = number;
    register long x0 __asm__("x0") = fd;
    register const void *x1 __asm__("x1") = buf;
    register size_t x2 __asm__("x2") = len;
    register long x3 __asm__("x3") = *flags | more;
    register const void *x4 __asm__("x4") = NULL;
    __asm__ volatile("svc #0" : "+r"(x0) : "r"(x8), "r"(x1), "r"(x2), "r"(x3), "r"(x4) : "memory");
    return x0;
#endif
}

#else

static inline bool nd_direct_send_possible(void) {
    return false;
}

static inline long nd_direct(long number, int fd, const void *buf, size_t len, int *flags, int more) {
    (void)number, (void)fd, (void)buf, (void)len, (void)flags, (void)more;
    return 0;
}

#endif

/* send(2) with MSG_DONTWAIT and MSG_NOSIGNAL, and recv(2) with MSG_DONTWAIT. */
static inline long nd_direct_send(int fd, const void *buf, size_t len, int *flags) {
    return nd_direct(SYS_sendto, fd, buf, len, flags, MSG_DONTWAIT | MSG_NOSIGNAL);
}

static inline long nd_direct_recv(int fd, void *buf, size_t len, int *flags) {
    return nd_direct(SYS_recvfrom, fd, buf, len, flags, MSG_DONTWAIT);
}
