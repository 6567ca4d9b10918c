/* epoll_create, epoll_ctl, epoll_wait and its variants: the limits of the sockets in the set are kept by
 * wait/epoll_set.h. */
#include "shim/hook/hook.h"
#include "shim/readable.h"
#include "shim/wait/epoll_member.h"
#include "shim/wait/epoll_results.h"
#include "shim/wait/epoll_scan.h"
#include "shim/wait/epoll_set.h"
#include "shim/wait/results.h"
#include "shim/wait/set.h"
#include "shim/wait/timeout.h"

/* A set gets a record when it is created, so that one that is added to another set while it is empty is known there. */
int nd_hook_epoll_create(int size) {
    int fd = nd_real.epoll_create(size);
    if (fd >= 0 && nd_active)
        nd_sock_created(fd, ND_SOCK_EPOLL);
    return fd;
}

int nd_hook_epoll_create1(int flags) {
    int fd = nd_real.epoll_create1(flags);
    if (fd >= 0 && nd_active)
        nd_sock_created(fd, ND_SOCK_EPOLL);
    return fd;
}

int nd_hook_epoll_ctl(int epfd, int op, int fd, struct epoll_event *event) {
    int result = nd_real.epoll_ctl(epfd, op, fd, event);
    if (result == 0 && nd_active)
        nd_epoll_noted(epfd, fd, op == EPOLL_CTL_DEL ? NULL : event);
    return result;
}

/* One wait on a set, as the program made it. */
struct call {
    enum nd_call operation;
    int epfd;
    struct nd_sock *set; /* the record of `epfd`, if that is the home of the set; else NULL */
    int (*wait)(const struct call *call, nd_time timeout);
    struct epoll_event *events;
    int count, timeout_ms;
    const struct timespec *timeout;
    const sigset_t *mask;
};

static inline int wait_plain(const struct call *call, nd_time timeout) {
    const int ms = nd_timeout_to_ms(timeout, call->timeout_ms);
    return nd_real.epoll_wait(call->epfd, call->events, call->count, ms);
}

static int wait_masked(const struct call *call, nd_time timeout) {
    const int ms = nd_timeout_to_ms(timeout, call->timeout_ms);
    return nd_real.epoll_pwait(call->epfd, call->events, call->count, ms, call->mask);
}

static int wait_exact(const struct call *call, nd_time timeout) {
    struct timespec storage;
    const struct timespec *given = nd_timeout_to_timespec(timeout, call->timeout, &storage);
    return nd_real.epoll_pwait2(call->epfd, call->events, call->count, given, call->mask);
}

/* Whether the set may change during the wait: another thread may add a socket, begin an operation on one, or fill the
 * send buffer of one. Nothing wakes this thread then, so it waits for no longer than nd_epoll_period at a time. Not if
 * the call has a signal mask: to hold signals would cost two system calls each time. */
static bool may_change(const sigset_t *mask) {
    return !*nd_one_thread && !mask;
}

/* Whether all that is known of the set is in call->set. */
static inline bool is_plain(const struct call *call) {
    return nd_likely(call->set != NULL) && nd_likely(!call->set->epoll.nested);
}

ND_APART static nd_time due_by_period(const struct call *call, nd_time now) {
    const nd_time period = nd_epoll_period(), next = now + period;
    nd_epoll_scan_by(call->epfd, now, period);
    const nd_time due = nd_epoll_due(call->epfd, now);
    return due < next ? due : next;
}

ND_INLINE nd_time due(void *arg, nd_time now) {
    const struct call *call = arg;
    if (nd_epoll_shows(call->epfd))
        return now;
    if (may_change(call->mask))
        return due_by_period(call, now);
    return is_plain(call) && nd_epoll_is_current(call->set) ? call->set->epoll.due : nd_epoll_due(call->epfd, now);
}

ND_INLINE int wait_for(void *arg, nd_time timeout) {
    const struct call *call = arg;
    int ready = call->wait(call, timeout);
    if (ready > 0 && !(call->set && !call->set->epoll.one_shots))
        nd_epoll_delivered(call->epfd, call->events, ready);
    return ready;
}

ND_INLINE void settle(void *arg, nd_time began, nd_time ended, bool ready) {
    (void)ready;
    const struct call *call = arg;
    if (is_plain(call))
        nd_epoll_waited_here(call->set, began, ended);
    else
        nd_epoll_waited(call->epfd, began, ended);
}

static bool expire(void *arg, nd_time now) {
    const struct call *call = arg;
    return nd_epoll_scan(nd_operation_names[call->operation], call->epfd, NULL, now);
}

static int show(void *arg, int ready) {
    const struct call *call = arg;
    return nd_epoll_show(call->epfd, call->events, ready, call->count);
}

static inline struct nd_sock *set_at_home(int epfd) {
    struct nd_sock *set = nd_epoll_set_of(epfd);
    return set && !set->epoll.copy_of ? set : NULL;
}

