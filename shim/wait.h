/* Waiting for one descriptor inside a hook. Async-signal-safe; cancellation points as the call they wait for. */
#ifndef ND_WAIT_H
#define ND_WAIT_H

#include <stdbool.h>

#include "resolver/clock.h"

enum nd_waited { ND_READY, ND_ENDED_STREAM, ND_TIMED_OUT, ND_INTERRUPTED };

/* Polls `fd` for `events` until `deadline`. ND_ENDED_STREAM: an error or a hang-up is there, perhaps beside what was asked
 * for. ND_INTERRUPTED (errno EINTR): a signal handler ran. */
enum nd_waited nd_wait(int fd, short events, nd_time deadline);

/* True if the descriptor is in non-blocking mode now; asks the kernel. Keeps errno. */
bool nd_nonblocking(int fd);

#endif
