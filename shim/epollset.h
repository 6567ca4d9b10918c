/* The wait clock in epoll. The kernel holds the set and does not list it, so the sockets are noted when they are added
 * (a descriptor that io_uring adds is missed). A wait costs the same however many there are: they are looked through only
 * when something may be due, and so seldom that it takes at most a hundredth of the time. */
#ifndef ND_EPOLLSET_H
#define ND_EPOLLSET_H

#include <stdint.h>

#include "shim/sockets.h"

/* epoll_ctl has succeeded: `fd` was added to or changed in (`events` not 0), or removed from, the set `epfd`.
 * Async-signal-safe; keeps errno. */
void nd_epoll_noted(int epfd, int fd, uint32_t events, bool added);

/* One wait on an epoll set: `wait` makes the real call for `timeout` or, as the program gave it, ND_AS_GIVEN. */
struct nd_epoll_wait {
    const char *operation; /* "epoll_wait" */
    int epfd;
    nd_time timeout; /* the program's; ND_NEVER for none */
    int (*wait)(const struct nd_epoll_wait *call, nd_time timeout);
    const void *state;
};

/* Waits as the program asked, and ends connections whose time is up, so that the set wakes by itself. Returns what the real
 * call returns. A cancellation point as the real call. */
int nd_epoll_run(const struct nd_epoll_wait *call);

#endif
