/* A receiving call on a descriptor that is watched. */
#ifndef ND_CALL_RECEIVE_H
#define ND_CALL_RECEIVE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

#include "base/clock.h"

enum nd_receive_kind { ND_READ, ND_READV, ND_RECV, ND_RECVFROM, ND_RECVMSG };

/* One call as the program made it. */
struct nd_receive_call {
    enum nd_receive_kind kind;
    int fd, flags;
    void *buf; /* or the iovec, or the msghdr */
    size_t len;
    struct sockaddr *from;
    socklen_t *from_len;
    const void *caller; /* the code that made it */
    bool many;          /* a message of recvmmsg */
    bool has_time64;    /* it is __recvmsg64, which gives times in 64 bits (i386) */
};

/* Makes the call, under what bounds it: where RECV is on the kernel does (SO_RCVTIMEO, set at birth), and the right error is
 * given for its; inside a TLS operation it waits for what is left of that. Async-signal-safe; keeps errno on success. */
ssize_t nd_receive(const struct nd_receive_call *call);

/* The call was made as it is, since nothing bounded it, and has given `result`, which is no byte: what it is to give. */
ssize_t nd_receive_ended(const struct nd_receive_call *call, ssize_t result);

/* The same of a call that began at `began` under the kernel's timer, on a descriptor that had `generation`. */
ssize_t nd_receive_kernel_timed(const struct nd_receive_call *call, uint32_t generation, nd_time began, ssize_t result);

#endif
