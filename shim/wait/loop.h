/* The loop of every wait on a set of descriptors: it keeps the program's timeout, and wakes when a limit in the set
 * expires. */
#pragma once

#include <stddef.h>

#include "base/frame.h"
#include "shim/report/slots_fast.h"
#include "shim/wait/signals.h"

/* Stands for the timeout that the program gave, which is passed on untouched. */
#define ND_AS_GIVEN ((nd_time)-1)

/* The operations of one kind of set; `set` is its state. */
struct nd_waiting {
    /* Returns when something in the set is due, seen from `now`, or ND_NEVER. In the first call `now` may be of the
     * coarse clock, up to a tick (at most 10 ms) too early. */
    nd_time (*due)(void *set, nd_time now);
    /* Makes the real call on the program's set, for a timeout or ND_AS_GIVEN. May be called again and again. */
    int (*wait)(void *set, nd_time timeout);
    /* Called after a real call that waited from `began` (or ND_POLLED) to `ended` and found something ready or not,
     * and, with both times the same, when the program's call is over. */
    void (*settle)(void *set, nd_time began, nd_time ended, bool ready);
    /* The settings have changed: the next `due` is as the first one. NULL where that is noticed anyway. */
    void (*renew)(void *set);
    /* Ends what is due at `now`. Returns whether the kernel has something new to report. */
    bool (*expire)(void *set, nd_time now);
    /* Adds what only the library knows of to the result of a real call that returned `ready`. Returns the new count. */
    int (*show)(void *set, int ready);
};

/* What `netdeadline ps` shows of a wait (report/slots.h). */
struct nd_wait_row {
    enum nd_call operation;
    int fd;           /* the first descriptor that a limit holds for, or the epoll set */
    nd_time deadline; /* of that descriptor; ND_NEVER if it is not known */
    unsigned limit;   /* as in struct nd_slot */
};

/* A call under way, which is made of one or more waits (real calls). */
struct nd_wait_progress {
    bool masked;             /* the real call sets a signal mask for the time of the wait */
    bool expired;            /* a limit has expired */
    nd_time began;           /* when the wait did; the first one's is of the coarse clock: up to a tick too early */
    nd_time due;             /* when something in the set is due */
    nd_time timeout;         /* of the wait */
    nd_time given, deadline; /* the program's timeout, and when it is over */
    nd_time ended;           /* when the last wait did */
    struct nd_signals_held held;
};

/* The rest of nd_wait_loop, after a first wait that returned `ready` and does not end the call by itself; and all of it
 * in MODE=observe. */
int nd_wait_go_on(const struct nd_waiting *how, void *set, struct nd_wait_progress *call, int ready);
int nd_wait_observe(const struct nd_waiting *how, bool masked, void *set, nd_time given,
                    const struct nd_wait_row *shown);

/* The timeout of the first wait: the program's own, unless something is due before that. Else it is rounded up to whole
 * milliseconds, so that it is the same for poll as for ppoll. */
static inline nd_time nd_wait_first_timeout(const struct nd_wait_progress *call) {
    if (call->due >= call->deadline)
        return ND_AS_GIVEN;
    return call->due > call->began ? (call->due - call->began + ND_MSEC - 1) / ND_MSEC * ND_MSEC : 0;
}

/* Makes the first wait, which is mostly the only one. */
ND_INLINE int nd_wait_first(const struct nd_waiting *how, void *set, struct nd_wait_progress *call) {
    call->deadline = nd_time_after(call->began, call->given);
    call->timeout = nd_wait_first_timeout(call);
    if (nd_unlikely(call->masked) && call->due < call->deadline)
        nd_signals_hold(&call->held);
    int ready = how->wait(set, call->timeout);
    if (nd_unlikely(ready <= 0) || nd_unlikely(call->held.any))
        return nd_wait_go_on(how, set, call, ready);
    /* Mostly something is ready at once: that must not cost a read of the exact clock. */
    call->ended = nd_now_coarse();
    if (nd_unlikely(call->ended >= call->due))
        return nd_wait_go_on(how, set, call, ready);
    how->settle(set, call->began, call->ended, true);
    return ready;
}

/* Waits for `timeout` (ND_NEVER for none) and returns what the real call returns. *shown is read after the first
 * how->due, which may fill it in. Where nothing is due the clock is read twice: coarsely (7 ns) if something is ready,
 * exactly at the end of a wait that found nothing. In MODE=observe the wait is the program's own, and the limits are
 * checked when it returns. Inlined, so that a constant *how costs no indirect calls. Async-signal-safe; a cancellation
 * point as the real call. */
ND_INLINE int nd_wait_loop(const struct nd_waiting *how, bool masked, void *set, nd_time timeout,
                           const struct nd_wait_row *shown) {
    if (nd_unlikely(nd_observing))
        return nd_wait_observe(how, masked, set, timeout, shown);
    struct nd_slot_use use;
    struct nd_wait_progress call;
    call.masked = masked;
    call.expired = call.held.any = false;
    call.began = nd_now_coarse();
    call.given = timeout;
    call.due = how->due(set, call.began);
    if (nd_unlikely(!timeout))
        return nd_wait_first(how, set, &call);
    nd_slot_begin_here(ND_FRAME_SLOT(), &use, shown->operation, shown->fd, call.began, shown->deadline, shown->limit,
                       NULL);
    int ready = nd_wait_first(how, set, &call);
    nd_slot_end_here(&use,
                     nd_unlikely(call.expired) ? ND_SLOT_EXPIRED
                     : nd_unlikely(ready == 0) ? ND_SLOT_QUIET
                                               : ND_SLOT_DONE,
                     call.ended);
    return ready;
}
