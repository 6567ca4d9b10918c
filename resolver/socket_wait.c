#include "resolver/socket_wait.h"

#include <errno.h>

#include "resolver/thread.h"

bool nd_socket_wait(struct nd_unfinished *unfinished, const struct nd_own_sockets *own, int fd, short events,
                    nd_time deadline) {
    while (nd_own_has(own, fd)) {
        struct pollfd pollfd = {.fd = fd, .events = events};
        nd_time now = nd_now();
        nd_unfinished_wait_begin(unfinished);
        const int n = nd_poll(&pollfd, 1, nd_time_poll_ms(deadline, now)), error = errno;
        nd_unfinished_wait_end(unfinished);
        if (n > 0)
            return !(pollfd.revents & POLLNVAL) && nd_own_has(own, fd);
        if (n == 0 || error != EINTR || now >= deadline)
            return false;
    }
    return false;
}
