/* The watch bits: one byte for each descriptor, which says which calls on it must leave the fast path. Each hook reads it first; 0 is the
 * real call. change.c computes them. Async-signal-safe, lock-free; errno is kept. */
#ifndef ND_SOCKET_WATCH_H
#define ND_SOCKET_WATCH_H

#include <poll.h>
#include <stdatomic.h>
#include <stdint.h>

/* Which calls must leave the straight path for a descriptor. */
enum nd_watch {
    ND_WATCH_WAIT_IN = POLLIN,   /* waits for input in poll, select, epoll */
    ND_WATCH_IN = 1 << 1,        /* receiving calls */
    ND_WATCH_WAIT_OUT = POLLOUT, /* waits for room, or for a connect */
    ND_WATCH_OUT = 1 << 3,       /* sending calls */
    ND_WATCH_TRY = 1 << 4,   /* with ND_WATCH_OUT: only to wait for room; where there is room nothing is to be done */
    ND_WATCH_SCOPE = 1 << 5, /* with ND_WATCH_IN: only where the thread is in a TLS operation that has a deadline */
    ND_WATCH_NOTE = 1 << 6,  /* with ND_WATCH_OUT: to note that bytes went out, if not for ND_WATCH_TRY only */
    ND_WATCH_KERNEL_TIMED =
        1 << 7, /* with ND_WATCH_IN: only for what the kernel keeps (RECV, KEEPALIVE), and ND_WATCH_SCOPE */
    ND_WATCH_WAIT = ND_WATCH_WAIT_IN | ND_WATCH_WAIT_OUT
};

/* Descriptors below this are looked up in one byte array, one load on the hot path; 64 Ki bytes of untouched zero pages. */
#define ND_WATCH_FAST 65536

extern _Atomic uint8_t nd_watch_fast[ND_WATCH_FAST] __attribute__((visibility("hidden")));

/* The enum nd_watch bits of `fd`, in one load; all of them for a descriptor past the array, whose slow path then asks
 * nd_watch_exact. 0 for anything unknown. */
static inline unsigned nd_watch(int fd) {
    if (__builtin_expect((unsigned)fd < ND_WATCH_FAST, 1))
        return atomic_load_explicit(&nd_watch_fast[fd], memory_order_relaxed);
    return ND_WATCH_IN | ND_WATCH_OUT | ND_WATCH_WAIT;
}

/* Whoever waits for one of these, and for neither input nor room, waits for the other side to say something. */
#define ND_WAIT_URGENT (POLLPRI | POLLRDBAND | POLLRDHUP)

/* The ND_WATCH_WAIT_ bits of poll(2) events: POLLRDNORM and POLLWRNORM lie six bits above POLLIN and POLLOUT. */
static inline unsigned nd_watch_events(short events) {
    unsigned wants = ((unsigned)events | (unsigned)events >> 6) & ND_WATCH_WAIT;
    return __builtin_expect(wants != 0, 1) ? wants : events & ND_WAIT_URGENT ? ND_WATCH_WAIT_IN : 0;
}

#endif
