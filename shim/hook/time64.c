/* The forms of waiting calls with 64-bit times, which only 32-bit libcs have. Each calls the hook of the other form
 * with a converted timeout, since both make the same system call. A timeout that cannot be converted goes to libc,
 * which refuses it. */

#ifdef __i386__

#include "shim/hook/hook.h"
#include "shim/readable.h"

/* The result of a conversion: REFUSED is a timeout that the kernel will refuse. */
enum timeout { NEVER, TIMED, REFUSED };

static enum timeout narrow(int64_t sec, int64_t fraction, int64_t unit) {
    if (sec < 0 || fraction < 0 || fraction >= unit)
        return REFUSED;
    return sec > INT32_MAX ? NEVER : TIMED; /* 68 years */
}

static enum timeout narrow_timespec(const struct nd_timespec64 *wide, struct timespec *ts) {
    if (!wide)
        return NEVER;
    *ts = (struct timespec){(time_t)wide->tv_sec, wide->tv_nsec};
    return narrow(wide->tv_sec, wide->tv_nsec, 1000000000);
}

int nd_hook___ppoll64(struct pollfd *fds, nfds_t count, const struct nd_timespec64 *timeout, const sigset_t *mask) {
    struct timespec ts;
    enum timeout kind = narrow_timespec(timeout, &ts);
    if (kind == REFUSED)
        return nd_real.__ppoll64(fds, count, timeout, mask);
    return nd_hook_ppoll(fds, count, kind == TIMED ? &ts : NULL, mask);
}

/* On Linux select writes back the remaining time. */
int nd_hook___select64(int count, fd_set *in, fd_set *out, fd_set *except, struct nd_timeval64 *timeout) {
    enum timeout kind = timeout ? narrow(timeout->tv_sec, timeout->tv_usec, 1000000) : NEVER;
    if (kind == REFUSED) /* or has a second or more of microseconds, which libc converts */
        return nd_real.__select64(count, in, out, except, timeout);
    if (kind == NEVER)
        return nd_hook_select(count, in, out, except, NULL);
    struct timeval tv = {(time_t)timeout->tv_sec, (suseconds_t)timeout->tv_usec};
    int ready = nd_hook_select(count, in, out, except, &tv);
    *timeout = (struct nd_timeval64){tv.tv_sec, tv.tv_usec};
    return ready;
}

int nd_hook___pselect64(int count, fd_set *in, fd_set *out, fd_set *except, const struct nd_timespec64 *timeout,
                        const sigset_t *mask) {
    struct timespec ts;
    enum timeout kind = narrow_timespec(timeout, &ts);
    if (kind == REFUSED)
        return nd_real.__pselect64(count, in, out, except, timeout, mask);
    return nd_hook_pselect(count, in, out, except, kind == TIMED ? &ts : NULL, mask);
}

int nd_hook___epoll_pwait2_time64(int epfd, struct epoll_event *events, int count, const struct nd_timespec64 *timeout,
                                  const sigset_t *mask) {
    struct timespec ts;
    if (timeout && !nd_readable(timeout, sizeof *timeout)) /* libc leaves it to the kernel */
        return nd_real.__epoll_pwait2_time64(epfd, events, count, timeout, mask);
    enum timeout kind = narrow_timespec(timeout, &ts);
    if (kind == REFUSED)
        return nd_real.__epoll_pwait2_time64(epfd, events, count, timeout, mask);
    return nd_hook_epoll_pwait2(epfd, events, count, kind == TIMED ? &ts : NULL, mask);
}

int nd_hook___gai_suspend_time64(const struct gaicb *const list[], int count, const struct nd_timespec64 *timeout) {
    struct timespec ts;
    enum timeout kind = narrow_timespec(timeout, &ts);
    if (kind == REFUSED)
        return nd_real.__gai_suspend_time64(list, count, timeout);
    return nd_hook_gai_suspend(list, count, kind == TIMED ? &ts : NULL);
}
#endif
