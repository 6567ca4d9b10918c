/* Keeps track of the members of epoll sets. A socket is noted when the program registers it, and one that io_uring
 * registers when the set is scanned (uring.h). If no limit holds for any member, a wait is the program's own call. Else
 * a wait costs the same however many members there are: they are scanned only when a limit may have expired, and so
 * seldom that scans take at most a hundredth of the time. Everything here is async-signal-safe. */
#pragma once

#include "shim/settings/settings.h"
#include "shim/socket/change.h"
#include "shim/wait/epoll_time.h"
#include "shim/wait/uring.h"

/* Called after epoll_ctl has succeeded: `fd` was added to or changed in the set `epfd`, or removed from it if `event`
 * is NULL. Keeps errno. */
void nd_epoll_noted(int epfd, int fd, const struct epoll_event *event);

/* Called before the descriptor `epfd` is closed. If it is the set's last one, the members' clocks stop; else they run
 * on, and another descriptor becomes the home of the set. Keeps errno. */
void nd_epoll_closed(int epfd);

/* Called after `count` events were delivered: disarms the one-shot registrations among them. */
void nd_epoll_delivered(int epfd, const struct epoll_event *events, int count);

/* When the set must be scanned, seen from the start of a wait at `now`; ND_NEVER if no limit holds in it. Notices
 * changes of the settings and of io_uring's registrations. */
nd_time nd_epoll_due(int epfd, nd_time now);

/* Schedules a scan of the set and of its inner sets for `period` after `now` at the latest: other threads may start
 * clocks in them during a wait. */
void nd_epoll_scan_by(int epfd, nd_time now, nd_time period);

/* Called after a thread has waited for the set from `began` to `ended`. What the program does next may start a clock,
 * so a scan is scheduled soon. */
void nd_epoll_waited(int epfd, nd_time began, nd_time ended);

/* nd_epoll_waited for a set that has no inner sets. */
static inline void nd_epoll_waited_here(struct nd_sock *sock, nd_time began, nd_time ended) {
    struct nd_epoll *set = &sock->epoll;
    if (ended > began)
        nd_stopwatch_add(&set->time, began, ended);
    if (__builtin_expect(!nd_epoll_is_rescheduled(set, nd_epoll_delay(set)), 0) && set->timed)
        nd_epoll_reschedule_within(sock, ended, nd_epoll_delay(set));
}

/* Whether `due` in the record of a watched set without inner sets is current: neither the settings nor io_uring's
 * registrations have changed since it was computed. */
static inline bool nd_epoll_is_current(const struct nd_sock *sock) {
    return __builtin_expect(sock->epoll.timed && sock->epoll.rings == nd_sock_uring_changes &&
                                sock->epoll.settings == nd_settings_generation,
                            1);
}

/* Reads the members of the set from the kernel if io_uring instances have been given work since that was done last. */
void nd_epoll_read_rings(int epfd, struct nd_epoll *set);
