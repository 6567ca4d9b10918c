/* The wait clock in poll and select: both are a set of descriptors waited for at once, and differ only in how the set is
 * written. A socket's clock runs while a thread waits for it, restarts on progress, and adds up over repeated short waits. */
#ifndef ND_WAIT_SET_H
#define ND_WAIT_SET_H

#include "base/clock.h"
#include "shim/limit/wait_clock.h"
#include "shim/socket/record.h"
#include "shim/wait/loop.h"

/* One descriptor of a set: what is waited for, and what was found ready, as poll(2) events. */
struct nd_wait_entry {
    int fd;
    short wants, ready;
};

/* The entries with running clocks that are remembered between two passes; with more every pass is over the whole set. */
#define ND_WAIT_NOTED 16

struct nd_wait_set {
    enum nd_call operation;
    unsigned first, count; /* indices into the set: no clock runs before the first */
    nd_time timeout;       /* the program's; ND_NEVER for none */
    /* Gives entry `index`; false where there is none. Before a wait `ready` is 0. */
    bool (*entry)(const struct nd_wait_set *set, unsigned index, struct nd_wait_entry *entry);
    /* Makes the real call on the program's set, for `timeout` or ND_AS_GIVEN (loop.h); repeatable. */
    int (*wait)(struct nd_wait_set *set, nd_time timeout);
    /* Shows entry `index` as ready for input. Returns what that adds to the result. */
    int (*show)(struct nd_wait_set *set, unsigned index);
    bool masked; /* as in struct nd_wait_progress */
    void *state;
    nd_time began;        /* when the first wait did, by the coarse clock; 0: not yet */
    unsigned noted_count; /* entries whose clocks ran when it did */
    unsigned noted[ND_WAIT_NOTED];
    struct nd_wait_row shown; /* the first of them */
};

/* Waits as the program asked, and ends connections whose time is up, so that the set wakes by itself. Returns what the real
 * call returns. Async-signal-safe; a cancellation point as the real call. */
int nd_wait_set_run(struct nd_wait_set *set);

#endif
