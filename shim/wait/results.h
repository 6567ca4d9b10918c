/* How a stream that a deadline ended shows in the results of poll and epoll. A connection that is reset is ready for reading, with an
 * error; one that is ended in the kernel by AF_UNSPEC shows only the error and the end (tcp_poll asks for RCV_SHUTDOWN), and a
 * program that looks for POLLIN alone would ask again and again. So the readiness is added here. Async-signal-safe. */
#ifndef ND_WAIT_RESULTS_H
#define ND_WAIT_RESULTS_H

#include <poll.h>
#include <sys/epoll.h>

/* After a poll that found `ready`: keeps errno. */
void nd_results_poll(struct pollfd *fds, nfds_t count, int ready);

/* After a wait on an epoll set that found `ready`: keeps errno. */
void nd_results_epoll_ended(int epfd, struct epoll_event *events, int ready);
static inline void nd_results_epoll(int epfd, struct epoll_event *events, int ready) {
    uint32_t any = 0;
    for (int i = 0; i < ready; i++)
        any |= events[i].events;
    if (__builtin_expect(any & (EPOLLERR | EPOLLHUP), 0))
        nd_results_epoll_ended(epfd, events, ready);
}

#endif
