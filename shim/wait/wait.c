#include "shim/wait/wait.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>

#include "base/clock.h"
#include "shim/real.h"
#include "shim/socket/limits.h"

enum nd_waited nd_wait(int fd, short events, nd_time deadline) {
    for (;;) {
        struct pollfd pollfd = {.fd = fd, .events = events};
        int ready = nd_real.poll(&pollfd, 1, nd_time_poll_ms(deadline, nd_now()));
        if (ready == 0 && nd_now() >= deadline)
            return ND_TIMED_OUT;
        if (ready < 0) /* a descriptor that cannot be polled: let the call itself say so */
            return errno == EINTR ? ND_INTERRUPTED : ND_READY;
        if (ready > 0)
            return pollfd.revents & (POLLERR | POLLHUP) ? ND_ENDED_STREAM : ND_READY;
    }
}

enum nd_waited nd_wait_connection(int fd, struct nd_sock *sock, short events, nd_time deadline,
                                  struct nd_expiry *expiry) {
    if (!nd_sock_connection_limited(sock))
        return nd_wait(fd, events, deadline);
    const uint32_t generation = sock->generation;
    for (;;) {
        nd_time now = nd_now(), due = nd_connection_limits_due(sock, now);
        enum nd_waited waited = nd_wait(fd, events, due < deadline ? due : deadline);
        if (sock->generation != generation)
            return waited; /* closed by another thread; the caller will notice */
        nd_time ended = nd_now();
        nd_connection_limits_waited(sock, now, ended);
        if (waited != ND_TIMED_OUT)
            return waited;
        if (nd_connection_limits_check(fd, sock, true, ended, expiry))
            return ND_EXPIRED;
        if (ended >= deadline)
            return ND_TIMED_OUT;
    }
}

bool nd_nonblocking(int fd) {
    int saved = errno;
    int status = nd_real.fcntl(fd, F_GETFL, NULL);
    errno = saved;
    return status >= 0 && (status & O_NONBLOCK);
}
