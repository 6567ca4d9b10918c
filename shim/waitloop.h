/* The loop of every wait on a set: the program's own timeout, and waking up in time for what is due in the set. */
#ifndef ND_WAITLOOP_H
#define ND_WAITLOOP_H

#include <stdbool.h>

#include "resolver/clock.h"
#include "shim/slots.h"

/* The timeout the program gave, to be passed on untouched. */
#define ND_AS_GIVEN ((nd_time)-1)

/* What a kind of set does; `set` is its own. */
struct nd_waiting {
    /* When something in it is to be looked at, seen from `now`; ND_NEVER for nothing. `now` of the first may be coarse: too
     * early by a tick (at most 10 ms). */
    nd_time (*due)(void *set, nd_time now);
    /* Makes the real call on the program's set, for a timeout or ND_AS_GIVEN; repeatable. */
    int (*wait)(void *set, nd_time timeout);
    /* The call has waited from `began` to `ended`, and found something ready or not. */
    void (*settle)(void *set, nd_time began, nd_time ended, bool ready);
    /* Ends what is due at `now`. Returns whether the kernel will show something new. */
    bool (*expire)(void *set, nd_time now);
    /* Adds what only we know of to the result of a call that found `ready`; returns the new count. */
    int (*show)(void *set, int ready);
    bool masked; /* the real call is given a signal mask for the time of the wait */
};

/* What is shown of a wait to whoever looks from outside (slots.h). */
struct nd_wait_shown {
    enum nd_call operation;
    int fd;           /* the first that is bounded, or the epoll set */
    nd_time deadline; /* its; ND_NEVER where it is not known */
    unsigned limit;   /* as in struct nd_slot */
};

/* Waits for `timeout` (ND_NEVER for none) and returns what the real call returns. *shown is read after the first how->due,
 * which may fill it in. Where nothing is due there are two clock reads: coarse ones (7 ns) where something was ready, an exact
 * one after a wait in vain. In MODE=observe the wait is the program's own, and its clocks are read when it returns.
 * Async-signal-safe; a cancellation point as the real call. */
int nd_wait_loop(const struct nd_waiting *how, void *set, nd_time timeout, const struct nd_wait_shown *shown);

#endif
