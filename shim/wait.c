#include "shim/wait.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>

#include "shim/real.h"

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

bool nd_nonblocking(int fd) {
    int saved = errno;
    int status = nd_real.fcntl(fd, F_GETFL, NULL);
    errno = saved;
    return status >= 0 && (status & O_NONBLOCK);
}
