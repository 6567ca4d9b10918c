/* A connect(2) that waits until a deadline. */
#pragma once

#include <errno.h>
#include <stdbool.h>
#include <sys/socket.h>

#include "base/clock.h"

/* Whether the attempt goes on after a connect that failed so. */
static inline bool nd_connect_goes_on(int error) {
    return error == EINPROGRESS || error == EALREADY || error == EINTR;
}

/* Sets SO_SNDTIMEO to a time in nanoseconds: at least a microsecond, since 0 stands for no timeout. Returns as
 * setsockopt. */
int nd_connect_set_timer(int fd, nd_time time);

/* Whether the connection is established: that may have happened while this process was stopped. */
bool nd_connect_is_established(int fd);

/* Waits in connect until `deadline`, by SO_SNDTIMEO, whose value the caller puts back. It continues after interruptions
 * that the plain call would not have returned (`restarts`): with SO_SNDTIMEO the kernel ignores SA_RESTART. A second
 * connect waits for the outcome of the first. At the deadline it returns the kernel's error for an attempt under way. A
 * call that returns before its timeout without a signal is not repeated: the socket was made non-blocking.
 * Async-signal-safe. */
int nd_connect_until(int fd, const struct sockaddr *addr, socklen_t len, nd_time deadline, bool restarts);
