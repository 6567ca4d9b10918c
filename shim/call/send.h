/* A sending call on a descriptor that is watched: try without waiting; only when there is no room, wait for it under SEND and
 * UNACKED, or for what is left of a TLS operation. Everything here is async-signal-safe. */
#ifndef ND_CALL_SEND_H
#define ND_CALL_SEND_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/socket.h>

/* A call with one of these is never cut into several. */
#define ND_SEND_WHOLE (MSG_OOB | MSG_FASTOPEN)

enum nd_send_kind { ND_WRITE, ND_WRITEV, ND_SEND, ND_SENDTO, ND_SENDMSG };

/* One call as the program made it. */
struct nd_send_call {
    enum nd_send_kind kind;
    int fd, flags;
    const void *buf; /* WRITE, SEND, SENDTO */
    size_t len;
    const struct sockaddr *to;
    socklen_t to_len;
    const struct msghdr *msg; /* WRITEV, SENDMSG */
    const void *caller;       /* the code that made it */
    bool many;                /* a message of sendmmsg */
};

/* Makes the call, under what bounds it. Keeps errno on success. */
ssize_t nd_send(const struct nd_send_call *call);

/* Goes on from a first attempt without SIGPIPE, which gave `sent` and was not the whole call: one that did not wait where
 * `tried`, else the call as it is. `error_before` is what errno was before it. */
ssize_t nd_send_rest(const struct nd_send_call *call, bool tried, ssize_t sent, int error_before);

/* The call as the program made it, unbounded. */
ssize_t nd_send_plain(const struct nd_send_call *call);

/* How many bytes it is to send. */
size_t nd_send_total(const struct nd_send_call *call);

#endif
