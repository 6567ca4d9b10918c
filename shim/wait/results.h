/* Adds readiness for input to the results of poll and epoll for a stream that a limit ended. The kernel reports a
 * connection that was reset as readable, with an error; one that was ended by connect(AF_UNSPEC) only as POLLERR |
 * POLLHUP (tcp_poll checks RCV_SHUTDOWN), and a program that checks for POLLIN alone would poll for ever. One that
 * KEEPALIVE ended is reported as an expiry of the wait. Async-signal-safe. */
#pragma once

#include <poll.h>
#include <sys/epoll.h>

#include "shim/report/operations.h"

/* Called after a poll that returned `ready`. Keeps errno. */
void nd_results_poll(enum nd_call operation, struct pollfd *fds, nfds_t count, int ready);

/* Called after a wait for an epoll set that returned `ready` events. Keeps errno. */
void nd_results_epoll_ended(enum nd_call operation, int epfd, struct epoll_event *events, int ready);
static inline void nd_results_epoll(enum nd_call operation, int epfd, struct epoll_event *events, int ready) {
    uint32_t any = 0;
    for (int i = 0; i < ready; i++)
        any |= events[i].events;
    if (__builtin_expect(any & (EPOLLERR | EPOLLHUP), 0))
        nd_results_epoll_ended(operation, epfd, events, ready);
}
