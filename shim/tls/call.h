/* One call of a TLS library, whichever it is: its limit, its scope where it blocks, and the connection's clock over several
 * calls where it does not. */
#ifndef ND_TLS_CALL_H
#define ND_TLS_CALL_H

#include "shim/report/slots.h"
#include "shim/tls/functions.h"
#include "shim/tls/scope.h"

enum nd_tls_action { ND_TLS_SHAKES, ND_TLS_READS, ND_TLS_WRITES, ND_TLS_CLOSES };

/* What a TLS library is asked about its objects. */
struct nd_tls_library {
    enum nd_tls_kind kind;
    /* The descriptor that `object` reads from, -1 where it has none; *own: the library makes the system calls itself. */
    int (*descriptor)(const struct nd_tls *tls, const void *object, bool *own);
    /* Whether a handshake is under way, which a read or write then goes on with; NULL where neither does. */
    bool (*handshaking)(const struct nd_tls *tls, const void *object);
    /* Whether `object` is the side that accepts. */
    bool (*serving)(const struct nd_tls *tls, const void *object);
    /* Whether it may hold bytes of the connection that it has read and not looked at yet. NULL: it reads no more than it needs. */
    bool (*holding)(const struct nd_tls *tls, const void *object);
};

/* What a hook calls. Constant. */
struct nd_tls_operation {
    const struct nd_tls_library *library;
    enum nd_call name;
    enum nd_tls_action action;
};

/* Lives in the hook's frame, and is left by nd_tls_leave however the frame is left: ND_TLS_CALL declares it. */
struct nd_tls_call {
    struct nd_scope scope;    /* first: what it is asked to update is this */
    const struct nd_tls *tls; /* NULL: no such library is loaded */
    const struct nd_tls_operation *operation;
    struct nd_sock *sock; /* NULL: the call passes through */
    int fd;
    bool asks; /* when it began, what had gone out last was ours, and no handshake's */
    /* A call that is calm still (nd_scope_established) has set none of what follows. */
    const void *caller; /* the code that made it */
    bool open, own, unfinished, noted;
    bool established; /* no handshake is under way, and all is as an earlier call found it */
    bool ended;       /* the connection has been ended: no result of the real function can stand */
    struct nd_slot_use use;
    struct nd_tls room;
};

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

#endif
