/* How long threads have waited: what the limits on waiting are counted by. Async-signal-safe, lock-free; errno is kept. */
#ifndef ND_SOCKET_STOPWATCH_H
#define ND_SOCKET_STOPWATCH_H

#include <stdatomic.h>
#include <stdint.h>

#include "base/clock.h"

/* How long threads have waited for something: several at a time count once. */
struct nd_stopwatch {
    _Atomic nd_time waited;    /* in all */
    _Atomic nd_time accounted; /* the monotonic time up to which that holds */
};

/* In place of where a wait began: the call did not wait, and found nothing. Who looks again and again, or sleeps between, waits as
 * much as who waits: the time since the call before counts, where that is no more than ND_POLLS_APART. (Who looks now and then
 * whether an idle connection still stands does not wait for it.) */
#define ND_POLLED ((nd_time)-1)
#define ND_POLLS_APART (100 * ND_MSEC)

/* A thread has waited from `began`, or ND_POLLED, to `ended`. */
void nd_stopwatch_add(struct nd_stopwatch *watch, nd_time began, nd_time ended);

/* The wait clock of one direction: how long threads have waited for the socket, and when in that time there was progress. */
struct nd_wait_clock {
    struct nd_stopwatch time;
    _Atomic nd_time progress; /* `waited` at the last progress */
    _Atomic nd_time check_at; /* ND_OUT: `waited` when the send queue is to be looked at again; 0: not looked yet */
    _Atomic nd_time unacked;  /* ND_OUT: struct nd_send_space's unacked_since, in `waited` */
    _Atomic uint32_t queued;  /* ND_OUT: struct nd_send_space's queued */
};

/* How long the clock has run since the last progress. */
static inline nd_time nd_wait_clock_silence(const struct nd_wait_clock *clock) {
    return clock->time.waited - clock->progress;
}

#endif
