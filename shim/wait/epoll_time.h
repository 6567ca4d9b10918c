/* The clocks of an epoll set and its members, and when the set is scanned. Everything here is async-signal-safe. */
#pragma once

#include "shim/limit/wait_clock.h"

/* Scans may take one part in this of the time. */
#define ND_EPOLL_SCAN_SHARE 100

/* The shorter of two times; 0 stands for no time. */
static inline nd_time nd_epoll_shorter(nd_time a, nd_time b) {
    return b && (b < a || !a) ? b : a;
}

/* The input and output events of poll(2) that a registration for `events` of epoll_ctl(2) waits for. */
static inline short nd_epoll_wants(uint32_t events) {
    return (short)(nd_wants_of((short)events, (short)events) & (ND_WANTS_IN | ND_WANTS_OUT));
}

/* Advances the socket's clocks by the time that threads have waited for the set since they were advanced last. */
void nd_epoll_run_clocks_by(struct nd_sock *sock, struct nd_membership *member, nd_time waited);
static inline void nd_epoll_run_clocks(struct nd_sock *sock, struct nd_membership *member, const struct nd_epoll *set) {
    const nd_time waited = set->time.waited - member->seen;
    if (waited > 0)
        nd_epoll_run_clocks_by(sock, member, waited);
}

/* The time that threads have waited for the set, with a wait that may be under way: the clocks of a socket that is
 * added during a wait run from its addition, not from the beginning of that wait. */
nd_time nd_epoll_waited_by_now(const struct nd_epoll *set);

/* The longest real wait for a set to which other threads may add sockets: a quarter of the shortest limit that may come
 * to hold, but no less than 100 ms and no more than 2 s. */
#define ND_EPOLL_SHORTEST_PERIOD (100 * ND_MSEC)
nd_time nd_epoll_period(void);

/* How long after a change the set is scanned, computed anew or as noted; and the least time until a scan. */
nd_time nd_epoll_delay_anew(const struct nd_epoll *set);
static inline nd_time nd_epoll_delay(const struct nd_epoll *set) {
    const nd_time delay = set->delay;
    return __builtin_expect(delay != 0, 1) ? delay : nd_epoll_delay_anew(set);
}
nd_time nd_epoll_soonest(const struct nd_epoll *set);

/* Schedules a scan of the set at `then`, unless one is scheduled for earlier: repeated changes never put a scan off. */
void nd_epoll_reschedule(struct nd_sock *set, nd_time then);

/* The same for `delay` after `now`, and notes `delay`. Until the next scan, nd_epoll_is_rescheduled says that a scan is
 * scheduled early enough for whatever is due no sooner. */
void nd_epoll_reschedule_within(struct nd_sock *set, nd_time now, nd_time delay);
static inline bool nd_epoll_is_rescheduled(const struct nd_epoll *set, nd_time delay) {
    const nd_time rescheduled = set->rescheduled;
    return rescheduled && rescheduled <= delay;
}

/* Lowers the set's shortest limit to the shortest one that may come to hold for `sock`. */
void nd_epoll_note_limit(struct nd_epoll *set, const struct nd_sock *sock);
