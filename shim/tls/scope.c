#include "shim/tls/scope.h"

__thread struct nd_scope_link nd_scope_current __attribute__((tls_model("initial-exec")));

_Static_assert(sizeof(struct nd_scope_link) <= 32, "static TLS of old hosts is small");

void nd_scope_drop(int fd) {
    if (nd_scope_current.fd == fd)
        nd_scope_current.fd = -1;
}

struct nd_expiry nd_scope_expiry(const struct nd_scope *scope, nd_time now) {
    return (struct nd_expiry){.operation = scope->operation,
                              .limit = scope->spans && nd_scope_is_of_establish(scope->spans)
                                           ? nd_limit_names[ND_LIMIT_ESTABLISH]
                                           : nd_limit_name_on(scope->limit, scope->inbound),
                              .timeout = scope->timeout,
                              .elapsed = now - scope->began};
}

void nd_scope_observe(const struct nd_scope *scope) {
    struct nd_expiry expiry = nd_scope_expiry(scope, nd_now());
    if (scope->timeout && expiry.elapsed >= expiry.timeout)
        nd_expiry_report(scope->fd, &expiry);
}
