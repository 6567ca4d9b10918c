#include "shim/tls/innermost.h"

#include "shim/socket/change.h"

static inline const void *object_of(int fd) {
    const struct nd_sock *sock = nd_sock_lookup(fd);
    return sock ? sock->tls : NULL;
}

struct nd_scope *nd_scope_of(int fd, const void *caller) {
    struct nd_scope *scope = nd_scope_current.scope;
    if (!scope || nd_scope_current.fd != fd || !ND_SCOPE_STANDS(&nd_scope_current, object_of(fd)))
        return NULL; /* it stays: the call may be made by a signal handler on a stack of its own */
    const struct nd_scope_kind *kind = scope->kind;
    if (kind->expects && !kind->expects(scope, caller))
        return NULL;
    if (kind->update)
        kind->update(scope);
    return scope;
}

struct nd_scope *nd_scope_bounds(int fd, const void *caller) {
    struct nd_scope *scope = nd_scope_current.scope;
    const bool bounds = scope && nd_scope_current.fd == fd && ND_SCOPE_STANDS(&nd_scope_current, object_of(fd)) &&
                        scope->kind->bounds(scope, caller);
    return bounds ? scope : NULL;
}

bool nd_scope_finds_socket(void) {
    return nd_scope_current.scope && nd_scope_current.fd == ND_SCOPE_FINDS_SOCKET &&
           ND_SCOPE_STANDS(&nd_scope_current, NULL);
}

void nd_scope_touched(int fd, struct nd_sock *sock) {
    nd_sock_change(fd, sock, 0, ND_SOCK_TLS_CANDIDATE);
    if (!nd_scope_finds_socket())
        return;
    nd_scope_current.scope->kind->found(nd_scope_current.scope, fd, sock);
    nd_scope_current.fd = nd_scope_current.scope->fd;
    nd_scope_current.seal = nd_scope_seal(nd_scope_current.scope);
}
