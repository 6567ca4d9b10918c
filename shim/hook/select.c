/* select, pselect: the limits of the sockets in the sets are kept by wait/set.h. */
#include <limits.h>
#include <string.h>

#include "shim/hook/hook.h"
#include "shim/limit/wait_clock.h"
#include "shim/readable.h"
#include "shim/socket/fdtable.h"
#include "shim/wait/set.h"
#include "shim/wait/timeout.h"

/* The largest count that is handled. With a larger one the kernel reads the sets only up to the size of its own table
 * of descriptors, and the program's sets may end there (select(getdtablesize(), ...) under a high limit). If that table
 * is larger, too, such calls are left to the kernel. */
#define MOST FD_SETSIZE
#define LONG_BITS ((int)(sizeof(long) * CHAR_BIT))

enum { IN, OUT, EXCEPT, SETS };

struct call {
    int count;
    long *sets[SETS];                   /* what the real call gets: the program's, or `own` */
    long asked[SETS][MOST / LONG_BITS]; /* what the program asked for: the kernel overwrites the sets */
    long own[SETS][MOST / LONG_BITS];   /* the results, if the program passed one set twice */
    struct timeval *timeval;            /* select's */
    const struct timespec *timespec;    /* pselect's, where `is_pselect` */
    const sigset_t *mask;
    bool is_pselect;
    bool is_intact; /* the sets hold what was asked for: they may be memory that cannot be written */
    nd_time left;   /* of select's timeout */
};

static bool bit(const long *set, int fd) {
    return set && (set[fd / LONG_BITS] >> (fd % LONG_BITS) & 1);
}

static size_t bytes(int count) {
    return (size_t)((count + LONG_BITS - 1) / LONG_BITS) * sizeof(long);
}

static bool is_watched(unsigned watch, unsigned wants) {
    return (watch & wants) || ((wants & ND_WATCH_WAIT_IN) && nd_watch_gone(watch));
}

/* The first descriptor of the set that is watched for `wants`, or `count`. */
static int first_in(int count, const long *set, unsigned wants) {
    if (!set)
        return count;
    for (int word = 0; word * LONG_BITS < count; word++)
        for (int fd = word * LONG_BITS; set[word] && fd < count && fd < (word + 1) * LONG_BITS; fd++)
            if (bit(set, fd) && is_watched(nd_watch(fd), wants))
                return fd;
    return count;
}

static int least(int a, int b) {
    return a < b ? a : b;
}

static bool is_unreadable(const fd_set *set, int count) {
    return set && nd_unlikely(!nd_readable(set, bytes(count)));
}

/* The first descriptor that is watched, or `count`; that also where one of the sets cannot be read: the kernel gives
 * the error. */
static int first_watched(int count, const fd_set *in, const fd_set *out, const fd_set *except, const void *caller) {
    if (nd_sock_none_for(caller) || is_unreadable(in, count) || is_unreadable(out, count) ||
        is_unreadable(except, count))
        return count;
    int first = least(first_in(count, (const long *)in, ND_WATCH_WAIT_IN),
                      first_in(count, (const long *)out, ND_WATCH_WAIT_OUT));
    return except ? least(first, first_in(count, (const long *)except, ND_WATCH_WAIT_IN)) : first;
}

static bool entry(const struct nd_wait_set *set, unsigned index, struct nd_wait_entry *entry) {
    static const short events[SETS] = {POLLIN, POLLOUT, POLLPRI};
    const struct call *call = set->state;
    *entry = (struct nd_wait_entry){.fd = (int)index};
    for (int i = 0; i < SETS; i++) {
        if (bit(call->asked[i], (int)index))
            entry->wants |= events[i];
        if (bit(call->sets[i], (int)index))
            entry->ready |= events[i];
    }
    entry->ready = nd_wants_of(entry->wants, entry->ready);
    entry->wants = nd_wants_of(entry->wants, entry->wants);
    return entry->wants != 0;
}

static int real_pselect(struct call *call, fd_set **sets, nd_time timeout) {
    struct timespec storage;
    const struct timespec *given = nd_timeout_to_timespec(timeout, call->timespec, &storage);
    return nd_real.pselect(call->count, sets[IN], sets[OUT], sets[EXCEPT], given, call->mask);
}

/* Makes the real call with a timeout other than the program's. Linux writes the time left into the timeout: computes
 * what is left of the program's. */
static int select_for(struct call *call, fd_set **sets, nd_time timeout) {
    nd_time usec = timeout == ND_NEVER ? timeout : (timeout + ND_USEC - 1) / ND_USEC;
    struct timeval tv = {(time_t)(usec / 1000000), (suseconds_t)(usec % 1000000)};
    int ready = nd_real.select(call->count, sets[IN], sets[OUT], sets[EXCEPT], timeout == ND_NEVER ? NULL : &tv);
    if (call->timeval) {
        nd_time rest = (nd_time)tv.tv_sec * ND_SEC + tv.tv_usec * ND_USEC, left = call->left - (timeout - rest);
        call->left = left > 0 ? left : 0;
        usec = call->left / ND_USEC;
        *call->timeval = (struct timeval){(time_t)(usec / 1000000), (suseconds_t)(usec % 1000000)};
    }
    return ready;
}

static int real_select(struct call *call, nd_time timeout) {
    fd_set *sets[SETS] = {(fd_set *)call->sets[IN], (fd_set *)call->sets[OUT], (fd_set *)call->sets[EXCEPT]};
    if (call->is_pselect)
        return real_pselect(call, sets, timeout);
    if (timeout != ND_AS_GIVEN)
        return select_for(call, sets, timeout);
    int ready = nd_real.select(call->count, sets[IN], sets[OUT], sets[EXCEPT], call->timeval);
    if (call->timeval)
        call->left = (nd_time)call->timeval->tv_sec * ND_SEC + call->timeval->tv_usec * ND_USEC;
    return ready;
}