ND_INLINE int run(struct call *call, nd_time timeout) {
    static const struct nd_waiting how = {due, wait_for, settle, NULL, expire, show};
    /* Which of the set's sockets is due first is known only after a scan. */
    const struct nd_wait_row shown = {call->operation, call->epfd, ND_NEVER, ND_LIMIT_NONE};
    call->set = set_at_home(call->epfd);
    int ready = nd_wait_loop(&how, call->mask != NULL, call, timeout, &shown);
    nd_results_epoll(call->operation, call->epfd, call->events, ready);
    return ready;
}

static inline struct call plain_call(int epfd, struct epoll_event *events, int count, int timeout) {
    return (struct call){.operation = ND_OPERATION_epoll_wait,
                         .epfd = epfd,
                         .wait = wait_plain,
                         .events = events,
                         .count = count,
                         .timeout_ms = timeout};
}

static inline struct call masked_call(int epfd, struct epoll_event *events, int count, int timeout,
                                      const sigset_t *mask) {
    return (struct call){.operation = ND_OPERATION_epoll_pwait,
                         .epfd = epfd,
                         .wait = wait_masked,
                         .events = events,
                         .count = count,
                         .timeout_ms = timeout,
                         .mask = mask};
}

ND_APART static int wait_watched(int epfd, struct epoll_event *events, int count, int timeout) {
    struct call call = plain_call(epfd, events, count, timeout);
    return run(&call, nd_timeout_of_ms(timeout));
}

/* Whether the timeout may be longer than nd_epoll_period. */
static bool is_long(int timeout) {
    return (unsigned)timeout > ND_EPOLL_SHORTEST_PERIOD / ND_MSEC;
}

/* Ends what is gone in a set, for which a wait that was not watched has found `ready`. Returns whether anything was
 * ended. */
ND_COLD static bool check(enum nd_call operation, int epfd) {
    const int saved = errno;
    const nd_time now = nd_now_coarse();
    const bool any = now >= nd_epoll_due(epfd, now) && nd_epoll_scan(nd_operation_names[operation], epfd, NULL, now);
    errno = saved;
    return any;
}

/* Goes on with a wait, for a set in which no limit holds but UNACKED, that was the program's own for `period`
 * milliseconds, or its shorter timeout, and gave `ready`. */
ND_COLD static int wait_further(struct call *call, int period, int ready) {
    if (ready == 0 && (unsigned)call->timeout_ms > (unsigned)period) {
        call->timeout_ms -= call->timeout_ms < 0 ? 0 : period;
        return run(call, nd_timeout_of_ms(call->timeout_ms));
    }
    if (check(call->operation, call->epfd) && ready == 0)
        ready = call->wait(call, 0);
    nd_results_epoll(call->operation, call->epfd, call->events, ready);
    return ready;
}

/* Such a wait where other threads may change the set meanwhile. */
ND_APART static int wait_changing(struct call *call) {
    if (!nd_epoll_set_of(call->epfd))
        return call->wait(call, ND_AS_GIVEN);
    const int period = nd_time_poll_ms(nd_epoll_period(), 0);
    const int ready = call->wait(call, (unsigned)call->timeout_ms <= (unsigned)period ? ND_AS_GIVEN : period * ND_MSEC);
    return nd_wait_set_checks(ready) ? wait_further(call, period, ready) : ready;
}

/* Whether the set may change during a wait that lasts. */
static inline bool is_changing(int timeout, const sigset_t *mask) {
    return is_long(timeout) && nd_active && may_change(mask);
}

/* Whether a wait with these watch bits of its set, which are no full watch, must be more than the program's own. */
static inline bool is_more(unsigned watch, int timeout, const sigset_t *mask) {
    return nd_watch_gone(watch) || is_changing(timeout, mask);
}

/* How long a wait may be the program's own, in milliseconds. */
static inline int unwatched_ms(int timeout) {
    return (unsigned)timeout <= ND_UNWATCHED_MS ? timeout : ND_UNWATCHED_MS;
}

/* The first event alone is asked for an ended connection: a pass over all would cost every wait. */
static inline bool goes_further(const struct epoll_event *events, int ready) {
    return nd_wait_set_checks(ready) || nd_unlikely(events->events & (EPOLLERR | EPOLLHUP));
}

ND_COLD static int epoll_wait_further(int epfd, struct epoll_event *events, int count, int timeout, int ready) {
    struct call call = plain_call(epfd, events, count, timeout);
    return wait_further(&call, ND_UNWATCHED_MS, ready);
}

ND_APART static int epoll_wait_changing(int epfd, struct epoll_event *events, int count, int timeout) {
    struct call call = plain_call(epfd, events, count, timeout);
    return wait_changing(&call);
}

/* The arguments of a call. */
struct kept {
    int epfd, count, timeout;
    struct epoll_event *events;
};

