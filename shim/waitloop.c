#include "shim/waitloop.h"

#include <errno.h>

#include "shim/hook.h"
#include "shim/signals.h"
#include "shim/start.h"

static void begin_slot(struct nd_slot_use *use, const uintptr_t *frame, const struct nd_wait_shown *shown,
                       nd_time now) {
    nd_slot_begin_in(frame, use, shown->operation, shown->fd, now, nd_observing ? ND_NEVER : shown->deadline,
                     shown->limit, NULL);
}

ND_COLD static int observe(const struct nd_waiting *how, void *set, nd_time given, const struct nd_wait_shown *shown) {
    struct nd_slot_use use;
    nd_time began = nd_now(), due = how->due(set, began);
    if (given)
        begin_slot(&use, ND_FRAME_SLOT(), shown, began);
    int ready = how->wait(set, ND_AS_GIVEN), error = errno;
    nd_time ended = nd_now();
    if (given)
        nd_slot_end(&use, ready == 0 ? ND_SLOT_QUIET : ND_SLOT_DONE, ended);
    how->settle(set, began, ended, false); /* what is ready may have come after its time */
    if (ready >= 0 && ended >= due)
        how->expire(set, ended);
    how->settle(set, ended, ended, ready > 0);
    errno = error;
    return ready;
}

/* A tick of the slowest kernels. */
#define TICK (10 * ND_MSEC)

/* One wait of those that a call is made of. */
struct leg {
    nd_time began;   /* of the first by the coarse clock: up to a tick too early */
    nd_time due;     /* when the set is to be looked at */
    nd_time timeout; /* the real call's */
};

/* A call that goes on after its first wait. */
struct progress {
    struct leg leg;
    nd_time given, deadline; /* the program's timeout, and its end */
    nd_time ended;           /* the last wait */
    bool expired;
    struct nd_signals_held held;
};

/* The first is the program's own call, as long as that can be. Whole milliseconds: as long for poll as for ppoll. */
static nd_time first_timeout(nd_time began, nd_time due, nd_time deadline) {
    if (due >= deadline)
        return ND_AS_GIVEN;
    return due > began ? (due - began + ND_MSEC - 1) / ND_MSEC * ND_MSEC : 0;
}

static nd_time next_timeout(nd_time now, nd_time due, nd_time deadline) {
    nd_time until = due < deadline ? due : deadline;
    return until == ND_NEVER ? ND_NEVER : until > now ? until - now : 0;
}

/* Nothing has come in the first wait: takes the exact time, and corrects by it what was counted from a coarse one. */
static void end_first(struct progress *call) {
    const bool whole = call->leg.timeout == ND_AS_GIVEN;
    call->ended = call->given ? nd_now() : nd_now_coarse();
    const nd_time began = call->ended - (whole ? call->given : call->leg.timeout);
    if (began > call->leg.began)
        call->leg.began = began;
    const nd_time exact = whole ? call->ended : nd_time_after(call->leg.began, call->given);
    if (whole || exact - call->deadline < TICK)
        call->deadline = exact;
    else
        call->deadline += TICK; /* we were not let run */
}

/* After a wait that found `ready`, with `error` if that is -1. Returns what the set is then. */
static int settle(const struct nd_waiting *how, void *set, struct progress *call, int ready, int *error) {
    how->settle(set, call->leg.began, call->ended, ready > 0);
    /* Also when others are ready, again and again; the next call then finds what was ended. */
    if (call->ended < call->leg.due || ready < 0)
        return ready;
    call->expired = how->expire(set, call->ended);
    if (call->expired && ready == 0) {
        ready = how->wait(set, 0); /* the kernel shows what ending it has made of the set */
        *error = errno;
    }
    return ready < 0 ? ready : how->show(set, ready);
}

/* A handler that runs between two of our waits does not interrupt the second. Under a mask of the program's that would be for
 * good (its handlers run nowhere else), so signals are held; without one it is a window of a microsecond where a limit was looked
 * at, like the one before any call, and holding them would cost every wait two system calls.
 *
 * Here the first wait has found `ready`, and that is not all there is to it. */
static ND_APART int go_on(const struct nd_waiting *how, void *set, struct progress *call, int ready) {
    int error = errno;
    const int untouched = error; /* unless the wait failed: then it is not needed */
    if (ready == 0)
        end_first(call);
    else
        call->ended = nd_now_coarse();
    for (;;) {
        ready = settle(how, set, call, ready, &error);
        if (ready != 0 || call->ended >= call->deadline)
            break;
        call->leg.began = call->ended;
        call->leg.due = how->due(set, call->leg.began);
        call->leg.timeout = next_timeout(call->leg.began, call->leg.due, call->deadline);
        if (how->masked && call->leg.due < call->deadline)
            nd_signals_hold(&call->held);
        ready = how->wait(set, call->leg.timeout);
        error = errno;
        call->ended = nd_now();
    }
    nd_signals_let_go(&call->held);
    errno = ready < 0 ? error : untouched;
    return ready;
}

static int run(const struct nd_waiting *how, void *set, struct progress *call) {
    struct leg *leg = &call->leg;
    call->deadline = nd_time_after(leg->began, call->given);
    leg->timeout = first_timeout(leg->began, leg->due, call->deadline);
    call->expired = call->held.any = false;
    if (nd_unlikely(how->masked) && leg->due < call->deadline)
        nd_signals_hold(&call->held);
    int ready = how->wait(set, leg->timeout);
    if (nd_unlikely(ready <= 0) || nd_unlikely(call->held.any))
        return go_on(how, set, call, ready);
    /* What is ready at once, as most often, costs no exact clock. */
    call->ended = nd_now_coarse();
    if (nd_unlikely(call->ended >= leg->due))
        return go_on(how, set, call, ready);
    how->settle(set, leg->began, call->ended, true);
    return ready;
}

int nd_wait_loop(const struct nd_waiting *how, void *set, nd_time timeout, const struct nd_wait_shown *shown) {
    if (nd_unlikely(nd_observing))
        return observe(how, set, timeout, shown);
    struct nd_slot_use use;
    struct progress call;
    nd_time now = nd_now_coarse();
    call.given = timeout;
    call.leg.began = now;
    call.leg.due = how->due(set, now);
    if (!timeout)
        return run(how, set, &call);
    begin_slot(&use, ND_FRAME_SLOT(), shown, now);
    int ready = run(how, set, &call);
    nd_slot_end(&use, call.expired ? ND_SLOT_EXPIRED : ready == 0 ? ND_SLOT_QUIET : ND_SLOT_DONE, call.ended);
    return ready;
}
