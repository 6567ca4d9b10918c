/* How long threads have waited, by which limits on waiting are measured. Everything here is async-signal-safe,
 * lock-free, and keeps errno. */
#pragma once

#include <stdatomic.h>

#include "base/clock.h"

_Static_assert(sizeof(_Atomic nd_time) == sizeof(nd_time) && ATOMIC_LLONG_LOCK_FREE == 2,
               "lock-free, and copied as bytes");

/* How long threads have waited for one thing: several at a time count once. */
struct nd_stopwatch {
    _Atomic nd_time waited;    /* in total */
    _Atomic nd_time accounted; /* the monotonic time up to which that holds */
};

/* In place of the beginning of a wait: the call did not wait, and found nothing. A program that polls in a loop, with
 * pauses, waits as much as one that blocks: the time since the call before counts, where that is no more than
 * ND_POLLS_APART. (A program that polls an idle connection now and then does not wait for it.) */
#define ND_POLLED ((nd_time)-1)
#define ND_POLLS_APART (100 * ND_MSEC)

/* Notes that a thread has waited from `began`, or ND_POLLED, to `ended`. */
void nd_stopwatch_add(struct nd_stopwatch *watch, nd_time began, nd_time ended);

/* The wait clock of one direction: how long threads have waited for the socket, and when in that time bytes moved. */
struct nd_wait_clock {
    struct nd_stopwatch time;
    _Atomic nd_time progress; /* `waited` at the last progress */
    _Atomic nd_time check_at; /* ND_OUT: `waited` when the send queue is checked next; 0: not checked yet */
    _Atomic nd_time unacked;  /* ND_OUT: struct nd_send_space's unacked_since, in `waited` */
    _Atomic uint32_t queued;  /* ND_OUT: struct nd_send_space's queued */
};

/* How long the clock has run since the last progress. */
static inline nd_time nd_wait_clock_silence(const struct nd_wait_clock *clock) {
    return clock->time.waited - clock->progress;
}
