#include "shim/tls/reply.h"

bool nd_tls_reply_received(const struct nd_tls_call *call) {
    return call->asks && call->operation->action == ND_TLS_READS && !(nd_sock_flags(call->sock) & ND_SOCK_SENT_LAST);
}

void nd_tls_keep_reply_pending(const struct nd_tls_call *call) {
    const struct nd_tls_library *library = call->operation->library;
    if (!library->holding || !library->holding(call->tls, call->scope.object))
        atomic_fetch_or_explicit(&call->sock->flags, ND_SOCK_SENT_LAST, memory_order_relaxed);
}

void nd_tls_forget_handshake(const struct nd_tls_call *call) {
    if (nd_sock_flags(call->sock) & ND_SOCK_SENT_LAST)
        atomic_fetch_and_explicit(&call->sock->flags, ~(uint32_t)ND_SOCK_SENT_LAST, memory_order_relaxed);
}
