/* A receiving call on a connected stream that nothing bounds but what the kernel keeps (RECV): in the hook itself, with its slot,
 * as long as bytes come. Async-signal-safe; keeps errno on success. */
#ifndef ND_CALL_RECEIVE_FAST_H
#define ND_CALL_RECEIVE_FAST_H

#include <errno.h>

#include "base/clock.h"
#include "base/compiler.h"
#include "base/frame.h"
#include "shim/call/receive_call.h"
#include "shim/report/slots_fast.h"
#include "shim/socket/limits.h"
#include "shim/socket/record.h"

struct nd_kernel_timed {
    struct nd_slot_use use;
    struct nd_sock *sock;
    nd_time limit;       /* 0: the call does not wait, or the program's own timeout is the shorter one */
    uint32_t generation; /* the socket's */
    int error;           /* errno before, where it may wait */
};

/* The call has given `result`, which is not all it was made for: what it is to give. */
ssize_t nd_kernel_timed_continue(const struct nd_receive_call *call, struct nd_kernel_timed *kept, ssize_t result);

/* True if `operation` on `fd`, which has these `watch` bits, is such a call: it is then to be made as it is. */
ND_INLINE bool nd_kernel_timed_begin(struct nd_kernel_timed *kept, enum nd_call operation, unsigned watch, int fd,
                                     int flags) {
    if ((watch & (ND_WATCH_KERNEL_TIMED | ND_WATCH_SCOPE)) != ND_WATCH_KERNEL_TIMED ||
        nd_unlikely(flags & MSG_ERRQUEUE))
        return false;
    kept->sock = nd_sock_lookup(fd);
    const uint32_t its = nd_sock_flags(kept->sock);
    kept->generation = atomic_load_explicit(&kept->sock->generation, memory_order_relaxed);
    kept->limit = 0;
    if ((its & (ND_SOCK_NONBLOCK | ND_SOCK_RCVTIMEO)) != ND_SOCK_RCVTIMEO || (flags & MSG_DONTWAIT))
        return true;
    kept->limit = nd_sock_limits_by(kept->sock, its)->recv;
    if (nd_unlikely(!kept->limit))
        return false; /* it is being changed */
    kept->error = errno;
    const nd_time began = nd_now_coarse();
    nd_slot_begin_here(ND_FRAME_SLOT(), &kept->use, operation, fd, began, nd_time_after(began, kept->limit),
                       ND_LIMIT_RECV | (its & ND_SOCK_INBOUND ? ND_LIMIT_INBOUND : 0U), NULL);
    return true;
}

/* True if it has given all that it was made for, `got` bytes of `len`. */
ND_INLINE bool nd_kernel_timed_end(const struct nd_kernel_timed *kept, ssize_t got, size_t len, int flags) {
    if (nd_unlikely(got <= 0) || (nd_unlikely(flags & MSG_WAITALL) && (size_t)got != len) ||
        nd_unlikely(kept->sock->generation != kept->generation))
        return false;
    nd_sock_received(kept->sock);
    if (kept->limit)
        nd_slot_end_here(&kept->use, ND_SLOT_DONE, nd_now_coarse());
    return true;
}

#endif
