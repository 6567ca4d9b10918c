/* Pending timeouts (limit/pending_timeout.h) in the events of an epoll set, and of the sets around it: the kernel does not know of them. Async-signal-safe. */
#ifndef ND_WAIT_EPOLL_RESULTS_H
#define ND_WAIT_EPOLL_RESULTS_H

#include <stdatomic.h>
#include <stdbool.h>
#include <sys/epoll.h>

#include "shim/socket/record.h"

/* A socket has become late (limit/pending_timeout.h): the sets that it is in show it. */
void nd_epoll_member_timeout_pending(struct nd_sock *sock);

/* Whether nd_epoll_show has something to add, as far as known without looking through the set. */
extern _Atomic bool nd_epoll_any_timeout_pending __attribute__((visibility("hidden")));
bool nd_epoll_has_timeout_pending(int epfd);

static inline bool nd_epoll_shows(int epfd) {
    return __builtin_expect(nd_epoll_any_timeout_pending, false) && nd_epoll_has_timeout_pending(epfd);
}

/* Adds what is late in the set, and the sets in it that hold such, to `events`, which holds `ready` of at most `count`. Returns the
 * new number. Errno undefined. */
int nd_epoll_show(int epfd, struct epoll_event *events, int ready, int count);

#endif
