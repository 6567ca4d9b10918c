#include "shim/wait/loop.h"

#include "shim/report/slots.h"
#include "shim/socket/stopwatch.h"

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

/* MODE=observe: the wait is the program's own, or the rest of it, and the limits are checked when it returns. */
static int observe(const struct nd_waiting *how, void *set, struct nd_wait_progress *call) {
    nd_time due = how->due(set, call->began);
    if (due <= call->began) { /* an epoll set tells when its sockets are due only after a scan */
        how->expire(set, call->began);
        due = how->due(set, call->began);
    }
    const int ready = how->wait(set, call->timeout), error = errno;
    call->ended = nd_now();
    how->settle(set, call->began, call->ended, false); /* not ready: what is may have come after a limit expired */
    if (ready >= 0 && call->ended >= due)
        how->expire(set, call->ended);
    how->settle(set, call->ended, call->ended, ready > 0);
    errno = error;
    return ready;
}

/* Whether the command has woken a wait that returned `ready` and `error`. */
static bool is_woken(int ready, int error) {
    return nd_unlikely(ready < 0) && error == EINTR && nd_slots_woken();
}

/* The command has woken the wait: the settings have changed. Returns 0 where it goes on under limits, or what the call
 * returns if it has ended in MODE=observe. */
ND_COLD static int renew(const struct nd_waiting *how, void *set, struct nd_wait_progress *call, int *error) {
    int ready = 0;
    do {
        if (how->renew)
            how->renew(set);
        how->due(set, call->ended); /* finds the clocks that have run meanwhile, also under limits that are new */
        how->settle(set, call->began, call->ended, false);
        call->began = call->ended;
        call->due = ND_NEVER;
        if (!nd_observing)
            return 0;
        call->timeout = next_timeout(call->began, ND_NEVER, call->deadline);
        ready = observe(how, set, call);
        *error = errno;
        call->began = call->ended;
    } while (is_woken(ready, *error));
    return ready;
}

/* A signal handler that runs between two waits does not interrupt the second. If the program passed a signal mask, its
 * handlers may run only during waits, and the signal would be lost for the call: so signals are held between waits.
 * Without a mask the window is a microsecond, like the one before any call, and holding signals would cost every wait
 * two system calls. */
static int go_on(const struct nd_waiting *how, void *set, struct nd_wait_progress *call, int ready, int error) {
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
        if (is_woken(ready, error))
            ready = renew(how, set, call, &error);
    }
    how->settle(set, call->ended, call->ended, ready > 0); /* reschedules what a scan after the last wait took back */
    nd_signals_let_go(&call->held);
    errno = error;
    return ready;
}

int nd_wait_go_on(const struct nd_waiting *how, void *set, struct nd_wait_progress *call, int ready) {
    int error = errno;
    const int untouched = error; /* not so if the wait failed, but then it is not used */
    const bool woken = is_woken(ready, error);
    if (woken) {
        call->ended = nd_now();
        call->deadline = nd_time_after(call->deadline, TICK); /* it was computed from the coarse clock */
        ready = renew(how, set, call, &error);
    } else if (ready == 0) {
        end_first(call);
    } else {
        call->ended = nd_now_coarse();
    }
    if (ready == 0 && !call->given)
        call->began = ND_POLLED;
    ready = go_on(how, set, call, ready, error);
    if (ready >= 0)
        errno = untouched;
    return ready;
}

int nd_wait_observe(const struct nd_waiting *how, bool masked, void *set, nd_time given,
                    const struct nd_wait_row *shown) {
    struct nd_slot_use use;
    struct nd_wait_progress call = {.masked = masked, .given = given, .began = nd_now(), .timeout = ND_AS_GIVEN};
    const int untouched = errno;
    call.deadline = nd_time_after(call.began, given);
    if (given)
        nd_slot_begin(&use, shown->operation, shown->fd, call.began, ND_NEVER, shown->limit);
    int ready = observe(how, set, &call), error = errno;
    if (given && is_woken(ready, error)) {
        ready = renew(how, set, &call, &error);
        ready = go_on(how, set, &call, ready, error);
        error = errno;
    }
    if (given)
        nd_slot_end(&use, call.expired ? ND_SLOT_EXPIRED : ready == 0 ? ND_SLOT_QUIET : ND_SLOT_DONE, call.ended);
    errno = ready < 0 ? error : untouched;
    return ready;
}
