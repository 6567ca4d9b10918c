/* The clocks of one socket that is waited for, in poll, select or epoll: every limit for those who do not block in the call
 * itself. Everything here is async-signal-safe. */
#ifndef ND_LIMIT_WAIT_CLOCK_H
#define ND_LIMIT_WAIT_CLOCK_H

#include <poll.h>

#include "shim/socket/record.h"

/* poll(2) events that mean waiting for input, for room, and the end. */
#define ND_WANTS_IN (POLLIN | POLLRDNORM)
#define ND_WANTS_OUT (POLLOUT | POLLWRNORM)
#define ND_ENDED (POLLERR | POLLHUP | POLLNVAL)

/* What is `ready` (or asked for, where both are the same) of a wait that asked for `asked`, in terms of input and room. */
static inline short nd_wants_of(short asked, short ready) {
    bool urgent = !(asked & (ND_WANTS_IN | ND_WANTS_OUT)) && (ready & ND_WAIT_URGENT);
    return (short)(urgent ? ready | POLLIN : ready);
}

/* The connected sockets that are waited for together. */
enum { ND_CONNECTION_GROUPS = 4 };

struct nd_connections {
    unsigned inet, streams, all;
    unsigned group_count;
    uint32_t groups[ND_CONNECTION_GROUPS]; /* sockets that have several descriptors count once */
};

/* Whether one of the group has been added before; it has been now. */
bool nd_connections_has_group(struct nd_connections *company, uint32_t group);

/* Adds a descriptor of the wait that is no epoll set. */
static inline void nd_connections_add(struct nd_connections *company, const struct nd_sock *sock) {
    const uint32_t group = atomic_load_explicit(&sock->group, memory_order_relaxed);
    const bool known = __builtin_expect(group != 0, 0) && nd_connections_has_group(company, group);
    const bool connected = (nd_sock_flags(sock) & ND_SOCK_CONNECTED) && !known;
    company->all += connected;
    company->inet += connected && (nd_sock_flags(sock) & ND_SOCK_INET);
    company->streams += connected && (nd_sock_flags(sock) & ND_SOCK_STREAM);
}

static inline void nd_connections_join(struct nd_connections *company, const struct nd_connections *others) {
    company->all += others->all;
    company->inet += others->inet;
    company->streams += others->streams;
}

/* Whether a socket is the only one of its kind: an internet connection beside AF_UNIX ones (D-Bus, X11) is. */
static inline bool nd_connections_is_only(const struct nd_connections *company, const struct nd_sock *sock) {
    return (nd_sock_flags(sock) & ND_SOCK_INET ? company->inet : company->all) <= 1;
}

/* A thread has waited from `began` to `ended`, for `wants`. */
void nd_wait_clock_add(struct nd_sock *sock, short wants, nd_time began, nd_time ended);

/* Bytes moved, or could have: the clock starts anew. */
void nd_wait_clock_progress(struct nd_wait_clock *clock);

/* Whether bytes are there already: they came while this process was stopped. Errno undefined. */
bool nd_wait_clock_readable(int fd);

/* Whether a wait for `wants` is a wait for room that a limit bounds. */
bool nd_wait_clock_send_space(const struct nd_sock *sock, short wants);

/* How long its clocks run until they are to be looked at: those that stand while nothing waits; ND_NEVER where none is running. */
nd_time nd_wait_clock_left(const struct nd_sock *sock, short wants);

/* When, seen from `now`, the clocks of a socket that is waited for with `wants` are due; ND_NEVER if they are not running. */
nd_time nd_wait_clock_due(const struct nd_sock *sock, short wants, nd_time now);

/* What bounds a socket that is waited for with `wants`, as it is shown from outside: a limit as in struct nd_slot, and until when
 * at `now`. */
unsigned nd_wait_clock_bound(const struct nd_sock *sock, short wants, nd_time now, nd_time *deadline);

/* The socket became `ready` while its connect was under way: it stands now, or has failed. */
void nd_wait_clock_connected(int fd, struct nd_sock *sock, short ready);

/* As that, where no wait has told: asks the kernel (one system call) whether a connect that is under way has come about. Keeps
 * errno. */
void nd_wait_clock_settle_connect(int fd, struct nd_sock *sock);

/* Ends the connection behind `fd` if one of its clocks is up, told as `operation`. `alone`: no other connection is waited for
 * at the same time; among several, RECV bounds only one that owes a reply. Returns whether it ended. Errno undefined. */
bool nd_wait_clock_expire(const char *operation, int fd, struct nd_sock *sock, short wants, bool alone, nd_time now);

#endif
