/* The operations of TLS libraries, and one call of one of them. */
#ifndef ND_TLS_OPERATION_H
#define ND_TLS_OPERATION_H

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
_Static_assert(offsetof(struct nd_tls_call, scope) == 0, "a pointer to the scope is one to the call");

#endif
