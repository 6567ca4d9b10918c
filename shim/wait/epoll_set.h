/* What is in an epoll set. The sockets are noted when they are added, and those that io_uring adds when the set is looked
 * through (uring.h). Where no limit holds for any of them, as they are waited for, a wait is the program's own. Else it costs the
 * same however many there are: they are looked through only when something may be due, and so seldom that it takes at most a
 * hundredth of the time. Everything here is async-signal-safe. */
#ifndef ND_WAIT_EPOLL_SET_H
#define ND_WAIT_EPOLL_SET_H

#include <stdint.h>
#include <sys/epoll.h>

#include "shim/limit/wait_clock.h"
#include "shim/settings/settings.h"
#include "shim/socket/change.h"
#include "shim/socket/record.h"
#include "shim/wait/epoll_time.h"
#include "shim/wait/uring.h"

/* epoll_ctl has succeeded: `fd` was added to or changed in the set `epfd`, or removed from it where `event` is NULL. Keeps
 * errno. */
void nd_epoll_noted(int epfd, int fd, const struct epoll_event *event);

/* A descriptor of the set is about to be closed: its sockets' clocks have run until now, or run on under another one. Keeps
 * errno. */
void nd_epoll_closed(int epfd);

/* `count` events were delivered: a one-shot registration among them is not waited for any more. */
void nd_epoll_delivered(int epfd, const struct epoll_event *events, int count);

/* When the set must be looked through, seen from the start of a wait at `now`; ND_NEVER for an empty one. */
nd_time nd_epoll_due(int epfd, nd_time now);

/* Other threads may start clocks in the set, and in those within, while it is waited for: it is to be looked through `period` from
 * `now` at the latest. */
void nd_epoll_scan_by(int epfd, nd_time now, nd_time period);

/* A thread has waited for the set from `began` to `ended`. What a program does then may start a clock, so the set is looked
 * through soon after. */
void nd_epoll_waited(int epfd, nd_time began, nd_time ended);

/* The same for a set alone, without those within. */
static inline void nd_epoll_waited_here(struct nd_sock *sock, nd_time began, nd_time ended) {
    struct nd_epoll *set = &sock->epoll;
    if (ended > began)
        nd_stopwatch_add(&set->time, began, ended);
    if (__builtin_expect(!nd_epoll_is_rescheduled(set, nd_epoll_delay(set)), 0))
        nd_epoll_reschedule_within(sock, ended, nd_epoll_delay(set));
}

/* Whether `due` holds in the record of a watched set, without sets in it: neither settings nor rings have changed since. */
static inline bool nd_epoll_is_current(const struct nd_sock *sock) {
    return __builtin_expect(sock->epoll.timed && sock->epoll.rings == nd_sock_uring_changes &&
                                sock->epoll.settings == nd_settings_generation,
                            1);
}

/* Where rings have been given work since the set was read last: reads it. */
void nd_epoll_read_rings(int epfd, struct nd_epoll *set);

#endif
