/* The only clock: nanoseconds on CLOCK_MONOTONIC. Deadlines are absolute nd_time values, timeouts are relative ones. */
#pragma once

#include <stdint.h>

typedef int64_t nd_time;

#define ND_USEC ((nd_time)1000)
#define ND_MSEC ((nd_time)1000000)
#define ND_SEC ((nd_time)1000000000)

/* A deadline that never comes. */
#define ND_NEVER INT64_MAX

/* Now, exactly; a call takes about 40 ns by the vDSO. Async-signal-safe; keeps errno. */
nd_time nd_now(void);

/* Now, as of the last timer tick: at most 4 ms (HZ=250) behind nd_now(); a call takes about 7 ns. Async-signal-safe;
 * keeps errno. */
nd_time nd_now_coarse(void);

/* `start` plus `timeout`; ND_NEVER where that would overflow. Async-signal-safe. */
static inline nd_time nd_time_after(nd_time start, nd_time timeout) {
    return timeout > ND_NEVER - start ? ND_NEVER : start + timeout;
}

/* The smaller of two times, or of two lengths of time. */
static inline nd_time nd_time_sooner(nd_time a, nd_time b) {
    return a < b ? a : b;
}

/* The larger of the two. */
static inline nd_time nd_time_later(nd_time a, nd_time b) {
    return a > b ? a : b;
}

/* Milliseconds from `now` to `deadline` for poll(2): rounded up, so that the deadline has passed when poll has timed
 * out; 0 when it has passed already; -1 for ND_NEVER. Async-signal-safe. */
int nd_time_poll_ms(nd_time deadline, nd_time now);
