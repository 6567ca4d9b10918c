/* poll, ppoll: the limits of the sockets in the set are kept by wait/set.h. */
#include <limits.h>

#include "shim/hook/hook.h"
#include "shim/limit/wait_clock.h"
#include "shim/readable.h"
#include "shim/wait/results.h"
#include "shim/wait/set.h"
#include "shim/wait/timeout.h"

struct call {
    struct pollfd *fds;
    nfds_t count;
    int timeout_ms;
    const struct timespec *timeout; /* ppoll's, where `is_ppoll` */
    const sigset_t *mask;
    bool is_ppoll;
};

/* The index of the first entry that is watched, or -1. */
static inline int first_watched(const struct pollfd *fds, nfds_t count, const void *caller) {
    if (nd_sock_none_for(caller) || count > INT_MAX || !nd_readable(fds, count * sizeof *fds))
        return -1; /* the kernel gives the error */
    for (nfds_t i = 0; i < count; i++) {
        unsigned wants = nd_watch_events(fds[i].events);
        if (nd_unlikely(nd_watch(fds[i].fd) & wants) && (nd_watch_exact(fds[i].fd) & wants))
            return (int)i;
    }
    return -1;
}

static bool entry(const struct nd_wait_set *set, unsigned index, struct nd_wait_entry *entry) {
    const struct pollfd *pollfd = &((const struct call *)set->state)->fds[index];
    *entry = (struct nd_wait_entry){.fd = pollfd->fd,
                                    .wants = nd_wants_of(pollfd->events, pollfd->events),
                                    .ready = nd_wants_of(pollfd->events, pollfd->revents)};
    return pollfd->fd >= 0;
}

static int wait_for(struct nd_wait_set *set, nd_time timeout) {
    const struct call *call = set->state;
    struct timespec storage;
    if (call->is_ppoll) {
        const struct timespec *given = nd_timeout_to_timespec(timeout, call->timeout, &storage);
        return nd_real.ppoll(call->fds, call->count, given, call->mask);
    }
    const int ms = nd_timeout_to_ms(timeout, call->timeout_ms);
    return nd_real.poll(call->fds, call->count, ms);
}

static int show(struct nd_wait_set *set, unsigned index) {
    struct pollfd *pollfd = &((const struct call *)set->state)->fds[index];
    const int ready = pollfd->revents != 0;
    pollfd->revents = (short)(pollfd->revents | (pollfd->events & (ND_WANTS_IN | ND_WAIT_URGENT)));
    return 1 - ready;
}

static int wait_watched(enum nd_call operation, struct call *call, int first, nd_time timeout) {
    struct nd_wait_set set;
    set.operation = operation;
    set.first = (unsigned)first;
    set.count = (unsigned)call->count;
    set.timeout = timeout;
    set.entry = entry;
    set.wait = wait_for;
    set.show = show;
    set.masked = call->mask != NULL;
    set.state = call;
    int ready = nd_wait_set_run(&set);
    nd_results_poll(call->fds, call->count, ready);
    return ready;
}

ND_APART static int poll_watched(struct pollfd *fds, nfds_t count, int timeout, int first) {
    struct call call = {.fds = fds, .count = count, .timeout_ms = timeout};
    return wait_watched(ND_OPERATION_poll, &call, first, nd_timeout_of_ms(timeout));
}

int nd_hook_poll(struct pollfd *fds, nfds_t count, int timeout) {
    int first = first_watched(fds, count, __builtin_return_address(0));
    return nd_unlikely(first >= 0) ? poll_watched(fds, count, timeout, first) : nd_real.poll(fds, count, timeout);
}
ND_ALIAS_OF(__poll, poll);

int nd_hook___poll_chk(struct pollfd *fds, nfds_t count, int timeout, size_t size) {
    if (nd_unlikely(size / sizeof *fds < count))
        return nd_real.__poll_chk(fds, count, timeout, size);
    return nd_hook_poll(fds, count, timeout);
}

ND_APART static int ppoll_watched(struct pollfd *fds, nfds_t count, const struct timespec *timeout,
                                  const sigset_t *mask, int first) {
    struct call call = {.fds = fds, .count = count, .timeout = timeout, .mask = mask, .is_ppoll = true};
    const nd_time given = nd_timeout_of_timespec(timeout);
    if (given < 0)
        return nd_real.ppoll(fds, count, timeout, mask);
    return wait_watched(ND_OPERATION_ppoll, &call, first, given);
}

int nd_hook_ppoll(struct pollfd *fds, nfds_t count, const struct timespec *timeout, const sigset_t *mask) {
    int first = first_watched(fds, count, __builtin_return_address(0));
    return nd_unlikely(first >= 0) ? ppoll_watched(fds, count, timeout, mask, first)
                                   : nd_real.ppoll(fds, count, timeout, mask);
}

int nd_hook___ppoll_chk(struct pollfd *fds, nfds_t count, const struct timespec *timeout, const sigset_t *mask,
                        size_t size) {
    if (nd_unlikely(size / sizeof *fds < count))
        return nd_real.__ppoll_chk(fds, count, timeout, mask, size);
    return nd_hook_ppoll(fds, count, timeout, mask);
}
