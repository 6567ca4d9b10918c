/* Waiting for one descriptor inside a hook. Async-signal-safe; cancellation points as the call they wait for. */
#ifndef ND_WAIT_WAIT_H
#define ND_WAIT_WAIT_H

#include <errno.h>
#include <stdbool.h>

#include "base/clock.h"

#include "shim/limit/connection_limits.h"

enum nd_waited { ND_READY, ND_ENDED_STREAM, ND_TIMED_OUT, ND_INTERRUPTED, ND_EXPIRED };

/* Whether the call that gave `result`, and errno, would have waited, or has waited for as long as the kernel was told to. */
static inline bool nd_would_block(long result) {
    return result < 0 && (errno == EAGAIN || errno == EWOULDBLOCK);
}

/* Polls `fd` for `events` until `deadline`. ND_ENDED_STREAM: an error or a hang-up is there, perhaps beside what was asked
 * for. ND_INTERRUPTED (errno EINTR): a signal handler ran. */
enum nd_waited nd_wait(int fd, short events, nd_time deadline);

/* The same for a connection that may be under IDLE, LIFETIME or MIN_RATE. ND_EXPIRED: one of those has fired, and stands in *expiry
 * but for the operation; nothing has been ended yet. */
enum nd_waited nd_wait_connection(int fd, struct nd_sock *sock, short events, nd_time deadline,
                                  struct nd_expiry *expiry);

/* True if the descriptor is in non-blocking mode now; asks the kernel. Keeps errno. */
bool nd_nonblocking(int fd);

#endif
