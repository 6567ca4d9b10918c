/* The fast path of a receiving call on a connected stream that only SO_RCVTIMEO bounds (RECV), or nothing: it is made
 * in the hook itself, with its slot, and is over if it returns bytes. Async-signal-safe; keeps errno on success. */
#pragma once

#include <errno.h>

#include "shim/call/receive_call.h"
#include "shim/report/slots_fast.h"
#include "shim/socket/limits.h"

struct nd_kernel_timed {
    struct nd_slot_use use;
    struct nd_sock *sock;
    nd_time limit;       /* 0: the call does not wait, or the program's own timeout is shorter */
    uint32_t generation; /* the socket's */
    int error;           /* errno before a call that may wait */
};

/* The call has returned `result`, which is not all that it waits for. Returns what the program gets. */
ssize_t nd_kernel_timed_continue(const struct nd_receive_call *call, struct nd_kernel_timed *timed, ssize_t result);

/* Whether `operation` on `fd`, which has these `watch` bits, is such a call: the caller then makes it plainly. */
ND_INLINE bool nd_kernel_timed_begin(struct nd_kernel_timed *timed, enum nd_call operation, unsigned watch, int fd,
                                     int flags) {
    if ((watch & (ND_WATCH_KERNEL_TIMED | ND_WATCH_SCOPE)) != ND_WATCH_KERNEL_TIMED ||
        nd_unlikely(flags & MSG_ERRQUEUE))
        return false;
    timed->sock = nd_sock_lookup(fd);
    const uint32_t sock_flags = nd_sock_flags(timed->sock);
    timed->generation = atomic_load_explicit(&timed->sock->generation, memory_order_relaxed);
    timed->limit = 0;
    if ((sock_flags & (ND_SOCK_NONBLOCK | ND_SOCK_RCVTIMEO)) != ND_SOCK_RCVTIMEO || (flags & MSG_DONTWAIT))
        return true;
    timed->limit = nd_sock_limits_by(timed->sock, sock_flags)->recv;
    if (nd_unlikely(!timed->limit))
        return false; /* another thread is changing the limit */
    timed->error = errno;
    const nd_time began = nd_now_coarse();
    nd_slot_begin_here(ND_FRAME_SLOT(), &timed->use, operation, fd, began, nd_time_after(began, timed->limit),
                       ND_LIMIT_RECV | (sock_flags & ND_SOCK_INBOUND ? ND_LIMIT_INBOUND : 0U), NULL);
    return true;
}

/* True if the call is over with the `got` bytes of `len` that it has returned. */
ND_INLINE bool nd_kernel_timed_end(const struct nd_kernel_timed *timed, ssize_t got, size_t len, int flags) {
    if (nd_unlikely(got <= 0) || (nd_unlikely(flags & MSG_WAITALL) && (size_t)got != len) ||
        nd_unlikely(timed->sock->generation != timed->generation))
        return false;
    nd_sock_received(timed->sock);
    if (timed->limit)
        nd_slot_end_here(&timed->use, ND_SLOT_DONE, nd_now_coarse());
    return true;
}
