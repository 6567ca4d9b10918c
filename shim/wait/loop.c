#include "shim/wait/loop.h"

#include "shim/report/slots.h"
#include "shim/socket/stopwatch.h"

int nd_wait_observe(const struct nd_waiting *how, void *set, nd_time given, const struct nd_wait_row *shown) {
    struct nd_slot_use use;
    nd_time began = nd_now(), due = how->due(set, began);
    if (given)
        nd_slot_begin(&use, shown->operation, shown->fd, began, ND_NEVER, shown->limit);
    int ready = how->wait(set, ND_AS_GIVEN), error = errno;
    nd_time ended = nd_now();
    if (given)
        nd_slot_end(&use, ready == 0 ? ND_SLOT_QUIET : ND_SLOT_DONE, ended);
    how->settle(set, began, ended, false); /* not ready: what is ready may have come after a limit expired */
    if (ready >= 0 && ended >= due)
        how->expire(set, ended);
    how->settle(set, ended, ended, ready > 0);
    errno = error;
    return ready;
}

/* A tick of the coarse clock on the slowest kernels (HZ=100). */
#define TICK (10 * ND_MSEC)

static nd_time next_timeout(nd_time now, nd_time due, nd_time deadline) {
    nd_time until = due < deadline ? due : deadline;
    return until == ND_NEVER ? ND_NEVER : until > now ? until - now : 0;
}

/* After a first wait that found nothing: reads the exact clock, and corrects the times that were computed from the
 * coarse one. */
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
        call->deadline += TICK; /* the thread was preempted */
}

/* Called after a wait that returned `ready`. Ends what is due, and returns what the call returns if it ends here;
 * *error is the errno of a wait that is made in here. */
static int settle(const struct nd_waiting *how, void *set, struct nd_wait_progress *call, int ready, int *error) {
    how->settle(set, call->began, call->ended, ready > 0);
    /* Expired limits are enforced even if other descriptors are ready, which may be so again and again. The next call
     * then reports what was ended. */
    if (call->ended < call->due || ready < 0)
        return ready;
    call->expired = how->expire(set, call->ended);
    if (call->expired && ready == 0) {
        ready = how->wait(set, 0); /* the kernel reports what was ended */
        *error = errno;
    }
    return ready < 0 ? ready : how->show(set, ready);
}

/* A signal handler that runs between two waits does not interrupt the second. If the program passed a signal mask, its
 * handlers may run only during waits, and the signal would be lost for the call: so signals are held between waits.
 * Without a mask the window is a microsecond, like the one before any call, and holding signals would cost every wait
 * two system calls. */
int nd_wait_go_on(const struct nd_waiting *how, void *set, struct nd_wait_progress *call, int ready) {
    int error = errno;
    const int untouched = error; /* not so if the wait failed, but then it is not used */
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
    how->settle(set, call->ended, call->ended, ready > 0); /* reschedules what a scan after the last wait took back */
    nd_signals_let_go(&call->held);
    errno = ready < 0 ? error : untouched;
    return ready;
}
