/* Waits for one descriptor by the real functions, where the kernel may refuse some of them. They are cancellation
 * points. Async-signal-safe. */
#pragma once

#include <poll.h>

#include "base/clock.h"

/* As poll of one descriptor for input or for output, until `until` by the clock, which is `now`. poll fails with EINVAL
 * where RLIMIT_NOFILE is 0 (vsftpd and old sshd sandboxes set it), and by a filter: then it is pselect6 that waits,
 * which does not look at that limit. Its result does not tell an error or a hang-up from what was waited for. */
int nd_poll_until(struct pollfd *pollfd, nd_time now, nd_time until);

/* The same by pselect6 alone. */
int nd_select_until(struct pollfd *pollfd, nd_time now, nd_time until);

/* The same as nd_poll_until without waiting. */
static inline int nd_poll_now(struct pollfd *pollfd) {
    return nd_poll_until(pollfd, 0, 0);
}

/* Sleeps for `ms`, or for as long again where a signal interrupts it. Returns as poll does. */
int nd_pause(int ms);
