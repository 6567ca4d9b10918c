/* The loop of every wait on a set: the program's own timeout, and waking up in time for what is due in the set. */
#ifndef ND_WAIT_LOOP_H
#define ND_WAIT_LOOP_H

#include <stdbool.h>

#include "base/clock.h"
#include "base/compiler.h"
#include "base/frame.h"
#include "shim/mode.h"
#include "shim/report/slots_fast.h"
#include "shim/wait/signals.h"

/* The timeout the program gave, to be passed on untouched. */
#define ND_AS_GIVEN ((nd_time)-1)

/* What a kind of set does; `set` is its own. */
struct nd_waiting {
    /* When something in it is to be looked at, seen from `now`; ND_NEVER for nothing. `now` of the first may be coarse: too
     * early by a tick (at most 10 ms). */
    nd_time (*due)(void *set, nd_time now);
    /* Makes the real call on the program's set, for a timeout or ND_AS_GIVEN; repeatable. */
    int (*wait)(void *set, nd_time timeout);
    /* The call has waited from `began` (or ND_POLLED) to `ended`, and found something ready or not; where both are the same it is over. */
    void (*settle)(void *set, nd_time began, nd_time ended, bool ready);
    /* Ends what is due at `now`. Returns whether the kernel will show something new. */
    bool (*expire)(void *set, nd_time now);
    /* Adds what only we know of to the result of a call that found `ready`; returns the new count. */
    int (*show)(void *set, int ready);
};

/* What is shown of a wait to whoever looks from outside (report/slots.h). */
struct nd_wait_row {
    enum nd_call operation;
    int fd;           /* the first that is bounded, or the epoll set */
    nd_time deadline; /* its; ND_NEVER where it is not known */
    unsigned limit;   /* as in struct nd_slot */
};

/* A call on its way. */
struct nd_wait_progress {
    bool masked;  /* the real call is given a signal mask for the time of the wait */
    bool expired; /* a limit has fired */
    /* The wait under way, of those that the call is made of. */
    nd_time began;           /* of the first by the coarse clock: up to a tick too early */
    nd_time due;             /* when the set is to be looked at */
    nd_time timeout;         /* the real call's */
    nd_time given, deadline; /* the program's timeout, and its end */
    nd_time ended;           /* the last wait */
    struct nd_signals_held held;
};

/* The rest of nd_wait_loop, where the first wait has found `ready`, and that is not all there is to it; and in MODE=observe. */
int nd_wait_go_on(const struct nd_waiting *how, void *set, struct nd_wait_progress *call, int ready);
int nd_wait_observe(const struct nd_waiting *how, void *set, nd_time given, const struct nd_wait_row *shown);

/* The first is the program's own call, as long as that can be. Whole milliseconds: as long for poll as for ppoll. */
static inline nd_time nd_wait_first_timeout(const struct nd_wait_progress *call) {
    if (call->due >= call->deadline)
        return ND_AS_GIVEN;
    return call->due > call->began ? (call->due - call->began + ND_MSEC - 1) / ND_MSEC * ND_MSEC : 0;
}

/* The first wait, which is mostly the only one. */
ND_INLINE int nd_wait_first(const struct nd_waiting *how, void *set, struct nd_wait_progress *call) {
    call->deadline = nd_time_after(call->began, call->given);
    call->timeout = nd_wait_first_timeout(call);
    if (nd_unlikely(call->masked) && call->due < call->deadline)
        nd_signals_hold(&call->held);
    int ready = how->wait(set, call->timeout);
    if (nd_unlikely(ready <= 0) || nd_unlikely(call->held.any))
        return nd_wait_go_on(how, set, call, ready);
    /* What is ready at once, as most often, costs no exact clock. */
    call->ended = nd_now_coarse();
    if (nd_unlikely(call->ended >= call->due))
        return nd_wait_go_on(how, set, call, ready);
    how->settle(set, call->began, call->ended, true);
    return ready;
}

/* Waits for `timeout` (ND_NEVER for none) and returns what the real call returns. *shown is read after the first
 * how->due, which may fill it in. Where nothing is due there are two clock reads: coarse ones (7 ns) where something was ready, an
 * exact one after a wait in vain. In MODE=observe the wait is the program's own, and its clocks are read when it returns. In the
 * calling function itself, so that a constant *how costs no calls. Async-signal-safe; a cancellation point as the real call. */
ND_INLINE int nd_wait_loop(const struct nd_waiting *how, bool masked, void *set, nd_time timeout,
                           const struct nd_wait_row *shown) {
    if (nd_unlikely(nd_observing))
        return nd_wait_observe(how, set, timeout, shown);
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

#endif
