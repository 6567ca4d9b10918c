/* The clocks of an epoll set and its sockets, and when it is to be looked through. Everything here is async-signal-safe. */
#ifndef ND_WAIT_EPOLL_TIME_H
#define ND_WAIT_EPOLL_TIME_H

#include "shim/limit/wait_clock.h"
#include "shim/socket/record.h"

/* A look may take one part in this of the time. */
#define ND_EPOLL_SCAN_SHARE 100

/* Of two times the shorter one; 0 is none. */
static inline nd_time nd_epoll_shorter(nd_time a, nd_time b) {
    return b && (b < a || !a) ? b : a;
}

/* What `events` of epoll_ctl wait for, as poll(2) has it. */
static inline short nd_epoll_wants(uint32_t events) {
    return (short)(nd_wants_of((short)events, (short)events) & (ND_WANTS_IN | ND_WANTS_OUT));
}

/* The socket's clocks run on by what the set has been waited for since they were last looked at. */
void nd_epoll_run_clocks_by(struct nd_sock *sock, struct nd_membership *member, nd_time waited);
static inline void nd_epoll_run_clocks(struct nd_sock *sock, struct nd_membership *member, const struct nd_epoll *set) {
    const nd_time waited = set->time.waited - member->seen;
    if (waited > 0)
        nd_epoll_run_clocks_by(sock, member, waited);
}

/* What the set will have been waited for when a thread that may be waiting just now comes back: the clock of what is added
 * meanwhile runs from here, not from where that wait began. */
nd_time nd_epoll_waited_by_now(const struct nd_epoll *set);

/* How often a thread that waits for a set comes back to see what other threads have done to it: a quarter of the shortest limit
 * that may come to hold, a tenth of a second to two seconds. */
#define ND_EPOLL_SHORTEST_PERIOD (100 * ND_MSEC)
nd_time nd_epoll_period(void);

/* How long after something has happened the set is looked through; and how soon that can be at all. */
nd_time nd_epoll_delay_anew(const struct nd_epoll *set);
static inline nd_time nd_epoll_delay(const struct nd_epoll *set) {
    const nd_time delay = set->delay;
    return __builtin_expect(delay != 0, 1) ? delay : nd_epoll_delay_anew(set);
}
nd_time nd_epoll_soonest(const struct nd_epoll *set);

/* The set is to be looked through by then. What is due is never put off by what happens again and again. */
void nd_epoll_reschedule(struct nd_sock *set, nd_time soon);

/* The same for `delay` from `now`. Where it is hurried already, nothing that is due no sooner need be thought about until it is
 * looked through. */
void nd_epoll_reschedule_within(struct nd_sock *set, nd_time now, nd_time delay);
static inline bool nd_epoll_is_rescheduled(const struct nd_epoll *set, nd_time delay) {
    const nd_time hurried = set->rescheduled;
    return hurried && hurried <= delay;
}

/* Notes the shortest limit that may come to hold for a socket of the set. */
void nd_epoll_note_limit(struct nd_epoll *set, const struct nd_sock *sock);

#endif
