/* Adds pending timeouts (limit/pending_timeout.h), of which the kernel knows nothing, to the events of an epoll set and
 * of the sets that it is a member of. Async-signal-safe. */
#pragma once

#include <sys/epoll.h>

#include "shim/socket/record.h"

/* Called when a socket has got a pending timeout: the next waits for the sets that it is a member of report it. */
void nd_epoll_member_timeout_pending(struct nd_sock *sock);

/* Whether nd_epoll_show may have something to add. Does not scan the set. */
extern _Atomic bool nd_epoll_any_timeout_pending __attribute__((visibility("hidden")));
bool nd_epoll_has_timeout_pending(int epfd);

static inline bool nd_epoll_shows(int epfd) {
    return __builtin_expect(nd_epoll_any_timeout_pending, false) && nd_epoll_has_timeout_pending(epfd);
}

/* Adds the set's sockets that have a pending timeout, and its inner sets that have such sockets, to `events`, which
 * holds `ready` events and has space for `count`. Returns the new number of events. Errno undefined. */
int nd_epoll_show(int epfd, struct epoll_event *events, int ready, int count);
