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

#endif
