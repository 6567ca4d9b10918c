/* The wait clock in poll and select: both wait for a set of descriptors, and differ only in the form of the set. A
 * socket's clock runs while a thread waits for it, restarts on progress, and adds up over repeated short waits. */
#pragma once

#include "shim/wait/loop.h"

/* One descriptor of a set: the events that it waits for, and those that are ready, as in poll(2). */
struct nd_wait_entry {
    int fd;
    short wants, ready;
};

/* How many entries with running clocks are remembered between passes over the set. If there are more, every pass is
 * over the whole set. */
#define ND_WAIT_NOTED 16

struct nd_wait_set {
    enum nd_call operation;
    unsigned first, count; /* the set has `count` entries; no clock runs for those before `first` */
    nd_time timeout;       /* the program's; ND_NEVER for none */
    /* Reads entry `index`; returns false if there is none. Before a wait `ready` is 0. */
    bool (*entry)(const struct nd_wait_set *set, unsigned index, struct nd_wait_entry *entry);
    /* Makes the real call on the program's set, for `timeout` or ND_AS_GIVEN (loop.h). Repeatable. */
    int (*wait)(struct nd_wait_set *set, nd_time timeout);
    /* Reports entry `index` as ready for input. Returns what that adds to the result. */
    int (*show)(struct nd_wait_set *set, unsigned index);
    bool masked; /* as in struct nd_wait_progress */
    void *state;
    nd_time began;        /* when the first wait did, by the coarse clock; 0: not yet */
    unsigned noted_count; /* how many entries had running clocks then; the first of them: */
    unsigned noted[ND_WAIT_NOTED];
    struct nd_wait_row shown; /* the very first */
};

/* Waits for sockets that UNACKED alone bounds are the program's own for this long; those that last longer are
 * watched. */
#define ND_UNWATCHED_MS 1000

/* Whether a short wait that may be one of many is to check its sockets: each that found nothing, and one in 64 of the
 * others. */
static inline bool nd_wait_set_checks(int ready) {
    extern _Atomic uint32_t nd_wait_set_count __attribute__((visibility("hidden")));
    const uint32_t count = atomic_load_explicit(&nd_wait_set_count, memory_order_relaxed) + 1;
    atomic_store_explicit(&nd_wait_set_count, count, memory_order_relaxed);
    return __builtin_expect(ready <= 0 || count % 64 == 0, 0);
}

/* Ends those connections of a set, which was not watched, whose peer is gone. Each is checked only when it is due.
 * Returns whether any was ended. Only `operation`, `first`, `count`, `entry` and `state` of the set are used. Keeps
 * errno. */
bool nd_wait_set_check(struct nd_wait_set *set);

/* Waits as the program asked, and ends connections whose limits expire, so that the kernel reports them. Returns what
 * the real call returns. Async-signal-safe; a cancellation point as the real call. */
int nd_wait_set_run(struct nd_wait_set *set);
