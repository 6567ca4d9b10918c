/* Timeouts that are reported without ending the socket: a listener to which no connection came (ACCEPT), and a datagram
 * socket that received no reply (RECV). The timeout is pending until a call takes it: a wait shows the socket as ready,
 * the next call on it fails with ETIMEDOUT, and the socket stays usable. Everything here is async-signal-safe. */
#pragma once

#include "shim/limit/wait_clock.h"

/* Whether a socket is of that kind. */
static inline bool nd_pending_timeout_applies(const struct nd_sock *sock) {
    return (nd_sock_flags(sock) & ND_SOCK_LISTENING) || nd_sock_is_datagram(sock);
}

/* How many waits at most show a pending timeout before a call takes it: that call may be one that we do not see. */
#define ND_PENDING_TIMEOUT_SHOWN 64

/* Whether a wait for `wants` must show a pending timeout. */
static inline bool nd_pending_timeout_shows(const struct nd_sock *sock, short wants) {
    return (nd_sock_flags(sock) & ND_SOCK_TIMEOUT_PENDING) && (wants & ND_WANTS_IN) &&
           sock->shown < ND_PENDING_TIMEOUT_SHOWN;
}

/* Checks at `now` a socket that is waited for with `wants`. If its limit has expired the expiry is reported as one of
 * `operation`, and its timeout is pending. `connections` are those of the whole wait: ACCEPT holds for a listener if
 * none of them is connected, RECV for a datagram socket that is the only connected one or whose reply is pending. Errno
 * undefined. */
void nd_pending_timeout_check(const char *operation, int fd, struct nd_sock *sock, short wants,
                              const struct nd_connections *connections, nd_time now);

/* Takes a pending timeout: returns true once, and the call must fail with ETIMEDOUT. Keeps errno. */
bool nd_pending_timeout_take(int fd, struct nd_sock *sock);
