/* One absolute deadline around a whole TLS operation. While the thread is inside it, reads and writes on that descriptor try
 * first and then wait for what is left. */
#ifndef ND_SCOPE_H
#define ND_SCOPE_H

#include <stdbool.h>
#include <stdint.h>

#include "shim/expiry.h"
#include "shim/sockets.h"

/* A scope lives in the thread's static TLS (40 bytes: old loaders keep little free) and belongs to one descriptor and one
 * stack frame. It ends with the frame however that is left, so it is not trusted but checked: see nd_scope_of. */
struct nd_scope {
    const char *operation;
    nd_time began, timeout;
    uintptr_t *slot;     /* where the frame keeps its return address */
    uintptr_t return_to; /* what stood there */
    int fd;
    uint8_t limit; /* enum nd_scope_limit */
    bool inbound;
};

enum nd_scope_limit { ND_SCOPE_HANDSHAKE, ND_SCOPE_SHUTDOWN, ND_SCOPE_RECV };

/* Opens a scope in the caller's frame: `slot` is ND_FRAME_SLOT() there. Returns false and changes nothing where a valid scope
 * for the same descriptor is open already (the outermost counts). *saved gets what nd_scope_close must put back.
 * Async-signal-safe; keeps errno. */
bool nd_scope_open(struct nd_scope *saved, int fd, struct nd_sock *sock, enum nd_scope_limit limit,
                   const char *operation, nd_time timeout, uintptr_t *slot);

/* Ends the scope that nd_scope_open opened. Async-signal-safe; keeps errno. */
void nd_scope_close(const struct nd_scope *saved);

/* The scope this thread is in for `fd`, or NULL. A scope left by longjmp, or by a signal handler's jump, is recognised: its
 * frame must be further up the same stack and still hold its return address, which any other call from there overwrites.
 * Async-signal-safe; keeps errno. */
const struct nd_scope *nd_scope_of(int fd);

/* Ends the thread's scope if it is for `fd`: the descriptor is closed or starts anew. Async-signal-safe; keeps errno. */
void nd_scope_drop(int fd);

/* MODE=observe: the operation of the thread's scope for `fd` has returned by itself; tells the operator if it took longer
 * than its limit. Async-signal-safe; keeps errno. */
void nd_scope_observe(int fd);

/* Describes the scope's expiry at `now`. */
struct nd_expiry nd_scope_expiry(const struct nd_scope *scope, nd_time now);

/* Where the calling function's frame holds its return address: the word above the saved frame pointer, on x86 and aarch64. */
#define ND_FRAME_SLOT() ((uintptr_t *)__builtin_frame_address(0) + 1)

#endif
