/* The clocks of one socket that is waited for in poll, select or epoll: every limit on sockets whose calls do not block
 * themselves. Everything here is async-signal-safe. */
#pragma once

#include "shim/limit/elapsed.h"

/* How many sockets with several descriptors a wait distinguishes. */
enum { ND_CONNECTION_GROUPS = 4 };

/* The connected sockets of one wait. */
struct nd_connections {
    unsigned inet, streams, all;
    unsigned group_count;
    uint32_t groups[ND_CONNECTION_GROUPS]; /* a socket with several descriptors counts once */
};

/* Whether a descriptor of the group was added before; adds the group. */
bool nd_connections_has_group(struct nd_connections *connections, uint32_t group);

/* Adds a descriptor of the wait other than an epoll set. */
static inline void nd_connections_add(struct nd_connections *connections, const struct nd_sock *sock) {
    const uint32_t group = atomic_load_explicit(&sock->group, memory_order_relaxed);
    const bool known = __builtin_expect(group != 0, 0) && nd_connections_has_group(connections, group);
    const bool counts = (nd_sock_flags(sock) & ND_SOCK_CONNECTED) && !known;
    connections->all += counts;
    connections->inet += counts && (nd_sock_flags(sock) & ND_SOCK_INET);
    connections->streams += counts && (nd_sock_flags(sock) & ND_SOCK_STREAM);
}

static inline void nd_connections_join(struct nd_connections *connections, const struct nd_connections *others) {
    connections->all += others->all;
    connections->inet += others->inet;
    connections->streams += others->streams;
}

/* Whether a socket is the only one of its kind: an internet connection among AF_UNIX ones (D-Bus, X11) is. */
static inline bool nd_connections_is_only(const struct nd_connections *connections, const struct nd_sock *sock) {
    return (nd_sock_flags(sock) & ND_SOCK_INET ? connections->inet : connections->all) <= 1;
}

/* Notes that a thread has waited from `began` to `ended` for `wants`. */
void nd_wait_clock_add(struct nd_sock *sock, short wants, nd_time began, nd_time ended);

/* Restarts the clock: bytes have moved, or could have. */
void nd_wait_clock_progress(struct nd_wait_clock *clock);

/* Whether unread bytes are there, which may have been received while this process was stopped. Errno undefined. */
bool nd_wait_clock_readable(int fd);

/* Whether a wait for `wants` is one for send-buffer space that a limit bounds. */
bool nd_wait_clock_send_space(const struct nd_sock *sock, short wants);

/* Returns for how long the clocks that stop while no thread waits must run until they are checked; ND_NEVER where none
 * runs. */
nd_time nd_wait_clock_left(const struct nd_sock *sock, short wants);

/* Returns when the clocks of a socket that is waited for with `wants` at `now` must be checked; ND_NEVER if none runs.
 */
nd_time nd_wait_clock_due(struct nd_sock *sock, short wants, nd_time now);

/* Returns the limit that bounds a wait for `wants` at `now`, as struct nd_slot has it for `netdeadline ps`, with its
 * deadline. */
unsigned nd_wait_clock_bound(const struct nd_sock *sock, short wants, nd_time now, nd_time *deadline);

/* Called when a socket that was connecting became `ready`: the connection is established now, or has failed. */
void nd_wait_clock_connected(int fd, struct nd_sock *sock, short ready);

/* The same where no wait has shown it: asks the kernel (one system call) whether a pending connect has been
 * established. Keeps errno. */
void nd_wait_clock_settle_connect(int fd, struct nd_sock *sock);

/* Ends the connection behind `fd` if one of its clocks has expired, reported as one of `operation`. `alone`: it is the
 * only connection of the wait; among several, RECV bounds only those whose reply is pending. Returns whether it ended.
 * Errno undefined. */
bool nd_wait_clock_expire(const char *operation, int fd, struct nd_sock *sock, short wants, bool alone, nd_time now);

/* The same for UNACKED alone, of a connection that is waited for with input wanted. */
bool nd_wait_clock_expire_gone(const char *operation, int fd, struct nd_sock *sock, nd_time now);
