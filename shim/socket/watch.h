/* The watch bits: one byte for each descriptor, whose bits are the kinds of calls on it that must leave the fast path.
 * Each hook reads it first; 0 is the real call. change.c computes them. Everything here is async-signal-safe,
 * lock-free, and keeps errno. */
#pragma once

#include <poll.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

enum nd_watch {
    ND_WATCH_WAIT_IN = POLLIN,   /* waits for input in poll, select, epoll */
    ND_WATCH_IN = 1 << 1,        /* receiving calls */
    ND_WATCH_WAIT_OUT = POLLOUT, /* waits for send-buffer space, or for a connect */
    ND_WATCH_OUT = 1 << 3,       /* sending calls */
    ND_WATCH_TRY = 1 << 4,       /* with ND_WATCH_OUT: only where the call would wait for space */
    ND_WATCH_SCOPE = 1 << 5,     /* with ND_WATCH_IN: only within a TLS operation that has a deadline */
    ND_WATCH_NOTE = 1 << 6,      /* with ND_WATCH_OUT: to note that bytes were sent, whether it waits or not */
    ND_WATCH_KERNEL_TIMED =
        1 << 7, /* with ND_WATCH_IN: only for what the kernel times (RECV, KEEPALIVE), and for ND_WATCH_SCOPE */
    /* Without ND_WATCH_IN: UNACKED alone bounds waits for input, which need not be seen until they last. So it is with
     * ND_WATCH_IN and ND_WATCH_TRY, and not this: the socket blocks, and receiving calls are tried first. */
    ND_WATCH_GONE = ND_WATCH_KERNEL_TIMED,
    ND_WATCH_WAIT = ND_WATCH_WAIT_IN | ND_WATCH_WAIT_OUT
};
_Static_assert(ND_WATCH_WAIT_IN + ND_WATCH_IN + ND_WATCH_WAIT_OUT + ND_WATCH_OUT + ND_WATCH_TRY + ND_WATCH_SCOPE +
                       ND_WATCH_NOTE + ND_WATCH_KERNEL_TIMED ==
                   UINT8_MAX,
               "the bits of one byte, each once");

/* Descriptors below this have their bits in an array, one load on the hot path; 64 KiB of zero pages until they are
 * used. */
#define ND_WATCH_FAST 65536

extern _Atomic uint8_t nd_watch_fast[ND_WATCH_FAST] __attribute__((visibility("hidden")));

/* The enum nd_watch bits of `fd`, in one load; all of them for a descriptor past the array, whose slow path then asks
 * nd_watch_exact. 0 for anything unknown. */
static inline unsigned nd_watch(int fd) {
    if (__builtin_expect((unsigned)fd < ND_WATCH_FAST, 1))
        return atomic_load_explicit(&nd_watch_fast[fd], memory_order_relaxed);
    return ND_WATCH_IN | ND_WATCH_OUT | ND_WATCH_WAIT;
}

/* A wait for one of these, and for neither input nor space, is a wait for the peer to send. */
#define ND_WAIT_URGENT (POLLPRI | POLLRDBAND | POLLRDHUP)

/* The ND_WATCH_WAIT_ bits of poll(2) events: POLLRDNORM and POLLWRNORM are six bits above POLLIN and POLLOUT. */
static inline unsigned nd_watch_events(short events) {
    _Static_assert(POLLRDNORM == POLLIN << 6 && POLLWRNORM == POLLOUT << 6, "six bits above");
    _Static_assert(!((ND_WAIT_URGENT | ND_WAIT_URGENT >> 6 | (POLLERR | POLLHUP | POLLNVAL) >> 6) & ND_WATCH_WAIT),
                   "no other");
    unsigned wants = ((unsigned)events | (unsigned)events >> 6) & ND_WATCH_WAIT;
    return __builtin_expect(wants != 0, 1) ? wants : events & ND_WAIT_URGENT ? ND_WATCH_WAIT_IN : 0;
}

/* Of the bits of all descriptors in a wait that nothing else bounds, or'ed: whether UNACKED bounds one. */
static inline bool nd_watch_gone(unsigned watch) {
    return watch & (ND_WATCH_IN | ND_WATCH_GONE);
}

/* Whether receiving calls are tried first: see ND_WATCH_GONE. */
static inline bool nd_watch_tries(unsigned watch) {
    return (watch & (ND_WATCH_TRY | ND_WATCH_KERNEL_TIMED)) == ND_WATCH_TRY;
}
