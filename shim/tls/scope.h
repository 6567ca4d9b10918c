/* One absolute deadline around a whole TLS operation. While the thread is inside it, reads and writes on that descriptor try
 * first and then wait for what is left. */
#ifndef ND_TLS_SCOPE_H
#define ND_TLS_SCOPE_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/clock.h"
#include "shim/limit/expiry.h"
#include "shim/socket/record.h"

/* Where a thread's innermost scope is. It lives in static TLS (old loaders keep little free), the scope itself in the frame of
 * the hook. That may have been left by longjmp, so it is not trusted but checked: see nd_scope_of. */
struct nd_scope_link {
    struct nd_scope *scope;
    uintptr_t *slot;     /* where the frame keeps its return address */
    uintptr_t return_to; /* what stood there */
    int fd;              /* -1: none that may wait; ND_SCOPE_FINDS_SOCKET */
    uint32_t seal;       /* of the scope's own words */
};

/* The operation talks through a socket that its library does not know (a transport of the program's own): the first that the
 * thread touches is it. */
#define ND_SCOPE_FINDS_SOCKET (-2)

/* The most that the coarse clock is behind: what begins by it must not end too early. */
#define ND_SCOPE_TICK (10 * ND_MSEC)

enum nd_scope_limit { ND_SCOPE_NONE, ND_SCOPE_HANDSHAKE, ND_SCOPE_SHUTDOWN, ND_SCOPE_RECV };

struct nd_scope;

/* What is asked about the scopes of one kind; constant, and any of them may be NULL. */
struct nd_scope_kind {
    /* Brings limit, began and timeout up to date before a wait: a read may turn into a handshake, and back. */
    void (*update)(struct nd_scope *scope);
    /* Whether `caller` is code that the operation reads and writes through. A scope that was left unseen must not bound the
     * program's own calls on the descriptor. */
    bool (*expects)(const struct nd_scope *scope, const void *caller);
    /* All at once: whether `caller` is such code, and the scope has a deadline now. */
    bool (*bounds)(struct nd_scope *scope, const void *caller);
    /* Of a scope with ND_SCOPE_FINDS_SOCKET: `fd` has been touched. Sets scope->fd. */
    void (*found)(struct nd_scope *scope, int fd, struct nd_sock *sock);
};

struct nd_scope {
    const struct nd_scope_kind *kind;
    const char *operation;
    const void *object; /* the SSL or the session */
    int fd;             /* -1 where none is known, or its calls do not wait */
    bool inbound;
    bool fresh; /* nobody has asked since it began, ND_SCOPE_TICK before `began` */
    enum nd_scope_limit limit;
    nd_time began, timeout;     /* 0: no deadline, now */
    struct nd_scope_link outer; /* what the thread was in before */
    uint32_t serial;
};

/* The thread's innermost scope. */
extern __thread struct nd_scope_link nd_scope_current __attribute__((tls_model("initial-exec"), visibility("hidden")));

#define ND_SCOPE_UNCHECKED __attribute__((no_sanitize("address", "thread", "undefined")))
#define ND_SCOPE_TURNED(word, by) ((uint64_t)(word) << (by) | (uint64_t)(word) >> (64 - (by)))

/* Says of a scope whether it is the one that was opened: where its frame is gone, others may have written there, and its
 * functions must not be called. */
ND_SCOPE_UNCHECKED static inline uint32_t nd_scope_seal(const struct nd_scope *scope) {
    uint64_t words = (uintptr_t)scope->object ^ ND_SCOPE_TURNED((uintptr_t)scope->kind, 13) ^
                     ND_SCOPE_TURNED((uintptr_t)scope->operation, 27) ^ ND_SCOPE_TURNED((uint32_t)scope->fd, 41) ^
                     scope->serial;
    return (uint32_t)(words * 0x9e3779b97f4a7c15U >> 32);
}

/* Opens a scope that stands in the caller's frame: `slot` is ND_FRAME_SLOT() there. From here on `object`, `fd`, `operation`
 * and `kind` are fixed. Async-signal-safe; keeps errno. */
ND_SCOPE_UNCHECKED static inline void nd_scope_open(struct nd_scope *scope, uintptr_t *slot) {
    scope->outer = nd_scope_current;
    scope->serial = nd_scope_current.seal + 1;
    nd_scope_current.scope = scope;
    nd_scope_current.slot = slot;
    nd_scope_current.return_to = *slot;
    nd_scope_current.fd = scope->fd;
    nd_scope_current.seal = nd_scope_seal(scope);
}

/* The kind of a scope that is opened and closed with few instructions, since most are never asked about: it has no deadline yet,
 * and only `kind` and `object` are set; there is no outer one. Its functions make a whole one of it (nd_scope_make_full) before all else. What
 * it is known by is not sealed, but compared: `object` is the one that talks through the descriptor. */
extern const struct nd_scope_kind nd_scope_established __attribute__((visibility("hidden")));

