/* Waiting for one descriptor inside a hook. Async-signal-safe; cancellation points as the call they wait for. */
#ifndef ND_WAIT_H
#define ND_WAIT_H

#include <stdbool.h>

#include "resolver/clock.h"

enum nd_waited { ND_READY, ND_TIMED_OUT, ND_INTERRUPTED };

/* Polls `fd` for `events` until `deadline`. ND_INTERRUPTED (errno EINTR) where a plain blocking call would have been
 * interrupted too; where it would have been restarted the wait goes on. */
enum nd_waited nd_wait(int fd, short events, nd_time deadline);

/* True if the descriptor is in non-blocking mode now; asks the kernel. Keeps errno. */
bool nd_nonblocking(int fd);

#endif
