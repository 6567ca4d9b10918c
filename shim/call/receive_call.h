/* One receiving call of the program, made plainly, and what its result says about the socket. Everything here is
 * async-signal-safe. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <sys/socket.h>

#include "shim/limit/expiry.h"
#include "shim/report/slots.h"
#include "shim/socket/record.h"

enum nd_receive_kind { ND_READ, ND_READV, ND_RECV, ND_RECVFROM, ND_RECVMSG };

/* The call as the program made it. */
struct nd_receive_call {
    enum nd_receive_kind kind;
    int fd, flags;
    void *buf; /* readv: the iovec; recvmsg: the msghdr */
    size_t len;
    struct sockaddr *from;
    socklen_t *from_len;
    const void *caller; /* the code that made the call */
    bool many;          /* one message of recvmmsg */
    bool has_time64;    /* __recvmsg64, which returns timestamps in 64 bits (i386) */
};

_Static_assert(ND_OPERATION_read + ND_READV == ND_OPERATION_readv && ND_OPERATION_read + ND_RECV == ND_OPERATION_recv &&
                   ND_OPERATION_read + ND_RECVFROM == ND_OPERATION_recvfrom &&
                   ND_OPERATION_read + ND_RECVMSG == ND_OPERATION_recvmsg,
               "operations.def has the order of enum nd_receive_kind");

static inline enum nd_call nd_receive_operation(const struct nd_receive_call *call) {
    return call->many ? ND_OPERATION_recvmmsg : (enum nd_call)(ND_OPERATION_read + call->kind);
}

/* The name of the operation in reports. */
static inline const char *nd_receive_name(const struct nd_receive_call *call) {
    return nd_operation_names[nd_receive_operation(call)];
}

/* The program's own call. */
ssize_t nd_receive_plain(const struct nd_receive_call *call);

/* The same with MSG_DONTWAIT; read and readv fail with ENOTSOCK where the descriptor is no longer a socket. */
ssize_t nd_receive_at_once(const struct nd_receive_call *call);

/* The call returned `result`, and errno. Returns what the program gets: an end of the stream that a deadline caused,
 * ours or the kernel's, is reported as ETIMEDOUT. Received bytes clear the time carried over from earlier calls. */
ssize_t nd_receive_finish(const struct nd_receive_call *call, struct nd_sock *sock, ssize_t result);

/* A limit has expired: reports `expiry` and returns -1 with ETIMEDOUT. Ends a stream; a datagram socket stays
 * usable. */
int nd_receive_expire(int fd, struct nd_sock *sock, struct nd_expiry expiry);