/* Opens such a scope. The same. */
ND_SCOPE_UNCHECKED static inline void nd_scope_open_established(struct nd_scope *scope, const void *object, int fd,
                                                                uintptr_t *slot) {
    scope->kind = &nd_scope_established;
    scope->object = object;
    nd_scope_current.scope = scope;            /* first: a handler that comes between gives all back only where */
    atomic_signal_fence(memory_order_seq_cst); /* it finds a scope */
    nd_scope_current.slot = slot;
    nd_scope_current.return_to = *slot;
    nd_scope_current.fd = fd;
}

/* Ends one that is calm still. Nothing is left in its frame that it could be known by. */
static inline void nd_scope_close_established(struct nd_scope *scope) {
    *(const void *volatile *)&scope->object = NULL;
    nd_scope_current.scope = NULL;
}

/* The scope was calm, and all but what opening sets has been filled in. */
ND_SCOPE_UNCHECKED static inline void nd_scope_make_full(struct nd_scope *scope) {
    scope->outer = (struct nd_scope_link){.fd = -1, .seal = nd_scope_current.seal};
    scope->serial = nd_scope_current.seal + 1;
    if (nd_scope_current.scope == scope)
        nd_scope_current.seal = nd_scope_seal(scope);
}

/* A frame further away than this is not ours: no TLS library nests deeper. */
#define ND_SCOPE_DEEPEST ((uintptr_t)256 * 1024)

/* Whether the thread's innermost scope is calm and stands, asked in the frame of a function that the operation has called
 * on `fd`, the descriptor that it is for. */
ND_SCOPE_UNCHECKED static inline __attribute__((always_inline)) bool nd_scope_is_established(int fd) {
    const struct nd_scope_link *link = &nd_scope_current;
    const struct nd_sock *sock;
    return (uintptr_t)link->scope - (uintptr_t)__builtin_frame_address(0) < ND_SCOPE_DEEPEST &&
           *link->slot == link->return_to && link->scope->kind == &nd_scope_established &&
           (sock = nd_sock_lookup(fd)) && link->scope->object == sock->tls;
}

/* The same of one that is not calm. */
ND_SCOPE_UNCHECKED static inline __attribute__((always_inline)) bool nd_scope_is_full(void) {
    const struct nd_scope_link *link = &nd_scope_current;
    return (uintptr_t)link->scope - (uintptr_t)__builtin_frame_address(0) < ND_SCOPE_DEEPEST &&
           *link->slot == link->return_to && nd_scope_seal(link->scope) == link->seal;
}

/* A read that begins this soon after its scope may be left to the kernel's timer of the same length: the same system calls
 * as without us, and at most this much late. */
#define ND_SCOPE_SLACK (20 * ND_MSEC)

static inline bool nd_scope_is_kernel_timed(const struct nd_scope *scope, nd_time limit, nd_time now) {
    return limit == scope->timeout && now - scope->began < ND_SCOPE_SLACK;
}

/* Ends it, and gives the outer one back. Async-signal-safe; keeps errno. */
static inline void nd_scope_close(const struct nd_scope *scope) {
    nd_scope_current = scope->outer;
}

/* Whether a scope stands still: asked in the frame of a function that the operation has called. */
#define ND_SCOPE_STANDS(link, object) nd_scope_stands(link, (uintptr_t)__builtin_frame_address(0), object)

/* `object` is what a calm scope must be for. */
ND_SCOPE_UNCHECKED static inline bool nd_scope_stands(const struct nd_scope_link *link, uintptr_t here,
                                                      const void *object) {
    uintptr_t there = (uintptr_t)link->slot, scope = (uintptr_t)link->scope;
    if (!(scope > here && scope < there && there - here < ND_SCOPE_DEEPEST && *link->slot == link->return_to))
        return false;
    return link->scope->kind == &nd_scope_established ? link->scope->object == object && object
                                                      : nd_scope_seal(link->scope) == link->seal;
}

/* The innermost scope of the thread, if it is for `object`: another operation has called the library from within. */
static inline struct nd_scope *nd_scope_around(const void *object) {
    struct nd_scope *scope = nd_scope_current.scope;
    return scope && ND_SCOPE_STANDS(&nd_scope_current, object) && scope->object == object ? scope : NULL;
}

/* Ends the thread's scope if it is for `fd`: the descriptor is closed or starts anew. Async-signal-safe; keeps errno. */
void nd_scope_drop(int fd);

/* MODE=observe: the operation has returned by itself; tells the operator if it took longer than its limit.
 * Async-signal-safe; keeps errno. */
void nd_scope_observe(const struct nd_scope *scope);

/* Describes the scope's expiry at `now`. */
struct nd_expiry nd_scope_expiry(const struct nd_scope *scope, nd_time now);

/* The limit's name, as the operator sets it. */
const char *nd_scope_limit_name(enum nd_scope_limit limit, bool inbound);

/* When a scope's time is up; ND_NEVER without a deadline, or without a scope. */
static inline nd_time nd_scope_end(const struct nd_scope *scope) {
    return scope && scope->timeout ? nd_time_after(scope->began, scope->timeout) : ND_NEVER;
}

#endif
