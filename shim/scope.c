#include "shim/scope.h"

#include <stddef.h>

/* A frame further away than this is not ours: no TLS library nests deeper. */
#define DEEPEST ((uintptr_t)256 * 1024)

static __thread struct nd_scope_link current __attribute__((tls_model("initial-exec")));

_Static_assert(sizeof(struct nd_scope_link) <= 32, "static TLS of old hosts is small");

#define UNCHECKED __attribute__((no_sanitize("address", "thread", "undefined")))

/* Says of a scope whether it is the one that was opened: where its frame is gone, others may have written there, and its
 * functions must not be called. */
#define TURNED(word, by) ((uint64_t)(word) << (by) | (uint64_t)(word) >> (64 - (by)))

UNCHECKED static inline uint32_t seal_of(const struct nd_scope *scope) {
    uint64_t words = (uintptr_t)scope->object ^ TURNED((uintptr_t)scope->kind, 13) ^
                     TURNED((uintptr_t)scope->operation, 27) ^ TURNED((uint32_t)scope->fd, 41) ^ scope->serial;
    return (uint32_t)(words * 0x9e3779b97f4a7c15U >> 32);
}

/* Asked in the frame of a function that the operation has called. */
#define STANDS(link) stands(link, (uintptr_t)__builtin_frame_address(0))

UNCHECKED static inline bool stands(const struct nd_scope_link *link, uintptr_t here) {
    uintptr_t there = (uintptr_t)link->slot, scope = (uintptr_t)link->scope;
    return scope > here && scope < there && there - here < DEEPEST && *link->slot == link->return_to &&
           seal_of(link->scope) == link->seal;
}

struct nd_scope *nd_scope_of(int fd, const void *caller) {
    struct nd_scope *scope = current.scope;
    if (!scope || current.fd != fd || !STANDS(&current))
        return NULL; /* not dropped: the asker may be a handler on a stack of its own */
    const struct nd_scope_kind *kind = scope->kind;
    if (kind->expects && !kind->expects(scope, caller))
        return NULL;
    if (kind->update)
        kind->update(scope);
    return scope;
}

bool nd_scope_bounds(int fd, const void *caller) {
    struct nd_scope *scope = current.scope;
    return scope && current.fd == fd && STANDS(&current) && scope->kind->bounds(scope, caller);
}

struct nd_scope *nd_scope_around(const void *object) {
    struct nd_scope *scope = current.scope;
    return scope && STANDS(&current) && scope->object == object ? scope : NULL;
}

UNCHECKED void nd_scope_open(struct nd_scope *scope, uintptr_t *slot) {
    scope->outer = current;
    scope->serial = current.seal + 1;
    current = (struct nd_scope_link){scope, slot, *slot, scope->fd, seal_of(scope)};
}

void nd_scope_close(const struct nd_scope *scope) {
    current = scope->outer;
}

bool nd_scope_seeks(void) {
    return current.scope && current.fd == ND_SCOPE_SEEKS && STANDS(&current);
}

void nd_scope_touched(int fd, struct nd_sock *sock) {
    nd_sock_change(fd, sock, 0, ND_SOCK_SOUGHT);
    if (!nd_scope_seeks())
        return;
    current.scope->kind->found(current.scope, fd, sock);
    current.fd = current.scope->fd;
    current.seal = seal_of(current.scope);
}

void nd_scope_drop(int fd) {
    if (current.fd == fd)
        current.fd = -1;
}

const char *nd_scope_limit_name(enum nd_scope_limit limit, bool inbound) {
    static const char *const names[4][2] = {{"", ""},
                                            {"TLS_HANDSHAKE", "INBOUND_TLS_HANDSHAKE"},
                                            {"TLS_SHUTDOWN", "INBOUND_TLS_SHUTDOWN"},
                                            {"RECV", "INBOUND_RECV"}};
    return names[limit][inbound];
}

struct nd_expiry nd_scope_expiry(const struct nd_scope *scope, nd_time now) {
    return (struct nd_expiry){.operation = scope->operation,
                              .limit = nd_scope_limit_name(scope->limit, scope->inbound),
                              .timeout = scope->timeout,
                              .elapsed = now - scope->began};
}

void nd_scope_observe(const struct nd_scope *scope) {
    struct nd_expiry expiry = nd_scope_expiry(scope, nd_now());
    if (scope->timeout && expiry.elapsed >= expiry.timeout)
        nd_expire_told(scope->fd, &expiry);
}