static int wait_for(struct nd_wait_set *set, nd_time timeout) {
    struct call *call = set->state;
    const bool is_intact = call->is_intact;
    call->is_intact = false;
    for (int i = 0; i < SETS && !is_intact; i++)
        if (call->sets[i])
            memcpy(call->sets[i], call->asked[i], bytes(call->count));
    return real_select(call, timeout);
}

static int show(struct nd_wait_set *set, unsigned index) {
    const struct call *call = set->state;
    long *shown = call->sets[bit(call->asked[IN], (int)index) ? IN : EXCEPT];
    shown[index / (unsigned)LONG_BITS] |= (long)(1UL << (index % (unsigned)LONG_BITS));
    return 1;
}

/* Whether the program passed one set twice, as Perl's IO::Socket::IP does for output and for exceptions: the kernel
 * writes both results there, and the first is lost. */
static bool share(fd_set *const sets[SETS]) {
    return (sets[IN] && (sets[IN] == sets[OUT] || sets[IN] == sets[EXCEPT])) ||
           (sets[OUT] && sets[OUT] == sets[EXCEPT]);
}

static void write_results(const struct call *call, fd_set *const sets[SETS]) {
    for (int i = 0; i < SETS; i++)
        if (sets[i])
            memcpy(sets[i], call->own[i], bytes(call->count));
}

static int wait_watched(struct call *call, fd_set *in, fd_set *out, fd_set *except, int first, nd_time timeout) {
    fd_set *sets[SETS] = {in, out, except};
    const bool shared = share(sets);
    for (int i = 0; i < SETS; i++)
        call->sets[i] = (long *)sets[i];
    for (int i = 0; i < SETS; i++) {
        memset(call->asked[i], 0, bytes(call->count));
        if (sets[i])
            memcpy(call->asked[i], sets[i], bytes(call->count));
    }
    call->is_intact = !shared;
    for (int i = 0; shared && i < SETS; i++)
        call->sets[i] = sets[i] ? call->own[i] : NULL;
    call->left = timeout;
    struct nd_wait_set set;
    set.operation = call->is_pselect ? ND_OPERATION_pselect : ND_OPERATION_select;
    set.first = (unsigned)first;
    set.count = (unsigned)call->count;
    set.timeout = timeout;
    set.entry = entry;
    set.wait = wait_for;
    set.show = show;
    set.masked = call->is_pselect && call->mask;
    set.state = call;
    int ready = nd_wait_set_run(&set);
    if (shared && ready >= 0)
        write_results(call, sets);
    return ready;
}

/* select takes a second and more in microseconds; pselect refuses that many nanoseconds. */
static nd_time from_timeval(const struct timeval *timeout) {
    const long long sec = timeout->tv_sec, carry = timeout->tv_usec / 1000000;
    return sec > LLONG_MAX - carry ? -1 : nd_timeout_of(sec + carry, timeout->tv_usec % 1000000, ND_USEC);
}

ND_APART static int select_watched(int count, fd_set *in, fd_set *out, fd_set *except, struct timeval *timeout,
                                   int first) {
    const bool is_readable = !timeout || nd_readable(timeout, sizeof *timeout);
    nd_time given = !is_readable ? -1 : timeout ? from_timeval(timeout) : ND_NEVER;
    if (given < 0)
        return nd_real.select(count, in, out, except, timeout);
    struct call call;
    call.count = count;
    call.timeval = timeout;
    call.is_pselect = false;
    return wait_watched(&call, in, out, except, first, given);
}

ND_APART static int pselect_watched(int count, fd_set *in, fd_set *out, fd_set *except, const struct timespec *timeout,
                                    const sigset_t *mask, int first) {
    const bool is_readable = !timeout || nd_readable(timeout, sizeof *timeout);
    nd_time given = is_readable ? nd_timeout_of_timespec(timeout) : -1;
    if (given < 0)
        return nd_real.pselect(count, in, out, except, timeout, mask);
    struct call call;
    call.count = count;
    call.timeval = NULL;
    call.timespec = timeout;
    call.mask = mask;
    call.is_pselect = true;
    return wait_watched(&call, in, out, except, first, given);
}

/* Cuts a large count, as the kernel does, to the size of its table of descriptors if a descriptor is watched. */
ND_APART static int cut(int count, const fd_set *in, const fd_set *out, const fd_set *except) {
    int saved = errno, size = first_watched(MOST, in, out, except, NULL) < MOST ? nd_fdtable_size() : -1;
    errno = saved;
    return size > 0 && size <= MOST ? size : count;
}

int nd_hook_select(int count, fd_set *in, fd_set *out, fd_set *except, struct timeval *timeout) {
    if (nd_unlikely(count > MOST))
        count = cut(count, in, out, except);
    int first = count > 0 && count <= MOST ? first_watched(count, in, out, except, __builtin_return_address(0)) : count;
    if (nd_unlikely(first < count))
        return select_watched(count, in, out, except, timeout, first);
    return nd_real.select(count, in, out, except, timeout);
}
ND_ALIAS_OF(__select, select);

int nd_hook_pselect(int count, fd_set *in, fd_set *out, fd_set *except, const struct timespec *timeout,
                    const sigset_t *mask) {
    if (nd_unlikely(count > MOST))
        count = cut(count, in, out, except);
    int first = count > 0 && count <= MOST ? first_watched(count, in, out, except, __builtin_return_address(0)) : count;
    if (nd_unlikely(first < count))
        return pselect_watched(count, in, out, except, timeout, mask, first);
    return nd_real.pselect(count, in, out, except, timeout, mask);
}
