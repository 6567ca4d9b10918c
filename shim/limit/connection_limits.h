/* Limits on a connection whichever way it is waited for: its age (LIFETIME), its silence (IDLE) and its pace (MIN_RATE).
 * Everything here is async-signal-safe and keeps errno. */
#ifndef ND_LIMIT_CONNECTION_LIMITS_H
#define ND_LIMIT_CONNECTION_LIMITS_H

#include "shim/limit/expiry.h"
#include "shim/socket/record.h"

/* When, seen from `now`, a connection that is waited for is to be looked at; ND_NEVER where no such limit is on. */
nd_time nd_connection_limits_due(const struct nd_sock *sock, nd_time now);

/* A thread has waited for it, in either direction, from `began` to `ended`. */
static inline void nd_connection_limits_waited(struct nd_sock *sock, nd_time began, nd_time ended) {
    nd_stopwatch_add(&sock->connection_clock.time, began, ended);
}

/* Looks at it at `now`. Returns true if a limit has fired, and fills *expiry but for the operation. `busy`: a call waits for
 * just this connection, or for room in it. Among several, MIN_RATE is for a connection that moves, but too slowly: one on which
 * nothing came in the second half of the window is idle between two requests. */
bool nd_connection_limits_check(int fd, struct nd_sock *sock, bool busy, nd_time now, struct nd_expiry *expiry);

/* At the beginning of the call `operation`: ends a connection whose LIFETIME is over. Returns whether it has ended. Reads the
 * coarse clock where LIFETIME is on. */
bool nd_connection_limits_outlived(int fd, struct nd_sock *sock, const char *operation);

/* MODE=observe: the call `operation` waited from `began` until now, and has returned by itself. Tells what would have ended the
 * connection meanwhile. */
void nd_connection_limits_observed(int fd, struct nd_sock *sock, const char *operation, nd_time began);

/* `bytes` have moved: for kernels that do not count them (before Linux 4.2). */
static inline void nd_connection_limits_count(struct nd_sock *sock, size_t bytes) {
    if (__builtin_expect(sock->connection_clock.counting, 0))
        sock->connection_clock.counted += bytes;
}

#endif
