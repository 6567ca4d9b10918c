/* What a sending call was made with. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <sys/socket.h>
#include <sys/syscall.h>

#include "shim/real.h"

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

/* Sends `msg`, which is the call's own or the remainder of it, in the way of the call. Async-signal-safe. */
static inline ssize_t nd_send_message(const struct nd_send_call *call, const struct msghdr *msg, int flags) {
    return call->by_number ? nd_real.syscall(SYS_sendmsg, call->fd, (long)msg, flags, 0, 0, 0)
                           : nd_real.sendmsg(call->fd, msg, flags);
}
