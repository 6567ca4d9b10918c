/* sendmmsg and recvmmsg. Where a call would wait, its messages are sent or received one by one, as by sendmsg and
 * recvmsg. */
#pragma once

#include <stdbool.h>
#include <sys/socket.h>

/* The call as the program made it; `timeout` is recvmmsg's. */
struct nd_mmsg_call {
    int fd;
    struct mmsghdr *messages;
    unsigned count;
    int flags;
    void *timeout;
    const void *caller; /* the code that made the call */
    bool has_time64;    /* __recvmmsg64, which returns timestamps in 64 bits (i386) */
    bool by_number;     /* messages leave by their system calls, not by libc's functions */
};

/* Make the call on a watched descriptor, under the limits that bound it. Async-signal-safe; keep errno on success. */
int nd_sendmmsg(struct nd_mmsg_call *call);
int nd_recvmmsg(const struct nd_mmsg_call *call);
