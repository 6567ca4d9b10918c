#include "shim/wait/loop.h"
#include "shim/socket/stopwatch.h"

#include <errno.h>

#include "base/clock.h"
#include "shim/report/slots.h"

int nd_wait_observe(const struct nd_waiting *how, void *set, nd_time given, const struct nd_wait_row *shown) {
    struct nd_slot_use use;
    nd_time began = nd_now(), due = how->due(set, began);
    if (given)
        nd_slot_begin(&use, shown->operation, shown->fd, began, ND_NEVER, shown->limit);
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

static nd_time next_timeout(nd_time now, nd_time due, nd_time deadline) {
    nd_time until = due < deadline ? due : deadline;
    return until == ND_NEVER ? ND_NEVER : until > now ? until - now : 0;
}

/* Nothing has come in the first wait: takes the exact time, and corrects by it what was counted from a coarse one. */
static void end_first(struct nd_wait_progress *call) {
    const bool whole = call->timeout == ND_AS_GIVEN;
    call->ended = call->given ? nd_now() : nd_now_coarse();
    const nd_time began = call->ended - (whole ? call->given : call->timeout);
    if (began > call->began)
        call->began = began;
    const nd_time exact = whole ? call->ended : nd_time_after(call->began, call->given);
    if (whole || exact - call->deadline < TICK)
        call->deadline = exact;
    else
        call->deadline += TICK; /* we were not let run */
}

/* After a wait that found `ready`, with `error` if that is -1. Returns what the set is then. */
static int settle(const struct nd_waiting *how, void *set, struct nd_wait_progress *call, int ready, int *error) {
    how->settle(set, call->began, call->ended, ready > 0);
    /* Also when others are ready, again and again; the next call then finds what was ended. */
    if (call->ended < call->due || ready < 0)
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
int nd_wait_go_on(const struct nd_waiting *how, void *set, struct nd_wait_progress *call, int ready) {
    int error = errno;
    const int untouched = error; /* unless the wait failed: then it is not needed */
    if (ready == 0)
        end_first(call);
    else
        call->ended = nd_now_coarse();
    if (ready == 0 && !call->given)
        call->began = ND_POLLED;
    for (;;) {
        ready = settle(how, set, call, ready, &error);
        if (ready != 0 || call->ended >= call->deadline)
            break;
        call->began = call->ended;
        call->due = how->due(set, call->began);
        call->timeout = next_timeout(call->began, call->due, call->deadline);
        if (call->masked && call->due < call->deadline)
            nd_signals_hold(&call->held);
        ready = how->wait(set, call->timeout);
        error = errno;
        call->ended = nd_now();
    }
    how->settle(set, call->ended, call->ended, ready > 0); /* a look takes back what the wait before it has hurried */
    nd_signals_let_go(&call->held);
    errno = ready < 0 ? error : untouched;
    return ready;
}
