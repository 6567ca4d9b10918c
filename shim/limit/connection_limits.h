/* The limits on a connection that hold whichever direction a call waits for: its age (LIFETIME), its silence (IDLE) and
 * its throughput (MIN_RATE). Everything here is async-signal-safe and keeps errno. */
#pragma once

#include "shim/limit/expiry.h"

/* Returns when a connection that is waited for at `now` must be checked next; ND_NEVER where no such limit is on. */
nd_time nd_connection_limits_due(const struct nd_sock *sock, nd_time now);

/* Notes that a thread has waited for the connection, in either direction, from `began` to `ended`. */
static inline void nd_connection_limits_waited(struct nd_sock *sock, nd_time began, nd_time ended) {
    nd_stopwatch_add(&sock->connection_clock.time, began, ended);
}

/* Checks the connection at `now`. Returns true if a limit has expired, and fills *expiry but for the operation. `busy`:
 * a call waits for this connection only, or for send-buffer space. Among several connections MIN_RATE applies to one
 * that moves bytes, but too slowly: one that received nothing in the second half of the window is idle between two
 * requests. */
bool nd_connection_limits_check(int fd, struct nd_sock *sock, bool busy, nd_time now, struct nd_expiry *expiry);

/* Called at the beginning of the call `operation`: ends a connection whose LIFETIME has expired. Returns whether it has
 * ended. Reads the coarse clock where LIFETIME is on. */
bool nd_connection_limits_outlived(int fd, struct nd_sock *sock, const char *operation);

/* MODE=observe: the call `operation` has waited from `began` until now and returned by itself. Reports the limit that
 * would have ended the connection meanwhile. */
void nd_connection_limits_observed(int fd, struct nd_sock *sock, const char *operation, nd_time began);

/* Counts `bytes` that a call has moved, where the kernel does not count them (before Linux 4.2). */
static inline void nd_connection_limits_count(struct nd_sock *sock, size_t bytes) {
    if (__builtin_expect(sock->connection_clock.counting, 0))
        sock->connection_clock.counted += bytes;
}
