#include "resolver/clock.h"

#include <errno.h>
#include <limits.h>
#include <time.h>

static nd_time read_clock(clockid_t id) {
    struct timespec ts;
    int saved = errno;
    if (clock_gettime(id, &ts) != 0 && clock_gettime(CLOCK_MONOTONIC, &ts) != 0)
        ts = (struct timespec){0, 0};
    errno = saved;
    return (nd_time)ts.tv_sec * ND_SEC + ts.tv_nsec;
}

nd_time nd_now(void) {
    return read_clock(CLOCK_MONOTONIC);
}

nd_time nd_now_coarse(void) {
    return read_clock(CLOCK_MONOTONIC_COARSE); /* Linux 2.6.32; older kernels fall back in read_clock */
}

nd_time nd_time_after(nd_time start, nd_time timeout) {
    return timeout > ND_NEVER - start ? ND_NEVER : start + timeout;
}

int nd_time_poll_ms(nd_time deadline, nd_time now) {
    if (deadline == ND_NEVER)
        return -1;
    if (deadline <= now)
        return 0;
    nd_time ms = 1 + (deadline - now - 1) / ND_MSEC;
    return ms > INT_MAX ? INT_MAX : (int)ms;
}
