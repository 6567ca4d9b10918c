/* A sending call on a watched descriptor: it is tried without waiting; only when the send buffer has no space it waits,
 * under SEND and UNACKED, or until the deadline of a TLS operation. Everything here is async-signal-safe. */
#ifndef ND_CALL_SEND_H
#define ND_CALL_SEND_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/socket.h>

/* A call with one of these flags is never made as several. */
#define ND_SEND_WHOLE (MSG_OOB | MSG_FASTOPEN)

enum nd_send_kind { ND_WRITE, ND_WRITEV, ND_SEND, ND_SENDTO, ND_SENDMSG };

/* The call as the program made it. */
struct nd_send_call {
    enum nd_send_kind kind;
    int fd, flags;
    const void *buf; /* WRITE, SEND, SENDTO */
    size_t len;
    const struct sockaddr *to;
    socklen_t to_len;
    const struct msghdr *msg; /* WRITEV, SENDMSG */
    const void *caller;       /* the code that made the call */
    bool many;                /* one message of sendmmsg */
    bool by_number;           /* the message leaves by its system call, not by libc's function */
};

/* Makes the call, under the limits that bound it. Keeps errno on success. */
ssize_t nd_send(const struct nd_send_call *call);

/* Continues after a first attempt with MSG_NOSIGNAL, which returned `sent` and was not the whole call. The attempt had
 * MSG_DONTWAIT where `tried`. `error_before` is errno before it. */
ssize_t nd_send_rest(const struct nd_send_call *call, bool tried, ssize_t sent, int error_before);

/* The call as the program made it, unbounded. */
ssize_t nd_send_plain(const struct nd_send_call *call);

/* The number of bytes in the call. */
size_t nd_send_total(const struct nd_send_call *call);

#endif
