/* poll, ppoll: a wait clock for the sockets in the set, see waitset.h. */
#include <errno.h>
#include <limits.h>

#include "shim/hook.h"
#include "shim/readable.h"
#include "shim/shown.h"
#include "shim/slots.h"
#include "shim/sockets.h"
#include "shim/waitloop.h"
#include "shim/waitset.h"

struct call {
    struct pollfd *fds;
    nfds_t count;
    int timeout_ms;
    const struct timespec *timeout; /* ppoll's, where `is_ppoll` */
    const sigset_t *mask;
    bool is_ppoll;
};

static bool any_watched(const struct pollfd *fds, nfds_t count) {
    if (!nd_sock_any || count > INT_MAX || !nd_readable(fds, count * sizeof *fds))
        return false; /* the kernel says what there is to say */
    for (nfds_t i = 0; i < count; i++) {
        unsigned wants = nd_watch_events(fds[i].events);
        if (fds[i].fd >= 0 && nd_unlikely(nd_watch(fds[i].fd) & wants) && (nd_watch_exact(fds[i].fd) & wants))
            return true;
    }
    return false;
}

static bool entry(const struct nd_waitset *set, unsigned index, struct nd_wait_entry *entry) {
    const struct pollfd *pollfd = &((const struct call *)set->state)->fds[index];
    *entry = (struct nd_wait_entry){.fd = pollfd->fd,
                                    .wants = nd_wants_of(pollfd->events, pollfd->events),
                                    .ready = nd_wants_of(pollfd->events, pollfd->revents)};
    return pollfd->fd >= 0;
}

static int wait_for(struct nd_waitset *set, nd_time timeout) {
    const struct call *call = set->state;
    if (timeout == ND_AS_GIVEN)
        return call->is_ppoll ? nd_real.ppoll(call->fds, call->count, call->timeout, call->mask)
                              : nd_real.poll(call->fds, call->count, call->timeout_ms);
    if (!call->is_ppoll)
        return nd_real.poll(call->fds, call->count, nd_time_poll_ms(timeout, 0));
    struct timespec ts = {(time_t)(timeout / ND_SEC), (long)(timeout % ND_SEC)};
    return nd_real.ppoll(call->fds, call->count, timeout == ND_NEVER ? NULL : &ts, call->mask);
}

static void show(struct nd_waitset *set, unsigned index) {
    struct pollfd *pollfd = &((const struct call *)set->state)->fds[index];
    pollfd->revents = (short)(pollfd->revents | (pollfd->events & (ND_WANTS_IN | ND_WAIT_URGENT)));
}

ND_COLD static int wait_watched(const char *operation, struct call *call, nd_time timeout) {
    struct nd_waitset set = {.operation = operation,
                             .count = (unsigned)call->count,
                             .timeout = timeout,
                             .entry = entry,
                             .wait = wait_for,
                             .show = show,
                             .masked = call->mask != NULL,
                             .state = call};
    int ready = nd_waitset_run(&set);
    nd_shown_poll(call->fds, call->count, ready);
    return ready;
}

int nd_hook_poll(struct pollfd *fds, nfds_t count, int timeout) {
    if (nd_unlikely(any_watched(fds, count))) {
        struct call call = {.fds = fds, .count = count, .timeout_ms = timeout};
        return wait_watched(nd_operation_names[ND_OPERATION_poll], &call, timeout < 0 ? ND_NEVER : timeout * ND_MSEC);
    }
    return nd_real.poll(fds, count, timeout);
}
ND_ALIAS_OF(__poll, poll);

int nd_hook___poll_chk(struct pollfd *fds, nfds_t count, int timeout, size_t room) {
    if (nd_unlikely(room / sizeof *fds < count))
        return nd_real.__poll_chk(fds, count, timeout, room);
    return nd_hook_poll(fds, count, timeout);
}

static bool valid(const struct timespec *timeout) {
    return !timeout || (timeout->tv_sec >= 0 && timeout->tv_nsec >= 0 && timeout->tv_nsec < ND_SEC);
}

int nd_hook_ppoll(struct pollfd *fds, nfds_t count, const struct timespec *timeout, const sigset_t *mask) {
    if (nd_unlikely(any_watched(fds, count)) && valid(timeout)) {
        struct call call = {.fds = fds, .count = count, .timeout = timeout, .mask = mask, .is_ppoll = true};
        nd_time seconds = timeout ? timeout->tv_sec : 0;
        bool never = !timeout || seconds > ND_NEVER / ND_SEC - 1;
        nd_time given = never ? ND_NEVER : seconds * ND_SEC + timeout->tv_nsec;
        return wait_watched(nd_operation_names[ND_OPERATION_ppoll], &call, given);
    }
    return nd_real.ppoll(fds, count, timeout, mask);
}

int nd_hook___ppoll_chk(struct pollfd *fds, nfds_t count, const struct timespec *timeout, const sigset_t *mask,
                        size_t room) {
    if (nd_unlikely(room / sizeof *fds < count))
        return nd_real.__ppoll_chk(fds, count, timeout, mask, room);
    return nd_hook_ppoll(fds, count, timeout, mask);
}
