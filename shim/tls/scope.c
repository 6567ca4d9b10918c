#include "shim/tls/scope.h"

#include "shim/socket/change.h"

__thread struct nd_scope_link nd_scope_current __attribute__((tls_model("initial-exec")));

_Static_assert(sizeof(struct nd_scope_link) <= 32, "static TLS of old hosts is small");

void nd_scope_drop(int fd) {
    if (nd_scope_current.fd == fd)
        nd_scope_current.fd = -1;
}

const char *nd_scope_limit_name(enum nd_scope_limit limit, bool inbound) {
    static const char *const names[][2] = {[ND_SCOPE_NONE] = {"", ""},
                                           [ND_SCOPE_HANDSHAKE] = {"TLS_HANDSHAKE", "INBOUND_TLS_HANDSHAKE"},
                                           [ND_SCOPE_SHUTDOWN] = {"TLS_SHUTDOWN", "INBOUND_TLS_SHUTDOWN"},
                                           [ND_SCOPE_RECV] = {"RECV", "INBOUND_RECV"}};
    return names[limit][inbound];
}

struct nd_expiry nd_scope_expiry(const struct nd_scope *scope, nd_time now) {
    return (struct nd_expiry){.operation = scope->operation,
                              .limit = scope->spans && nd_scope_is_of_establish(scope->spans)
                                           ? nd_limit_names[ND_LIMIT_ESTABLISH]
                                           : nd_scope_limit_name(scope->limit, scope->inbound),
                              .timeout = scope->timeout,
                              .elapsed = now - scope->began};
}

void nd_scope_observe(const struct nd_scope *scope) {
    struct nd_expiry expiry = nd_scope_expiry(scope, nd_now());
    if (scope->timeout && expiry.elapsed >= expiry.timeout)
        nd_expiry_report(scope->fd, &expiry);
}
