/* The timeouts of poll, select and epoll_wait in the forms that those take. Async-signal-safe; errno is kept. */
#pragma once

#include <stddef.h>
#include <time.h>

#include "shim/wait/loop.h"

/* The timeout of poll and epoll_wait. */
static inline nd_time nd_timeout_of_ms(int ms) {
    return ms < 0 ? ND_NEVER : ms * ND_MSEC;
}

/* The milliseconds to pass on for `timeout`, where the program gave `ms`. */
static inline int nd_timeout_to_ms(nd_time timeout, int ms) {
    return timeout == ND_AS_GIVEN ? ms : nd_time_poll_ms(timeout, 0);
}

/* `sec` seconds and `fraction` times `unit` nanoseconds, or -1 if the kernel refuses such a timeout. */
static inline nd_time nd_timeout_of(long long sec, long long fraction, nd_time unit) {
    if (sec < 0 || fraction < 0 || fraction * unit >= ND_SEC)
        return -1;
    return sec > ND_NEVER / ND_SEC - 1 ? ND_NEVER : sec * ND_SEC + fraction * unit;
}

/* The timeout of ppoll, pselect and epoll_pwait2, or -1 if the kernel refuses it. */
static inline nd_time nd_timeout_of_timespec(const struct timespec *timeout) {
    return timeout ? nd_timeout_of(timeout->tv_sec, timeout->tv_nsec, 1) : ND_NEVER;
}

/* The argument to pass on for `timeout`, where the program gave `given`; *storage holds it if it is another one. */
static inline const struct timespec *nd_timeout_to_timespec(nd_time timeout, const struct timespec *given,
                                                            struct timespec *storage) {
    if (timeout == ND_AS_GIVEN)
        return given;
    *storage = (struct timespec){(time_t)(timeout / ND_SEC), (long)(timeout % ND_SEC)};
    return timeout == ND_NEVER ? NULL : storage;
}