ND_APART static int epoll_wait_unwatched(int epfd, struct epoll_event *events, int count, int timeout) {
    if (nd_unlikely(!*nd_one_thread) && is_changing(timeout, NULL))
        return epoll_wait_changing(epfd, events, count, timeout);
    /* Volatile, so that what is seldom needed again takes no registers that had to be saved: 14 instructions less. Each
     * is stored by itself, else all are copied once more. */
    volatile struct kept kept;
    kept.epfd = epfd;
    kept.count = count;
    kept.timeout = timeout;
    kept.events = events;
    const int ready = nd_real.epoll_wait(epfd, events, count, unwatched_ms(timeout));
    return nd_unlikely(goes_further(kept.events, ready))
               ? epoll_wait_further(kept.epfd, kept.events, kept.count, kept.timeout, ready)
               : ready;
}

int nd_hook_epoll_wait(int epfd, struct epoll_event *events, int count, int timeout) {
    const unsigned watch = nd_watch(epfd);
    if (nd_unlikely(watch & ND_WATCH_WAIT))
        return wait_watched(epfd, events, count, timeout);
    if (is_more(watch, timeout, NULL))
        return epoll_wait_unwatched(epfd, events, count, timeout);
    return nd_real.epoll_wait(epfd, events, count, timeout);
}

ND_APART static int pwait_watched(int epfd, struct epoll_event *events, int count, int timeout, const sigset_t *mask) {
    struct call call = masked_call(epfd, events, count, timeout, mask);
    return run(&call, nd_timeout_of_ms(timeout));
}

ND_COLD static int epoll_pwait_further(int epfd, struct epoll_event *events, int count, int timeout,
                                       const sigset_t *mask, int ready) {
    struct call call = masked_call(epfd, events, count, timeout, mask);
    return wait_further(&call, ND_UNWATCHED_MS, ready);
}

ND_APART static int epoll_pwait_changing(int epfd, struct epoll_event *events, int count, int timeout,
                                         const sigset_t *mask) {
    struct call call = masked_call(epfd, events, count, timeout, mask);
    return wait_changing(&call);
}

ND_APART static int epoll_pwait_unwatched(int epfd, struct epoll_event *events, int count, int timeout,
                                          const sigset_t *mask) {
    if (is_changing(timeout, mask))
        return epoll_pwait_changing(epfd, events, count, timeout, mask);
    const int ready = nd_real.epoll_pwait(epfd, events, count, unwatched_ms(timeout), mask);
    return nd_unlikely(goes_further(events, ready)) ? epoll_pwait_further(epfd, events, count, timeout, mask, ready)
                                                    : ready;
}

int nd_hook_epoll_pwait(int epfd, struct epoll_event *events, int count, int timeout, const sigset_t *mask) {
    if (nd_unlikely(nd_watch(epfd) & ND_WATCH_WAIT))
        return pwait_watched(epfd, events, count, timeout, mask);
    if (is_more(nd_watch(epfd), timeout, mask))
        return epoll_pwait_unwatched(epfd, events, count, timeout, mask);
    return nd_real.epoll_pwait(epfd, events, count, timeout, mask);
}

/* libc leaves the timeout to the kernel, which says EFAULT. */
static bool is_unreadable(const struct timespec *timeout) {
    return timeout && !nd_readable(timeout, sizeof *timeout);
}

ND_APART static int pwait2_watched(int epfd, struct epoll_event *events, int count, const struct timespec *timeout,
                                   const sigset_t *mask) {
    struct call call = {.operation = ND_OPERATION_epoll_pwait2,
                        .epfd = epfd,
                        .wait = wait_exact,
                        .events = events,
                        .count = count,
                        .timeout = timeout,
                        .mask = mask};
    const nd_time given = is_unreadable(timeout) ? -1 : nd_timeout_of_timespec(timeout);
    return given < 0 ? nd_real.epoll_pwait2(epfd, events, count, timeout, mask) : run(&call, given);
}

int nd_hook_epoll_pwait2(int epfd, struct epoll_event *events, int count, const struct timespec *timeout,
                         const sigset_t *mask) {
    const unsigned watch = nd_watch(epfd);
    const bool lasts =
        nd_watch_gone(watch) && !is_unreadable(timeout) && !(timeout && timeout->tv_sec < ND_UNWATCHED_MS / 1000);
    if (nd_unlikely(watch & ND_WATCH_WAIT) || lasts)
        return pwait2_watched(epfd, events, count, timeout, mask);
    int ready = nd_real.epoll_pwait2(epfd, events, count, timeout, mask);
    if (!nd_watch_gone(watch) || !goes_further(events, ready))
        return ready;
    if (check(ND_OPERATION_epoll_pwait2, epfd) && ready == 0)
        ready = nd_real.epoll_pwait2(epfd, events, count, &(struct timespec){0, 0}, mask);
    nd_results_epoll(ND_OPERATION_epoll_pwait2, epfd, events, ready);
    return ready;
}
