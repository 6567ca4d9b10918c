/* poll, ppoll: the limits of the sockets in the set are kept by wait/set.h. */
#include <errno.h>
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
    bool was_made; /* without waiting, and found `ready` */
    int ready;
};

/* What stands for the index of a first entry that is watched: there is none, or it is not known whether the array can
 * be read. */
enum { NONE = -1, UNKNOWN = -2 };

/* The index of the first entry that is watched; *any is the bits of all entries before it. */
static inline int find_watched(const struct pollfd *fds, nfds_t count, unsigned *any) {
    for (nfds_t i = 0; i < count; i++) {
        const unsigned wants = nd_watch_events(fds[i].events), watch = nd_watch(fds[i].fd);
        if (nd_unlikely(watch & wants) && (nd_watch_exact(fds[i].fd) & wants))
            return (int)i;
        *any |= watch;
    }
    return NONE;
}

/* The index of the first entry whose clocks may run, where `first` is that of the first one watched, and `any` the bits
 * of those before it. UNACKED alone bounds some of these, perhaps. */
static inline int from(int first, unsigned any) {
    return first == NONE || nd_watch_gone(any) ? 0 : first;
}

/* The index of the first entry that is watched. */
static inline int first_watched(const struct pollfd *fds, nfds_t count, unsigned *any, const void *caller) {
    *any = 0;
    if (nd_sock_none_for(caller) || count == 0 || count > INT_MAX)
        return NONE; /* the kernel gives the error */
    return nd_likely(nd_readable_on_stack(fds, count * sizeof *fds)) ? find_watched(fds, count, any) : UNKNOWN;
}

static bool entry(const struct nd_wait_set *set, unsigned index, struct nd_wait_entry *entry) {
    const struct pollfd *pollfd = &((const struct call *)set->state)->fds[index];
    *entry = (struct nd_wait_entry){.fd = pollfd->fd,
                                    .wants = nd_wants_of(pollfd->events, pollfd->events),
                                    .ready = nd_wants_of(pollfd->events, pollfd->revents)};
    return pollfd->fd >= 0;
}

static int make(const struct call *call, nd_time timeout) {
    struct timespec storage;
    if (call->is_ppoll) {
        const struct timespec *given = nd_timeout_to_timespec(timeout, call->timeout, &storage);
        return nd_real.ppoll(call->fds, call->count, given, call->mask);
    }
    const int ms = nd_timeout_to_ms(timeout, call->timeout_ms);
    return nd_real.poll(call->fds, call->count, ms);
}

static int wait_for(struct nd_wait_set *set, nd_time timeout) {
    struct call *call = set->state;
    const bool is_over = nd_unlikely(call->was_made) && (call->ready > 0 || set->timeout == 0);
    call->was_made = false;
    return is_over ? call->ready : make(call, timeout);
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
    nd_results_poll(operation, call->fds, call->count, ready);
    return ready;
}

/* Whether a wait that was not watched, and has found `ready`, is to check its sockets. The first entry alone is asked
 * for an ended connection: it is the one of most programs that have one, and a pass over all would cost every wait. */
static inline bool is_checked(const struct pollfd *fds, int ready) {
    return nd_wait_set_checks(ready) || nd_unlikely(fds->revents & (POLLERR | POLLHUP));
}

/* Ends what is gone among the entries of such a wait, and notes what KEEPALIVE has ended. */
ND_COLD static int check(enum nd_call operation, struct pollfd *fds, nfds_t count, int ready) {
    struct call call = {.fds = fds, .count = count};
    struct nd_wait_set set = {.operation = operation, .count = (unsigned)count, .entry = entry, .state = &call};
    if (nd_wait_set_check(&set) && ready == 0)
        ready = nd_real.poll(fds, count, 0);
    nd_results_poll(operation, fds, count, ready);
    return ready;
}

/* An array that is not on the stack may have been unmapped since an earlier call. The call is made without waiting
 * first: it fails with EFAULT, or the array can be read. */
ND_APART static int wait_unknown(enum nd_call operation, struct call *call, nd_time timeout) {
    call->ready = make(call, 0);
    if (call->ready < 0) /* EFAULT may mean that the array cannot be written, which the kernel notices after the wait */
        return errno == EFAULT ? make(call, ND_AS_GIVEN) : call->ready;
    unsigned any = 0;
    const int first = find_watched(call->fds, call->count, &any);
    if (first == NONE && (call->ready > 0 || timeout == 0))
        return nd_watch_gone(any) && is_checked(call->fds, call->ready)
                   ? check(operation, call->fds, call->count, call->ready)
                   : call->ready;
    if (first == NONE && !nd_watch_gone(any))
        return make(call, ND_AS_GIVEN);
    call->was_made = true;
    return wait_watched(operation, call, from(first, any), timeout);
}

