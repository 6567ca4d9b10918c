#include "base/clock.h"

#include <errno.h>
#include <limits.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <time.h>

static nd_time sum(const struct timespec *ts) {
    return (nd_time)ts->tv_sec * ND_SEC + ts->tv_nsec;
}

/* Reads a clock for the first time, or one that cannot be read. Sets *works where it can: from then on errno needs no
 * care. */
static __attribute__((cold, noinline)) nd_time try_clock(clockid_t id, _Atomic bool *works) {
    struct timespec ts;
    int saved = errno;
    if (clock_gettime(id, &ts) == 0)
        *works = true;
    else if (clock_gettime(CLOCK_MONOTONIC, &ts) != 0)
        ts = (struct timespec){0, 0};
    errno = saved;
    return sum(&ts);
}

static inline nd_time read_clock(clockid_t id, _Atomic bool *works) {
    struct timespec ts;
    if (__builtin_expect(!atomic_load_explicit(works, memory_order_relaxed), 0))
        return try_clock(id, works);
    clock_gettime(id, &ts);
    return sum(&ts);
}

nd_time nd_now(void) {
    static _Atomic bool works;
    return read_clock(CLOCK_MONOTONIC, &works);
}

nd_time nd_now_coarse(void) {
    static _Atomic bool works; /* since Linux 2.6.32 */
    return read_clock(CLOCK_MONOTONIC_COARSE, &works);
}

int nd_time_poll_ms(nd_time deadline, nd_time now) {
    if (deadline == ND_NEVER)
        return -1;
    if (deadline <= now)
        return 0;
    nd_time ms = 1 + (deadline - now - 1) / ND_MSEC;
    return ms > INT_MAX ? INT_MAX : (int)ms;
}
