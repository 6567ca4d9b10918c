#include "shim/scope.h"

#include <stddef.h>

/* A frame further away than this is not ours: no libssl nests deeper. */
#define DEEPEST ((uintptr_t)256 * 1024)

static __thread struct nd_scope current __attribute__((tls_model("initial-exec")));

_Static_assert(sizeof(struct nd_scope) <= 64, "static TLS of old hosts is small");

__attribute__((noinline, no_sanitize("address", "thread", "undefined"))) static bool
frame_stands(const struct nd_scope *scope) {
    uintptr_t here = (uintptr_t)__builtin_frame_address(0), there = (uintptr_t)scope->slot;
    return there > here && there - here < DEEPEST && *scope->slot == scope->return_to;
}

const struct nd_scope *nd_scope_of(int fd) {
    if (!current.operation || current.fd != fd)
        return NULL;
    return frame_stands(&current) ? &current : NULL; /* not dropped: the asker may be a handler on a stack of its own */
}

__attribute__((no_sanitize("address", "thread", "undefined"))) bool
nd_scope_open(struct nd_scope *saved, int fd, struct nd_sock *sock, enum nd_scope_limit limit, const char *operation,
              nd_time timeout, uintptr_t *slot) {
    if (nd_scope_of(fd))
        return false;
    *saved = current;
    current = (struct nd_scope){.operation = operation,
                                .began = nd_now(),
                                .timeout = timeout,
                                .slot = slot,
                                .return_to = *slot,
                                .fd = fd,
                                .limit = (uint8_t)limit,
                                .inbound = (nd_sock_flags(sock) & ND_SOCK_INBOUND) != 0};
    if (!(nd_sock_flags(sock) & ND_SOCK_SCOPED))
        nd_sock_change(fd, sock, ND_SOCK_SCOPED, 0);
    return true;
}

void nd_scope_close(const struct nd_scope *saved) {
    current = *saved;
}

void nd_scope_drop(int fd) {
    if (current.fd == fd)
        current.operation = NULL;
}

struct nd_expiry nd_scope_expiry(const struct nd_scope *scope, nd_time now) {
    static const char *const names[3][2] = {
        {"TLS_HANDSHAKE", "INBOUND_TLS_HANDSHAKE"}, {"TLS_SHUTDOWN", "INBOUND_TLS_SHUTDOWN"}, {"RECV", "INBOUND_RECV"}};
    return (struct nd_expiry){.operation = scope->operation,
                              .limit = names[scope->limit][scope->inbound],
                              .timeout = scope->timeout,
                              .elapsed = now - scope->began};
}

void nd_scope_observe(int fd) {
    struct nd_expiry expiry = nd_scope_expiry(&current, nd_now());
    if (current.operation && current.fd == fd && expiry.elapsed >= expiry.timeout)
        nd_expire_told(fd, &expiry);
}
