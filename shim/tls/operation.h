/* The operations of TLS libraries, and a call of one. */
#pragma once

#include "shim/report/slots.h"
#include "shim/tls/functions.h"
#include "shim/tls/scope.h"

enum nd_tls_action { ND_TLS_SHAKES, ND_TLS_READS, ND_TLS_WRITES, ND_TLS_CLOSES };

/* What a call has come to. */
enum nd_tls_outcome {
    ND_TLS_FINISHED,      /* done, or failed for good */
    ND_TLS_WANTS_NETWORK, /* it must be made again when the socket is ready */
    ND_TLS_WANTS_PROGRAM  /* when the program has found something (a certificate, the result of its check) */
};

/* Questions that a TLS library answers about its objects. */
struct nd_tls_library {
    enum nd_tls_kind kind;
    /* The descriptor that `object` reads from, -1 where it has none. Sets *own where the library makes the system calls
     * itself. */
    int (*descriptor)(const struct nd_tls *tls, const void *object, bool *own);
    /* Whether a handshake is under way, which a read or write continues; NULL for a library whose reads and writes do
     * not. */
    bool (*handshaking)(const struct nd_tls *tls, const void *object);
    /* Whether `object` is the server. */
    bool (*serving)(const struct nd_tls *tls, const void *object);
    /* Whether it speaks DTLS, which has timers of its own and is not bounded, whatever the kind of its socket. */
    bool (*datagrams)(const struct nd_tls *tls, const void *object);
    /* Whether it may hold bytes of the connection that it has read and not processed. NULL for a library that reads no
     * more than it needs. */
    bool (*holding)(const struct nd_tls *tls, const void *object);
};

/* What a hook calls. Constant. */
struct nd_tls_operation {
    const struct nd_tls_library *library;
    enum nd_call name;
    enum nd_tls_action action;
};

/* A call. It is in the hook's frame; ND_TLS_CALL declares it so that nd_tls_leave runs however the frame is left. */
struct nd_tls_call {
    struct nd_scope scope;    /* first: functions of its kind get the scope, and need the call */
    const struct nd_tls *tls; /* NULL: no such library is loaded */
    const struct nd_tls_operation *operation;
    struct nd_sock *sock; /* NULL: the call is not bounded */
    int fd;
    bool asks; /* when the call began, a request without a reply had been sent (ND_SOCK_SENT_LAST) */
    /* The members below are not set as long as the scope is an nd_scope_established. */
    const void *caller; /* the code that has called the hook */
    bool open, own, unfinished, noted;
    bool established; /* no handshake is under way, and all that an earlier call found holds */
    bool ended;       /* the connection has been ended: the call must fail, whatever the real function returns */
    bool reported;    /* ... and an earlier call has reported the expiry */
    struct nd_slot_use use;
    struct nd_tls buffer; /* for `tls`, where the functions could not be stored */
};
_Static_assert(offsetof(struct nd_tls_call, scope) == 0, "a pointer to the scope is one to the call");
