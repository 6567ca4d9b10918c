/* For how long each limit has run in a wait: the checks that end connections, and `netdeadline ps`, which looks from
 * outside, decide by the same functions. They make no system call: the kernel's answer is an argument. Everything here
 * is async-signal-safe and keeps errno. */
#pragma once

#include <poll.h>

#include "shim/socket/record.h"
#include "shim/socket/tcp_info.h"

/* The poll(2) events that mean input, send-buffer space, and the end of the connection. */
#define ND_WANTS_IN (POLLIN | POLLRDNORM)
#define ND_WANTS_OUT (POLLOUT | POLLWRNORM)
#define ND_ENDED (POLLERR | POLLHUP | POLLNVAL)

/* The events `ready` of a wait for `asked` (or `asked` itself). A wait for neither input nor space, but for urgent data
 * or the end of input, counts as one for input. */
static inline short nd_wants_of(short asked, short ready) {
    bool urgent = !(asked & (ND_WANTS_IN | ND_WANTS_OUT)) && (ready & ND_WAIT_URGENT);
    return (short)(urgent ? ready | POLLIN : ready);
}

/* How bytes moved on a connection, in both directions: a receiver that uploads meanwhile is not slow, nor is a sender
 * that receives replies. */
struct nd_flow {
    uint64_t bytes; /* in all */
    nd_time since;  /* how long ago the last ones were sent or received */
    bool dated;     /* `since` is known */
    bool counted;   /* the kernel counts the bytes */
};
struct nd_flow nd_flow_of(const struct nd_sock *sock, const struct nd_tcp_info *info);

/* For how long IDLE has run. */
nd_time nd_idle_for(const struct nd_sock *sock, const struct nd_flow *flow);

/* Whether, of a connection with this much moved since its window of MIN_RATE began, the last of it `since` ago, the
 * window counts: `busy` as for nd_connection_limits_check. */
static inline bool nd_rate_counts(bool busy, uint64_t moved, nd_time since, nd_time window) {
    return busy || (moved > 0 && since < window / 2);
}

/* For how long nothing has come in that RECV waits for, as far as the kernel knows; 0 where RECV does not bound the
 * wait: among several connections it bounds one whose reply is pending. `requested` is how long ago the request was
 * sent, ND_NEVER where there was none. */
nd_time nd_recv_silence(const struct nd_sock *sock, const struct nd_tcp_info *info, short wants, bool alone,
                        nd_time requested);

/* The same for datagram sockets, of which the kernel knows nothing. `alone`: it is the only connection of the wait. */
nd_time nd_datagram_silence(const struct nd_sock *sock, bool alone, nd_time now);

/* The grace period of an operation that has unread bytes when its deadline expires: this process may have been stopped
 * when they were received. The call that reads them finds out whether they complete the operation, and reads the clock
 * itself if they do not (nd_tls_timed_out). A program that waits on for longer will not read them: an edge-triggered
 * set has reported them before. */
#define ND_GRACE_PERIOD ND_SEC

/* When the TLS operation of several calls that is under way ends a wait; ND_NEVER where none does. */
static inline nd_time nd_operation_deadline(const struct nd_sock *sock) {
    nd_time timeout = sock->operation.timeout, grace_began = sock->operation.grace_began;
    if (!timeout || sock->operation.paused)
        return ND_NEVER;
    return grace_began ? grace_began + ND_GRACE_PERIOD : nd_time_after(sock->operation.began, timeout);
}

/* Advances all clocks of a socket in an epoll set by the time that threads have waited for the set. */
static inline void nd_clocks_run(struct nd_sock *sock, nd_time waited) {
    sock->clock[ND_IN].time.waited += waited;
    sock->clock[ND_OUT].time.waited += waited;
    sock->connection_clock.time.waited += waited;
}
