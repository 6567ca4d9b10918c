/* A scope: one absolute deadline for a whole TLS operation. While the thread is inside the operation, each read and
 * write on its descriptor is tried without waiting, then waits at most for the remaining time. */
#pragma once

#include "shim/limit/expiry.h"
#include "shim/report/operations.h"

/* A link to a thread's innermost scope. The link is in static thread-local storage (of which old loaders keep little
 * free), the scope itself in the frame of the hook. That frame may have been left by longjmp, so a scope is checked
 * before each use: see nd_scope_of. */
struct nd_scope_link {
    struct nd_scope *scope;
    uintptr_t *slot;     /* where the frame holds its return address */
    uintptr_t return_to; /* that return address */
    int fd;              /* the scope's; -1: its calls do not wait; or ND_SCOPE_FINDS_SOCKET */
    uint32_t seal;       /* a hash of the scope's own words */
};

/* The operation uses a socket that its library does not know (the program has a transport of its own): it is the first
 * one on which the thread makes a call. */
#define ND_SCOPE_FINDS_SOCKET (-2)

/* The coarse clock is behind by at most this. It is added to a beginning by that clock, so that no deadline is too
 * early. */
#define ND_SCOPE_TICK (10 * ND_MSEC)

struct nd_scope;

/* The functions for the scopes of one kind. Constant; any of them may be NULL. */
struct nd_scope_kind {
    /* Updates limit, began and timeout before a wait: a read may begin a handshake, or end it. */
    void (*update)(struct nd_scope *scope);
    /* Whether `caller` is code from which the operation reads and writes. A scope that was left without notice must not
     * bound the program's own calls on the descriptor. */
    bool (*expects)(const struct nd_scope *scope, const void *caller);
    /* Both together: whether `caller` is such code, and the scope has a deadline now. */
    bool (*bounds)(struct nd_scope *scope, const void *caller);
    /* For a scope with ND_SCOPE_FINDS_SOCKET: `fd` is its socket. Sets scope->fd. */
    void (*found)(struct nd_scope *scope, int fd, struct nd_sock *sock);
};

struct nd_scope {
    const struct nd_scope_kind *kind;
    const char *operation;
    const void *object; /* the SSL or the session */
    int fd;             /* -1 where it is not known, or its calls do not wait */
    bool inbound;
    bool fresh; /* no call has used the scope since it was opened, ND_SCOPE_TICK before `began` */
    enum nd_limit limit;
    nd_time began, timeout;     /* a timeout of 0: there is no deadline now */
    nd_time stands_since;       /* since when the operation has not waited; ND_NEVER: its clock runs */
    struct nd_operation *spans; /* of the socket's record, where the limit is for several calls; else NULL */
    struct nd_scope_link outer; /* the link before it */
    uint32_t serial;
};

/* The thread's innermost scope. */
extern __thread struct nd_scope_link nd_scope_current __attribute__((tls_model("initial-exec"), visibility("hidden")));

#define ND_SCOPE_UNCHECKED __attribute__((no_sanitize("address", "thread", "undefined")))
#define ND_SCOPE_ROTATED(word, by) ((uint64_t)(word) << (by) | (uint64_t)(word) >> (64 - (by)))

/* A hash by which a scope is recognised as the one that was opened. Where its frame has been left, other data may be at
 * its address, and its functions must not be called. */
ND_SCOPE_UNCHECKED static inline uint32_t nd_scope_seal(const struct nd_scope *scope) {
    uint64_t words = (uintptr_t)scope->object ^ ND_SCOPE_ROTATED((uintptr_t)scope->kind, 13) ^
                     ND_SCOPE_ROTATED((uintptr_t)scope->operation, 27) ^ ND_SCOPE_ROTATED((uint32_t)scope->fd, 41) ^
                     scope->serial;
    return (uint32_t)(words * 0x9e3779b97f4a7c15U >> 32);
}

/* Opens a scope in the caller's frame, of which `slot` is the ND_FRAME_SLOT(). After that `object`, `fd`, `operation`
 * and `kind` must not change. Async-signal-safe; keeps errno. */
ND_SCOPE_UNCHECKED static inline void nd_scope_open(struct nd_scope *scope, uintptr_t *slot) {
    scope->outer = nd_scope_current;
    scope->serial = nd_scope_current.seal + 1;
    nd_scope_current.scope = scope;
    nd_scope_current.slot = slot;
    nd_scope_current.return_to = *slot;
    nd_scope_current.fd = scope->fd;
    nd_scope_current.seal = nd_scope_seal(scope);
}

/* The kind of a scope on an established connection, which is opened and closed with few instructions, since most such
 * scopes are never used: only `kind` and `object` are set, there is no outer scope and no deadline yet. Its functions
 * first complete it (nd_scope_make_full). It has no seal; instead `object` must be the one that uses the descriptor. */
extern const struct nd_scope_kind nd_scope_established __attribute__((visibility("hidden")));

/* Opens such a scope. Otherwise as nd_scope_open. */
ND_SCOPE_UNCHECKED static inline void nd_scope_open_established(struct nd_scope *scope, const void *object, int fd,
                                                                uintptr_t *slot) {
    scope->kind = &nd_scope_established;
    scope->object = object;
    nd_scope_current.scope = scope;            /* first: a signal handler that comes between restores */
    atomic_signal_fence(memory_order_seq_cst); /* the link only where it finds a scope */
    nd_scope_current.slot = slot;
    nd_scope_current.return_to = *slot;
    nd_scope_current.fd = fd;
}