ND_APART static int poll_watched(struct pollfd *fds, nfds_t count, int timeout, int first) {
    struct call call = {.fds = fds, .count = count, .timeout_ms = timeout};
    return nd_likely(first >= 0) ? wait_watched(ND_OPERATION_poll, &call, first, nd_timeout_of_ms(timeout))
                                 : wait_unknown(ND_OPERATION_poll, &call, nd_timeout_of_ms(timeout));
}

ND_COLD static int poll_further(struct pollfd *fds, nfds_t count, int timeout, int ready) {
    if (ready == 0 && (unsigned)timeout > ND_UNWATCHED_MS)
        return poll_watched(fds, count, timeout < 0 ? timeout : timeout - ND_UNWATCHED_MS, 0);
    return check(ND_OPERATION_poll, fds, count, ready);
}

/* UNACKED alone bounds the wait: it is the program's own, for a while. */
ND_APART static int poll_unwatched(struct pollfd *fds, nfds_t count, int timeout) {
    const bool is_short = (unsigned)timeout <= ND_UNWATCHED_MS;
    const int ready = nd_real.poll(fds, count, is_short ? timeout : ND_UNWATCHED_MS);
    return is_checked(fds, ready) ? poll_further(fds, count, timeout, ready) : ready;
}

int nd_hook_poll(struct pollfd *fds, nfds_t count, int timeout) {
    unsigned any;
    int first = first_watched(fds, count, &any, __builtin_return_address(0));
    if (nd_unlikely(first != NONE))
        return poll_watched(fds, count, timeout, first == UNKNOWN ? first : from(first, any));
    return nd_watch_gone(any) ? poll_unwatched(fds, count, timeout) : nd_real.poll(fds, count, timeout);
}
ND_ALIAS_OF(__poll, poll);

int nd_hook___poll_chk(struct pollfd *fds, nfds_t count, int timeout, size_t size) {
    if (nd_unlikely(size / sizeof *fds < count))
        return nd_real.__poll_chk(fds, count, timeout, size);
    return nd_hook_poll(fds, count, timeout);
}

ND_APART static int ppoll_watched(struct pollfd *fds, nfds_t count, const struct timespec *timeout,
                                  const sigset_t *mask, int first) {
    if (timeout && nd_unlikely(!nd_readable(timeout, sizeof *timeout)))
        return nd_real.ppoll(fds, count, timeout, mask);
    struct call call = {.fds = fds, .count = count, .timeout = timeout, .mask = mask, .is_ppoll = true};
    const nd_time given = nd_timeout_of_timespec(timeout);
    if (given < 0)
        return nd_real.ppoll(fds, count, timeout, mask);
    return nd_likely(first >= 0) ? wait_watched(ND_OPERATION_ppoll, &call, first, given)
                                 : wait_unknown(ND_OPERATION_ppoll, &call, given);
}

static bool is_short(const struct timespec *timeout) {
    return timeout && timeout->tv_sec < ND_UNWATCHED_MS / 1000;
}

ND_APART static int ppoll_unwatched(struct pollfd *fds, nfds_t count, const struct timespec *timeout,
                                    const sigset_t *mask) {
    const struct timespec unwatched = {ND_UNWATCHED_MS / 1000, 0};
    const bool whole = is_short(timeout) || (timeout && nd_timeout_of_timespec(timeout) < 0);
    const int ready = nd_real.ppoll(fds, count, whole ? timeout : &unwatched, mask);
    if (!is_checked(fds, ready))
        return ready;
    if (ready == 0 && !whole) {
        struct timespec rest;
        if (timeout)
            rest = (struct timespec){timeout->tv_sec - unwatched.tv_sec, timeout->tv_nsec};
        return ppoll_watched(fds, count, timeout ? &rest : NULL, mask, 0);
    }
    return check(ND_OPERATION_ppoll, fds, count, ready);
}

int nd_hook_ppoll(struct pollfd *fds, nfds_t count, const struct timespec *timeout, const sigset_t *mask) {
    unsigned any;
    int first = first_watched(fds, count, &any, __builtin_return_address(0));
    if (nd_unlikely(first != NONE))
        return ppoll_watched(fds, count, timeout, mask, first == UNKNOWN ? first : from(first, any));
    return nd_watch_gone(any) ? ppoll_unwatched(fds, count, timeout, mask) : nd_real.ppoll(fds, count, timeout, mask);
}

int nd_hook___ppoll_chk(struct pollfd *fds, nfds_t count, const struct timespec *timeout, const sigset_t *mask,
                        size_t size) {
    if (nd_unlikely(size / sizeof *fds < count))
        return nd_real.__ppoll_chk(fds, count, timeout, mask, size);
    return nd_hook_ppoll(fds, count, timeout, mask);
}
