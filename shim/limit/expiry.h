/* A deadline fired: the stream is ended in the kernel, where every thread, process and epoll set sees it, and every later
 * call on it fails at once (law 6). Everything here is async-signal-safe. */
#ifndef ND_LIMIT_EXPIRY_H
#define ND_LIMIT_EXPIRY_H

#include <errno.h>
#include <stdbool.h>

#include "shim/socket/record.h"

/* What fired. */
struct nd_expiry {
    const char *operation; /* "recv" */
    const char *limit;     /* "RECV" */
    nd_time timeout, elapsed;
    const struct sockaddr *peer; /* where the kernel does not know it (yet); else NULL */
    socklen_t peer_len;
};

/* Tells the operator, then ends the stream behind `fd` and remembers that; in MODE=observe only tells. Keeps errno. */
void nd_expire_stream(int fd, struct nd_sock *sock, const struct nd_expiry *expiry);

/* Tells the operator of an expiry that ends nothing: a datagram socket, a pending connect that is taken back. Keeps errno. */
void nd_expiry_report(int fd, const struct nd_expiry *expiry);

/* MODE=observe: `operation` on `fd`, which began at `began`, has returned by itself. Tells the operator if `timeout` (0 for
 * off) would have ended it. Keeps errno. */
void nd_expiry_report_observed(int fd, const char *operation, const char *limit, nd_time timeout, nd_time began);

/* Takes back a connect that has not come about, so that `fd` can be used again or closed. Keeps errno. */
void nd_expire_attempt(int fd);

/* Notes that the kernel itself ended the stream by a timer (a call gave ETIMEDOUT), so that the end of file it shows next is
 * not taken for a clean one. `direction` has been told. Keeps errno. */
void nd_expire_by_kernel(int fd, struct nd_sock *sock, enum nd_direction direction);

/* True if the stream behind `fd` is the one that expired; a stale memory is dropped. Keeps errno. */
bool nd_expired(int fd, struct nd_sock *sock);

/* True also if another process ended the stream, or this program before it was executed anew: asks the kernel, where there is
 * a mark. For calls that failed, or found the end. Keeps errno. */
bool nd_expired_anywhere(int fd, struct nd_sock *sock);

/* True if a timer of the kernel's ended the stream behind `fd`, whose end of file then is none: it is noted as by
 * nd_expire_by_kernel, with nothing told. Keeps errno. */
bool nd_ended_by_kernel(int fd, struct nd_sock *sock);

/* Errors of a stream that somebody else may have ended. */
static inline bool nd_is_end(int error) {
    return error == ECONNRESET || error == EPIPE || error == ENOTCONN;
}

/* The descriptor begins anew (a connect after an expiry): forgets, and takes the mark off. Keeps errno. */
void nd_expiry_clear(int fd, struct nd_sock *sock);

/* Sets errno for a call on an expired stream and returns -1: ETIMEDOUT the first time in each direction, then ECONNRESET for
 * receiving (wolfSSL takes a second ETIMEDOUT for "try again" and spins) and EPIPE for sending, without SIGPIPE. */
int nd_expired_fail(int fd, struct nd_sock *sock, enum nd_direction direction);

#endif
