#include "shim/tls/scope.h"

#include <stddef.h>

__thread struct nd_scope_link nd_scope_current __attribute__((tls_model("initial-exec")));

_Static_assert(sizeof(struct nd_scope_link) <= 32, "static TLS of old hosts is small");

/* Asked in the frame of a function that the operation has called. */
#define STANDS(link, object) stands(link, (uintptr_t)__builtin_frame_address(0), object)

/* `object` is what a calm scope must be for. */
ND_SCOPE_UNCHECKED static inline bool stands(const struct nd_scope_link *link, uintptr_t here, const void *object) {
    uintptr_t there = (uintptr_t)link->slot, scope = (uintptr_t)link->scope;
    if (!(scope > here && scope < there && there - here < ND_SCOPE_DEEPEST && *link->slot == link->return_to))
        return false;
    return link->scope->kind == &nd_scope_established ? link->scope->object == object && object
                                                      : nd_scope_seal(link->scope) == link->seal;
}

static inline const void *object_of(int fd) {
    const struct nd_sock *sock = nd_sock_lookup(fd);
    return sock ? sock->tls : NULL;
}

struct nd_scope *nd_scope_of(int fd, const void *caller) {
    struct nd_scope *scope = nd_scope_current.scope;
    if (!scope || nd_scope_current.fd != fd || !STANDS(&nd_scope_current, object_of(fd)))
        return NULL; /* not dropped: the asker may be a handler on a stack of its own */
    const struct nd_scope_kind *kind = scope->kind;
    if (kind->expects && !kind->expects(scope, caller))
        return NULL;
    if (kind->update)
        kind->update(scope);
    return scope;
}

struct nd_scope *nd_scope_bounds(int fd, const void *caller) {
    struct nd_scope *scope = nd_scope_current.scope;
    const bool bounds = scope && nd_scope_current.fd == fd && STANDS(&nd_scope_current, object_of(fd)) &&
                        scope->kind->bounds(scope, caller);
    return bounds ? scope : NULL;
}

struct nd_scope *nd_scope_around(const void *object) {
    struct nd_scope *scope = nd_scope_current.scope;
    return scope && STANDS(&nd_scope_current, object) && scope->object == object ? scope : NULL;
}

bool nd_scope_finds_socket(void) {
    return nd_scope_current.scope && nd_scope_current.fd == ND_SCOPE_FINDS_SOCKET && STANDS(&nd_scope_current, NULL);
}

void nd_scope_touched(int fd, struct nd_sock *sock) {
    nd_sock_change(fd, sock, 0, ND_SOCK_TLS_CANDIDATE);
    if (!nd_scope_finds_socket())
        return;
    nd_scope_current.scope->kind->found(nd_scope_current.scope, fd, sock);
    nd_scope_current.fd = nd_scope_current.scope->fd;
    nd_scope_current.seal = nd_scope_seal(nd_scope_current.scope);
}

void nd_scope_drop(int fd) {
    if (nd_scope_current.fd == fd)
        nd_scope_current.fd = -1;
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
        nd_expiry_report(scope->fd, &expiry);
}
