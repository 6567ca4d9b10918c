/* One call of a TLS library, whichever it is: its limit, its scope where it blocks, and the connection's clock over several
 * calls where it does not. */
#ifndef ND_TLS_CALL_H
#define ND_TLS_CALL_H

#include "shim/tls/operation.h"

/* Begins the call `operation` on `object`: finds the real functions, the socket and the limit. Returns false where the real
 * function is not to be called, with errno set: there is none (a weak reference that our export made non-null), or the
 * connection has been ended. `slot` is ND_FRAME_SLOT() of the hook. */
bool nd_tls_enter(struct nd_tls_call *call, const struct nd_tls_operation *operation, const void *object,
                  const void *caller, uintptr_t *slot);

/* Whether no handshake is under way, or was before. */
static inline bool nd_tls_is_established(const struct nd_tls_call *call) {
    return call->established && !call->sock->operation.timeout;
}

/* The real function has returned; `unfinished`: it wants to be called again when the socket is ready. Returns true if its time
 * is up and the connection has been ended: called once more, it fails. Keeps errno. */
bool nd_tls_timed_out(struct nd_tls_call *call, bool unfinished);

/* Whether a result of the real function must be a failure after all: the call's connection had been ended before it. Sets errno
 * if so. */
bool nd_tls_refuses(const struct nd_tls_call *call);

/* Whether the call's connection has expired. */
bool nd_tls_expired(const struct nd_tls_call *call);

void nd_tls_leave_noted(struct nd_tls_call *call);

static inline void nd_tls_leave(struct nd_tls_call *call) {
    if (call->open)
        nd_tls_leave_noted(call);
}

#define ND_TLS_CALL(name) __attribute__((cleanup(nd_tls_leave))) struct nd_tls_call name

/* Makes a whole call of a calm one, which is the thread's innermost; a read that waits has RECV from then on. */
void nd_tls_established_make_full(struct nd_tls_call *call);

/* The real function has given `result`, which is no success. `unfinished` tells whether it wants to
 * be called again when the socket is ready. Keeps errno. */
void nd_tls_established_settle(struct nd_tls_call *call,
                               bool (*unfinished)(const struct nd_tls_call *call, long result), long result);

#endif
