/* Which limit bounds a call of a TLS library, and since when: for an operation that may take several calls the time is
 * kept in the record of the socket. Errno undefined. */
#pragma once

#include "shim/socket/limits.h"
#include "shim/tls/operation.h"

/* How long it is for the socket; 0: there is none. Of a handshake it is TLS_HANDSHAKE, where ESTABLISH is not the
 * earlier (nd_tls_limit_set). */
static inline nd_time nd_tls_limit_of(const struct nd_sock *sock, enum nd_limit limit) {
    switch (limit) {
    case ND_LIMIT_TLS_HANDSHAKE:
        return nd_sock_limits(sock)->tls_handshake;
    case ND_LIMIT_TLS_SHUTDOWN:
        return nd_sock_limits(sock)->tls_shutdown;
    case ND_LIMIT_RECV:
        return nd_sock_recv_limit(sock);
    default:
        return 0;
    }
}

/* Whether the limit is for an operation that may take many calls. Its time then begins with the first call and is kept
 * in the socket's record. */
static inline bool nd_tls_limit_spans_calls(enum nd_limit limit) {
    return limit == ND_LIMIT_TLS_HANDSHAKE || limit == ND_LIMIT_TLS_SHUTDOWN;
}

/* Whether the time of an operation that `limit` bounds is running on the call's socket. */
static inline bool nd_tls_limit_is_under_way(const struct nd_tls_call *call, enum nd_limit limit) {
    const struct nd_operation *operation = &call->sock->operation;
    return operation->timeout && (operation->limit == nd_limit_name_on(limit, call->scope.inbound) ||
                                  (limit == ND_LIMIT_TLS_HANDSHAKE && nd_scope_is_of_establish(operation)));
}

/* Whether a handshake is under way on the object, as its library says. */
static inline bool nd_tls_is_handshaking(const struct nd_tls_call *call) {
    return call->operation->library->handshaking &&
           call->operation->library->handshaking(call->tls, call->scope.object);
}

/* The limit of the operation itself. A TLS write has none: like plain sends it is bounded by progress. */
enum nd_limit nd_tls_limit_own(const struct nd_tls_call *call);

/* Bounds the call by `limit`. */
void nd_tls_limit_set(struct nd_tls_call *call, enum nd_limit limit);

/* The call's limit as it is set now. */
static inline nd_time nd_tls_limit_now(const struct nd_tls_call *call) {
    const struct nd_operation *spans = call->scope.spans;
    return __builtin_expect(spans && nd_scope_is_of_establish(spans), 0)
               ? nd_sock_establish_limit(call->sock)
               : nd_tls_limit_of(call->sock, call->scope.limit);
}

/* Whether the call's limit has changed; brings the call up to date. What has run of it counts. */
static inline bool nd_tls_limit_has_changed(const struct nd_tls_call *call) {
    return call->scope.timeout != nd_tls_limit_now(call);
}
void nd_tls_limit_renew(struct nd_tls_call *call);

/* The operation that `limit` bounds is over, if one is under way. */
void nd_tls_limit_end(const struct nd_tls_call *call, enum nd_limit limit);
