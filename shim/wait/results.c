#include "shim/wait/results.h"

#include "base/compiler.h"
#include "shim/limit/expiry.h"
#include "shim/socket/ended.h"
#include "shim/wait/epoll_member.h"

#define READING (POLLIN | POLLRDNORM)

/* The events to be added to `reported`, which the kernel reports for `fd`, if the program asked for `wanted`. */
static short missing(int fd, short wanted, short reported) {
    struct nd_sock *sock = nd_sock_lookup(fd);
    if (!sock || !(nd_sock_flags(sock) & ND_SOCK_STREAM) || !nd_expired_anywhere(fd, sock))
        return 0;
    return (short)(wanted & (READING | POLLRDHUP) & ~reported);
}

static bool may_miss(short wanted, short reported) {
    return (reported & (POLLERR | POLLHUP)) && (wanted & READING) && !(reported & READING);
}

/* The same, once it is known that the kernel reports an error or the end of the connection. */
ND_COLD static short ended(enum nd_call operation, int fd, short wanted, short reported) {
    struct nd_sock *sock = nd_sock_lookup(fd);
    if (sock && (nd_sock_flags(sock) & (ND_SOCK_KEEPALIVE | ND_SOCK_EXPIRED)) == ND_SOCK_KEEPALIVE)
        nd_expiry_by_timer_found(fd, sock, nd_operation_names[operation]);
    return may_miss(wanted, reported) ? missing(fd, wanted, reported) : 0;
}

void nd_results_poll(enum nd_call operation, struct pollfd *fds, nfds_t count, int ready) {
    for (nfds_t i = 0; i < count && ready > 0; i++) {
        const short reported = fds[i].revents;
        ready -= reported != 0;
        if (nd_unlikely(reported & (POLLERR | POLLHUP)))
            fds[i].revents = (short)(reported | ended(operation, fds[i].fd, fds[i].events, reported));
    }
}

/* The member of the set that is registered with `data`, or -1. An event carries nothing else of its registration. */
static int member_with(int epfd, const struct nd_sock *set, uint64_t data, short *wanted) {
    struct nd_membership *member;
    for (int fd = -1; nd_epoll_next_member(epfd, set, &fd, &member);) {
        if (member->data != data)
            continue;
        *wanted = (short)member->events; /* EPOLLIN and the like have the values of POLLIN and the like */
        return fd;
    }
    return -1;
}

void nd_results_epoll_ended(enum nd_call operation, int epfd, struct epoll_event *events, int ready) {
    epfd = nd_epoll_home(epfd);
    const struct nd_sock *set = nd_epoll_set_of(epfd);
    for (int i = 0; set && i < ready; i++) {
        short reported = (short)events[i].events, wanted = 0;
        if (!(reported & (POLLERR | POLLHUP)))
            continue;
        int fd = member_with(epfd, set, events[i].data.u64, &wanted);
        if (fd >= 0)
            events[i].events |= (uint32_t)(uint16_t)ended(operation, fd, wanted, reported);
    }
}
