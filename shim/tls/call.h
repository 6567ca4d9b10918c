/* A call of a TLS library: the limit that bounds it, by a scope where it blocks, and by a deadline in the socket's
 * record where an operation takes several calls that do not block. */
#pragma once

#include "shim/tls/operation.h"

/* Begins the call `operation` on `object`: finds the real functions, the socket and the limit. Returns false with errno
 * set where the real function must not be called: there is none (the program has tested a weak reference, which the
 * hook makes non-null), or the connection has been ended. `slot` is ND_FRAME_SLOT() of the hook. */
bool nd_tls_enter(struct nd_tls_call *call, const struct nd_tls_operation *operation, const void *object,
                  const void *caller, uintptr_t *slot);

/* Whether no handshake is under way, or was when the call began. */
static inline bool nd_tls_is_established(const struct nd_tls_call *call) {
    return call->established && !call->sock->operation.timeout;
}

/* Called when the real function has returned, with this outcome. Returns true where the time is up and the connection
 * has been ended: then the hook calls the real function once more, which fails. Keeps errno. */
bool nd_tls_timed_out(struct nd_tls_call *call, enum nd_tls_outcome outcome);

/* Whether the hook must return a failure whatever the real function returns, because the connection had been ended
 * before the call. Sets errno if so. */
bool nd_tls_refuses(const struct nd_tls_call *call);

/* Whether a deadline has ended the call's connection. */
bool nd_tls_expired(const struct nd_tls_call *call);

/* Ends the call, however the hook is left. Keeps errno. */
void nd_tls_leave_noted(struct nd_tls_call *call);

static inline void nd_tls_leave(struct nd_tls_call *call) {
    if (call->open)
        nd_tls_leave_noted(call);
}

#define ND_TLS_CALL(name) __attribute__((cleanup(nd_tls_leave))) struct nd_tls_call name

/* Completes a call on an established connection (call_fast.h), the thread's innermost. A read that may wait is bounded
 * by RECV from then on. */
void nd_tls_established_make_full(struct nd_tls_call *call);

/* Called when the real function has failed with `result`, in a call on an established connection. `outcome` says what
 * that means. Keeps errno. */
void nd_tls_established_settle(struct nd_tls_call *call,
                               enum nd_tls_outcome (*outcome)(const struct nd_tls_call *call, long result),
                               long result);
