#include "shim/waitloop.h"

#include <errno.h>

#include "shim/signals.h"
#include "shim/start.h"

static void begin_slot(struct nd_slot_use *use, const uintptr_t *frame, const struct nd_wait_shown *shown,
                       nd_time now) {
    nd_slot_begin_in(frame, use, nd_operation_find(shown->operation), shown->fd, now,
                     nd_observing ? ND_NEVER : shown->deadline, shown->limit, NULL);
}

static int observe(const struct nd_waiting *how, void *set, nd_time given, const struct nd_wait_shown *shown) {
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

/* The program's own timeout as long as it can be: what is left is counted by us only after a wait was cut short. */
static nd_time next_timeout(nd_time last, nd_time due, nd_time deadline, nd_time now) {
    if (due < deadline)
        return due > now ? due - now : 0;
    if (last == ND_AS_GIVEN || deadline == ND_NEVER)
        return last == ND_AS_GIVEN ? last : ND_NEVER;
    return deadline > now ? deadline - now : 0;
}

/* A handler that runs between two of our waits does not interrupt the second. Under a mask of the program's that would be for
 * good (its handlers run nowhere else), so signals are held; without one it is a window of a microsecond where a limit was looked
 * at, like the one before any call, and holding them would cost every wait two system calls. */
static int run(const struct nd_waiting *how, void *set, nd_time given, nd_time now, nd_time *ended, bool *expired) {
    const int untouched = errno;
    nd_time timeout = ND_AS_GIVEN;
    const nd_time deadline = nd_time_after(now, given);
    struct nd_signals_held held = {.any = false};
    for (;;) {
        nd_time due = how->due(set, now);
        if (how->masked && due < deadline)
            nd_signals_hold(&held);
        timeout = next_timeout(timeout, due, deadline, now);
        int ready = how->wait(set, timeout), error = errno;
        *ended = nd_now();
        how->settle(set, now, *ended, ready > 0);
        /* Also when others are ready, again and again; the next call then finds what was ended. */
        if (ready >= 0 && *ended >= due) {
            *expired = how->expire(set, *ended);
            if (*expired && ready == 0) {
                ready = how->wait(set, 0); /* the kernel shows what ending it has made of the set */
                error = errno;
            }
            if (ready >= 0)
                ready = how->show(set, ready);
        }
        if (ready != 0 || *ended >= deadline) {
            nd_signals_let_go(&held);
            errno = ready < 0 ? error : untouched;
            return ready;
        }
        now = *ended;
        if (timeout == ND_AS_GIVEN)
            timeout = 0; /* from here on the rest is counted by us */
    }
}

int nd_wait_loop(const struct nd_waiting *how, void *set, nd_time timeout, const struct nd_wait_shown *shown) {
    if (nd_observing)
        return observe(how, set, timeout, shown);
    struct nd_slot_use use;
    nd_time now = nd_now(), ended = now;
    bool expired = false;
    if (timeout)
        begin_slot(&use, ND_FRAME_SLOT(), shown, now);
    int ready = run(how, set, timeout, now, &ended, &expired);
    if (timeout)
        nd_slot_end(&use, expired ? ND_SLOT_EXPIRED : ready == 0 ? ND_SLOT_QUIET : ND_SLOT_DONE, ended);
    return ready;
}
