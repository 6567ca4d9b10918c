/* The wait clock in poll and select: both are a set of descriptors waited for at once, and differ only in how the set is
 * written. A socket's clock runs while a thread waits for it, restarts on progress, and adds up over repeated short waits. */
#ifndef ND_WAITSET_H
#define ND_WAITSET_H

#include "resolver/clock.h"
#include "shim/sockets.h"
#include "shim/waitclock.h"

/* One descriptor of a set: what is waited for, and what was found ready, as poll(2) events. */
struct nd_wait_entry {
    int fd;
    short wants, ready;
};

struct nd_waitset {
    const char *operation; /* "poll" */
    unsigned count;        /* indices into the set */
    nd_time timeout;       /* the program's; ND_NEVER for none */
    /* Gives entry `index`; false where there is none. Before a wait `ready` is 0. */
    bool (*entry)(const struct nd_waitset *set, unsigned index, struct nd_wait_entry *entry);
    /* Makes the real call on the program's set, for `timeout` or ND_AS_GIVEN (waitloop.h); repeatable. */
    int (*wait)(struct nd_waitset *set, nd_time timeout);
    /* Shows entry `index`, which is not ready, as ready for input. */
    void (*show)(struct nd_waitset *set, unsigned index);
    bool masked; /* as in struct nd_waiting */
    void *state;
    nd_time began;             /* when the first wait did; 0: not yet */
    struct nd_company company; /* as of the beginning of the wait */
};

/* Waits as the program asked, and ends connections whose time is up, so that the set wakes by itself. Returns what the real
 * call returns. Async-signal-safe; a cancellation point as the real call. */
int nd_waitset_run(struct nd_waitset *set);

#endif