/* Closes such a scope if it has not been completed. Clears `object`, so that its frame cannot be taken for a scope. */
static inline void nd_scope_close_established(struct nd_scope *scope) {
    *(const void *volatile *)&scope->object = NULL;
    nd_scope_current.scope = NULL;
}

/* Completes such a scope, of which the caller has set all members but those that nd_scope_open sets. */
ND_SCOPE_UNCHECKED static inline void nd_scope_make_full(struct nd_scope *scope) {
    scope->outer = (struct nd_scope_link){.fd = -1, .seal = nd_scope_current.seal};
    scope->serial = nd_scope_current.seal + 1;
    if (nd_scope_current.scope == scope)
        nd_scope_current.seal = nd_scope_seal(scope);
}

/* No TLS library nests deeper than this: a frame further away is not that of the hook. */
#define ND_SCOPE_DEEPEST ((uintptr_t)256 * 1024)

/* Whether the thread's innermost scope is an nd_scope_established and valid. Called in the frame of a function that the
 * operation has called on `fd`, the scope's descriptor. */
ND_SCOPE_UNCHECKED static inline __attribute__((always_inline)) bool nd_scope_is_established(int fd) {
    const struct nd_scope_link *link = &nd_scope_current;
    const struct nd_sock *sock;
    return (uintptr_t)link->scope - (uintptr_t)__builtin_frame_address(0) < ND_SCOPE_DEEPEST &&
           *link->slot == link->return_to && link->scope->kind == &nd_scope_established &&
           (sock = nd_sock_lookup(fd)) && link->scope->object == sock->tls;
}

/* The same for a scope of another kind. */
ND_SCOPE_UNCHECKED static inline __attribute__((always_inline)) bool nd_scope_is_full(void) {
    const struct nd_scope_link *link = &nd_scope_current;
    return (uintptr_t)link->scope - (uintptr_t)__builtin_frame_address(0) < ND_SCOPE_DEEPEST &&
           *link->slot == link->return_to && nd_scope_seal(link->scope) == link->seal;
}

/* The clock of a scope runs only while the operation waits for the network. What it does between two waits may take any
 * time (a callback of the program asks its user for a password, or fetches a revocation list), and the other side is
 * alive. To let the clock stand means that `began` moves on. */

/* The operation begins to wait, or is over, at `now`. */
static inline void nd_scope_run(struct nd_scope *scope, nd_time now) {
    if (now > scope->stands_since) {
        scope->began += now - scope->stands_since;
        if (scope->spans && scope->spans->timeout)
            scope->spans->began = scope->began;
    }
    scope->stands_since = ND_NEVER;
}

/* It has waited until `now`. */
static inline void nd_scope_stand(struct nd_scope *scope, nd_time now) {
    scope->stands_since = now;
}

/* A read that begins this soon after its scope, whose limit is RECV, may be bounded by the kernel's timer of the same
 * length: that takes the same system calls as without the library, and the deadline is late by at most this. A handshake
 * under a limit of that length is not: its expiry would be reported as one of RECV. */
#define ND_SCOPE_SLACK (20 * ND_MSEC)

static inline bool nd_scope_is_kernel_timed(const struct nd_scope *scope, nd_time limit, nd_time now) {
    return scope->limit == ND_LIMIT_RECV && limit == scope->timeout && now - scope->began < ND_SCOPE_SLACK;
}

/* Closes a scope; the outer one is the innermost again. Async-signal-safe; keeps errno. */
static inline void nd_scope_close(const struct nd_scope *scope) {
    nd_scope_current = scope->outer;
}

/* Whether a scope is valid. Used in the frame of a function that the operation has called. */
#define ND_SCOPE_STANDS(link, object) nd_scope_stands(link, (uintptr_t)__builtin_frame_address(0), object)

/* `object` is the one that an nd_scope_established must be for. */
ND_SCOPE_UNCHECKED static inline bool nd_scope_stands(const struct nd_scope_link *link, uintptr_t here,
                                                      const void *object) {
    uintptr_t there = (uintptr_t)link->slot, scope = (uintptr_t)link->scope;
    if (!(scope > here && scope < there && there - here < ND_SCOPE_DEEPEST && *link->slot == link->return_to))
        return false;
    return link->scope->kind == &nd_scope_established ? link->scope->object == object && object
                                                      : nd_scope_seal(link->scope) == link->seal;
}

/* The innermost scope of the thread if it is for `object`, or NULL: then the call is made by an operation of the
 * library itself. */
static inline struct nd_scope *nd_scope_around(const void *object) {
    struct nd_scope *scope = nd_scope_current.scope;
    return scope && ND_SCOPE_STANDS(&nd_scope_current, object) && scope->object == object ? scope : NULL;
}

/* Makes the thread's scope bound no further call if it is for `fd`, which is closed or becomes another socket.
 * Async-signal-safe; keeps errno. */
void nd_scope_drop(int fd);

/* MODE=observe: called when the operation has returned by itself; reports an expiry if it took longer than its limit.
 * Async-signal-safe; keeps errno. */
void nd_scope_observe(const struct nd_scope *scope);

/* The scope's expiry at `now`, for a report. */
struct nd_expiry nd_scope_expiry(const struct nd_scope *scope, nd_time now);

/* Whether ESTABLISH bounds an operation of several calls. */
static inline bool nd_scope_is_of_establish(const struct nd_operation *operation) {
    return operation->limit == nd_limit_names[ND_LIMIT_ESTABLISH];
}

/* The deadline of a scope; ND_NEVER where it has none, or `scope` is NULL. */
static inline nd_time nd_scope_end(const struct nd_scope *scope) {
    return scope && scope->timeout ? nd_time_after(scope->began, scope->timeout) : ND_NEVER;
}
