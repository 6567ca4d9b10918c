/* What happens when a deadline expires. A stream is ended in the kernel, where every thread, process and epoll set sees
 * it, and every later call on it fails at once: its bytes may be cut in the middle of a message, and a late reply must
 * not be taken for the reply to the next request. Everything here is async-signal-safe. */
#pragma once

#include <errno.h>

#include "shim/socket/record.h"

/* What expired. */
struct nd_expiry {
    const char *operation; /* "recv" */
    const char *limit;     /* "RECV" */
    nd_time timeout, elapsed;
    const struct sockaddr *peer; /* where the kernel does not know it, or not yet; else NULL */
    socklen_t peer_len;
};

/* Reports the expiry, then ends the stream behind `fd` and notes that in its record; MODE=observe only reports. Keeps
 * errno. */
void nd_expire_stream(int fd, struct nd_sock *sock, const struct nd_expiry *expiry);

/* Reports an expiry that ends no stream: of a datagram socket, or of a pending connect that is taken back. Keeps errno.
 */
void nd_expiry_report(int fd, const struct nd_expiry *expiry);

/* The kernel has ended the stream with ETIMEDOUT, which a call in `direction` is about to return: notes it. If it was
 * KEEPALIVE, whose probes nobody has answered, reports that as an expiry of `operation`. Keeps errno. */
void nd_expire_by_timer(int fd, struct nd_sock *sock, enum nd_direction direction, const char *operation);

/* Whether keepalive has ended the stream, whose ETIMEDOUT may have been returned already: then does the same. Keeps
 * errno. */
bool nd_expiry_by_timer_found(int fd, struct nd_sock *sock, const char *operation);

/* Takes back a connect that is still pending, so that `fd` can be used again or closed. Keeps errno. */
void nd_expire_attempt(int fd);
