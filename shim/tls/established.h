/* Established TLS connections: those without a handshake under way, for which all that an earlier call has found still
 * holds. */
#pragma once

#include "base/compiler.h"
#include "shim/socket/limits.h"
#include "shim/tls/find_socket.h"
#include "shim/tls/functions.h"

/* The functions for `object`, with its descriptor and the socket's record, if its connection is established; else NULL.
 * What is tested was stored by an earlier call (store_found in call.c), and is reset when settings change, when the
 * descriptor is closed, and when a deadline fires. Async-signal-safe. */
ND_INLINE const struct nd_tls *nd_tls_established_functions(const void *object, int *fd, struct nd_sock **sock) {
    const uint32_t needs = ND_SOCK_CONNECTED | ND_SOCK_SCOPED | ND_SOCK_STREAM,
                   never = ND_SOCK_EXPIRED | ND_SOCK_TLS_CANDIDATE;
    *fd = atomic_load_explicit(nd_tls_socket_slot(object), memory_order_relaxed) - 1;
    *sock = nd_sock_lookup(*fd); /* NULL for -1 */
    if (!*sock || atomic_load_explicit(&(*sock)->tls, memory_order_relaxed) != object)
        return NULL;
    const struct nd_tls *tls = atomic_load_explicit(&(*sock)->tls_functions, memory_order_relaxed);
    const bool is_established = tls && (nd_sock_flags(*sock) & (needs | never)) == needs &&
                                !atomic_load_explicit(&(*sock)->operation.timeout, memory_order_relaxed) &&
                                atomic_load_explicit(&(*sock)->settings, memory_order_relaxed) ==
                                    atomic_load_explicit(&nd_settings_generation, memory_order_relaxed) &&
                                nd_tls_still(tls, atomic_load_explicit(&(*sock)->tls_word, memory_order_relaxed),
                                             atomic_load_explicit(&(*sock)->tls_method, memory_order_relaxed));
    return is_established ? tls : NULL;
}
