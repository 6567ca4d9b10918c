#include "shim/tls/call_limit.h"

#include "shim/socket/change.h"

enum nd_scope_limit nd_tls_limit_own(const struct nd_tls_call *call) {
    static const enum nd_scope_limit limits[] = {[ND_TLS_SHAKES] = ND_SCOPE_HANDSHAKE,
                                                 [ND_TLS_READS] = ND_SCOPE_RECV,
                                                 [ND_TLS_WRITES] = ND_SCOPE_NONE,
                                                 [ND_TLS_CLOSES] = ND_SCOPE_SHUTDOWN};
    return limits[call->operation->action];
}

void nd_tls_limit_set(struct nd_tls_call *call, enum nd_scope_limit limit) {
    struct nd_scope *scope = &call->scope;
    nd_time timeout = nd_tls_limit_of(call->sock, limit);
    scope->limit = limit;
    scope->spans = NULL;
    if (timeout && nd_tls_limit_spans_calls(limit)) {
        struct nd_operation *under_way = &call->sock->operation;
        if (!nd_tls_limit_is_under_way(call, limit))
            nd_sock_begin_operation(call->fd, call->sock, scope->operation, nd_scope_limit_name(limit, scope->inbound),
                                    timeout);
        nd_scope_stand(scope, nd_now());
        if (under_way->paused) { /* the program was asked for something in between */
            under_way->began += scope->stands_since - under_way->paused;
            under_way->paused = 0;
        }
        scope->began = under_way->began;
        scope->spans = under_way;
    } else if (timeout) {
        scope->began = nd_now();
        nd_scope_stand(scope, scope->began);
    }
    scope->timeout = timeout;
}

void nd_tls_limit_renew(struct nd_tls_call *call) {
    struct nd_scope *scope = &call->scope;
    const nd_time timeout = nd_tls_limit_of(call->sock, scope->limit);
    if (!timeout)
        nd_tls_limit_end(call, scope->limit);
    if (!timeout || !scope->timeout)
        nd_tls_limit_set(call, scope->limit);
    scope->timeout = timeout;
    if (scope->spans)
        scope->spans->timeout = timeout;
}

void nd_tls_limit_end(const struct nd_tls_call *call, enum nd_scope_limit limit) {
    if (nd_tls_limit_is_under_way(call, limit))
        nd_sock_end_operation(call->fd, call->sock);
}
