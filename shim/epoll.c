/* epoll_ctl, epoll_wait, epoll_pwait, epoll_pwait2: a wait clock for the sockets in the set, see epollset.h. */
#include <errno.h>

#include "shim/epollset.h"
#include "shim/hook.h"
#include "shim/sockets.h"
#include "shim/start.h"
#include "shim/waitset.h"

ND_COLD static void note(int epfd, int op, int fd, const struct epoll_event *event) {
    int saved = errno;
    nd_epoll_noted(epfd, fd, op == EPOLL_CTL_DEL ? 0 : event->events | EPOLLERR, op == EPOLL_CTL_ADD);
    errno = saved;
}

int nd_hook_epoll_ctl(int epfd, int op, int fd, struct epoll_event *event) {
    int result = nd_real.epoll_ctl(epfd, op, fd, event);
    if (result == 0 && nd_active)
        note(epfd, op, fd, event);
    return result;
}

struct call {
    struct epoll_event *events;
    int count, timeout_ms;
    const struct timespec *timeout;
    const sigset_t *mask;
};

static int wait_plain(const struct nd_epoll_wait *wait, nd_time timeout) {
    const struct call *call = wait->state;
    int ms = timeout == ND_AS_GIVEN ? call->timeout_ms : nd_time_poll_ms(timeout, 0);
    return nd_real.epoll_wait(wait->epfd, call->events, call->count, ms);
}

static int wait_masked(const struct nd_epoll_wait *wait, nd_time timeout) {
    const struct call *call = wait->state;
    int ms = timeout == ND_AS_GIVEN ? call->timeout_ms : nd_time_poll_ms(timeout, 0);
    return nd_real.epoll_pwait(wait->epfd, call->events, call->count, ms, call->mask);
}

static int wait_exact(const struct nd_epoll_wait *wait, nd_time timeout) {
    const struct call *call = wait->state;
    struct timespec ts = {(time_t)(timeout / ND_SEC), (long)(timeout % ND_SEC)};
    const struct timespec *given = timeout == ND_AS_GIVEN ? call->timeout : timeout == ND_NEVER ? NULL : &ts;
    return nd_real.epoll_pwait2(wait->epfd, call->events, call->count, given, call->mask);
}

static nd_time from_ms(int ms) {
    return ms < 0 ? ND_NEVER : ms * ND_MSEC;
}

ND_COLD static int wait_watched(int epfd, struct epoll_event *events, int count, int timeout) {
    struct call call = {.events = events, .count = count, .timeout_ms = timeout};
    struct nd_epoll_wait wait = {"epoll_wait", epfd, from_ms(timeout), wait_plain, &call};
    return nd_epoll_run(&wait);
}

int nd_hook_epoll_wait(int epfd, struct epoll_event *events, int count, int timeout) {
    if (nd_unlikely(nd_watch(epfd) & ND_WATCH_WAIT))
        return wait_watched(epfd, events, count, timeout);
    return nd_real.epoll_wait(epfd, events, count, timeout);
}

ND_COLD static int pwait_watched(int epfd, struct epoll_event *events, int count, int timeout, const sigset_t *mask) {
    struct call call = {.events = events, .count = count, .timeout_ms = timeout, .mask = mask};
    struct nd_epoll_wait wait = {"epoll_pwait", epfd, from_ms(timeout), wait_masked, &call};
    return nd_epoll_run(&wait);
}

int nd_hook_epoll_pwait(int epfd, struct epoll_event *events, int count, int timeout, const sigset_t *mask) {
    if (nd_unlikely(nd_watch(epfd) & ND_WATCH_WAIT))
        return pwait_watched(epfd, events, count, timeout, mask);
    return nd_real.epoll_pwait(epfd, events, count, timeout, mask);
}

ND_COLD static int pwait2_watched(int epfd, struct epoll_event *events, int count, const struct timespec *timeout,
                                  const sigset_t *mask) {
    struct call call = {.events = events, .count = count, .timeout = timeout, .mask = mask};
    nd_time seconds = timeout ? timeout->tv_sec : 0;
    bool never = !timeout || seconds > ND_NEVER / ND_SEC - 1;
    bool valid = !timeout || (timeout->tv_sec >= 0 && timeout->tv_nsec >= 0 && timeout->tv_nsec < ND_SEC);
    nd_time given = never ? ND_NEVER : seconds * ND_SEC + timeout->tv_nsec;
    struct nd_epoll_wait wait = {"epoll_pwait2", epfd, valid ? given : 0, wait_exact, &call};
    return nd_epoll_run(&wait);
}

int nd_hook_epoll_pwait2(int epfd, struct epoll_event *events, int count, const struct timespec *timeout,
                         const sigset_t *mask) {
    if (nd_unlikely(nd_watch(epfd) & ND_WATCH_WAIT))
        return pwait2_watched(epfd, events, count, timeout, mask);
    return nd_real.epoll_pwait2(epfd, events, count, timeout, mask);
}
