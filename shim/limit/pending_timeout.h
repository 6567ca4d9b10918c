/* What is not ended when its time is up, but told: a listener that nobody connects to (ACCEPT), and a datagram socket to which no
 * answer comes (RECV). A wait shows it as ready, the next call on it gives ETIMEDOUT, and it lives on. Everything here is
 * async-signal-safe. */
#ifndef ND_LIMIT_PENDING_TIMEOUT_H
#define ND_LIMIT_PENDING_TIMEOUT_H

#include <stdbool.h>

#include "shim/limit/wait_clock.h"
#include "shim/socket/record.h"

/* Whether a socket is of that kind. */
static inline bool nd_pending_timeout_applies(const struct nd_sock *sock) {
    return (nd_sock_flags(sock) & ND_SOCK_LISTENING) || nd_sock_is_datagram(sock);
}

/* A late one is shown by each wait until a call takes it; no more often than this, since that call may be one we do not see. */
#define ND_PENDING_TIMEOUT_SHOWN 64

/* Whether a wait for `wants` is to show it. */
static inline bool nd_pending_timeout_shows(const struct nd_sock *sock, short wants) {
    return (nd_sock_flags(sock) & ND_SOCK_TIMEOUT_PENDING) && (wants & ND_WANTS_IN) &&
           sock->shown < ND_PENDING_TIMEOUT_SHOWN;
}

/* Tells, as `operation`, of a socket that is waited for with `wants` if its time is up at `now`, and makes it late. Among the
 * `company` that is waited for together: a listener has none that is connected; a datagram socket is the only one connected, or
 * owes a reply. Errno undefined. */
void nd_pending_timeout_check(const char *operation, int fd, struct nd_sock *sock, short wants,
                              const struct nd_connections *company, nd_time now);

/* True once for a late one: the call is to give ETIMEDOUT. Keeps errno. */
bool nd_pending_timeout_take(int fd, struct nd_sock *sock);

#endif
