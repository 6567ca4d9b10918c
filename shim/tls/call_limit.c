#include "shim/tls/call_limit.h"

#include "base/compiler.h"
#include "shim/socket/change.h"
#include "shim/socket/establish.h"

enum nd_limit nd_tls_limit_own(const struct nd_tls_call *call) {
    static const enum nd_limit limits[] = {[ND_TLS_SHAKES] = ND_LIMIT_TLS_HANDSHAKE,
                                           [ND_TLS_READS] = ND_LIMIT_RECV,
                                           [ND_TLS_WRITES] = ND_LIMIT_NONE,
                                           [ND_TLS_CLOSES] = ND_LIMIT_TLS_SHUTDOWN};
    return limits[call->operation->action];
}

/* Begins a handshake as the last part of an establishment (socket/establish.h), whose budget began with the lookup,
 * where that ends it sooner than `timeout`. One that begins after the end of it is none of it. */
ND_COLD static bool begin_last_part(struct nd_tls_call *call, nd_time timeout) {
    struct nd_sock *sock = call->sock;
    const nd_time limit = nd_sock_establish_limit(sock), began = nd_establish_began(sock), now = nd_now();
    if (began && now >= nd_time_after(began, limit))
        nd_establish_done(sock);
    if (!nd_establish_began(sock) || (timeout && nd_time_after(began, limit) >= nd_time_after(now, timeout)))
        return false;
    nd_sock_begin_operation(call->fd, sock, call->scope.operation, nd_limit_names[ND_LIMIT_ESTABLISH], limit);
    sock->operation.began = began;
    return true;
}

static void begin_operation(struct nd_tls_call *call, enum nd_limit limit, nd_time timeout) {
    const struct nd_scope *scope = &call->scope;
    if (limit == ND_LIMIT_TLS_HANDSHAKE && nd_unlikely(nd_sock_establish_limit(call->sock)) &&
        begin_last_part(call, timeout))
        return;
    if (timeout)
        nd_sock_begin_operation(call->fd, call->sock, scope->operation, nd_limit_name_on(limit, scope->inbound),
                                timeout);
}

/* Whether the operation is under way, by the limits as they are now. */
static bool is_under_way(const struct nd_tls_call *call, enum nd_limit limit) {
    return nd_tls_limit_is_under_way(call, limit) &&
           (!nd_scope_is_of_establish(&call->sock->operation) || nd_sock_establish_limit(call->sock));
}

void nd_tls_limit_set(struct nd_tls_call *call, enum nd_limit limit) {
    struct nd_scope *scope = &call->scope;
    nd_time timeout = nd_tls_limit_of(call->sock, limit);
    scope->limit = limit;
    scope->spans = NULL;
    if (nd_tls_limit_spans_calls(limit) && (timeout || nd_sock_establish_limit(call->sock))) {
        if (!is_under_way(call, limit))
            begin_operation(call, limit, timeout);
        if (is_under_way(call, limit) && nd_scope_is_of_establish(&call->sock->operation))
            timeout = nd_sock_establish_limit(call->sock);
    }
    if (timeout && nd_tls_limit_spans_calls(limit)) {
        struct nd_operation *under_way = &call->sock->operation;
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
    const nd_time timeout = nd_tls_limit_now(call);
    if (!timeout)
        nd_tls_limit_end(call, scope->limit);
    if (!timeout || !scope->timeout) {
        nd_tls_limit_set(call, scope->limit);
        return;
    }
    scope->timeout = timeout;
    if (scope->spans)
        scope->spans->timeout = timeout;
}

void nd_tls_limit_end(const struct nd_tls_call *call, enum nd_limit limit) {
    if (!nd_tls_limit_is_under_way(call, limit))
        return;
    nd_sock_end_operation(call->fd, call->sock);
    if (limit == ND_LIMIT_TLS_HANDSHAKE)
        nd_establish_done(call->sock);
}
