/* The quick way of a read or write on a TLS connection on which nothing is under way: it opens a calm scope (scope.h), of which a
 * whole call (call.h) is made where a handshake turns out to hide in it, or RECV bounds it, or it fails. */
#ifndef ND_TLS_CALL_FAST_H
#define ND_TLS_CALL_FAST_H

#include "shim/hook/hook.h"
#include "shim/tls/call.h"
#include "shim/tls/find_socket.h"

/* The functions for `object`, its descriptor and that one's record, if nothing is under way and all is as an earlier call found
 * it; or NULL. What it asks is set by that call (remember in call.c), and taken back when settings change, when the
 * descriptor is closed, and when a deadline fires. Async-signal-safe. */
ND_INLINE const struct nd_tls *nd_tls_established_functions(const void *object, int *fd, struct nd_sock **sock) {
    const uint32_t needs = ND_SOCK_CONNECTED | ND_SOCK_SCOPED | ND_SOCK_STREAM,
                   never = ND_SOCK_EXPIRED | ND_SOCK_TLS_CANDIDATE;
    *fd = atomic_load_explicit(nd_tls_socket_slot(object), memory_order_relaxed) - 1;
    *sock = nd_sock_lookup(*fd); /* NULL for -1 */
    if (!*sock || atomic_load_explicit(&(*sock)->tls, memory_order_relaxed) != object)
        return NULL;
    const struct nd_tls *tls = atomic_load_explicit(&(*sock)->tls_functions, memory_order_relaxed);
    const bool calm = tls && (nd_sock_flags(*sock) & (needs | never)) == needs &&
                      !atomic_load_explicit(&(*sock)->operation.timeout, memory_order_relaxed) &&
                      atomic_load_explicit(&(*sock)->settings, memory_order_relaxed) ==
                          atomic_load_explicit(&nd_settings_generation, memory_order_relaxed) &&
                      nd_tls_still(tls, atomic_load_explicit(&(*sock)->tls_word, memory_order_relaxed),
                                   atomic_load_explicit(&(*sock)->tls_method, memory_order_relaxed));
    return calm ? tls : NULL;
}

/* Opens the scope of such a call in the hook's frame, which its `slot` is of. */
ND_INLINE void nd_tls_established_open(struct nd_tls_call *call, const struct nd_tls_operation *operation,
                                       const struct nd_tls *tls, const void *object, int fd, struct nd_sock *sock,
                                       uintptr_t *slot) {
    const bool bounded = operation->library->handshaking || nd_sock_limits(sock)->recv; /* if it waits */
    call->tls = tls;
    call->operation = operation;
    call->sock = sock;
    call->fd = fd;
    call->asks = nd_sock_flags(sock) & ND_SOCK_SENT_LAST;
    nd_scope_open_established(&call->scope, object, bounded && !(nd_sock_flags(sock) & ND_SOCK_NONBLOCK) ? fd : -1,
                              slot);
}

/* Whether a read on `fd`, made from `caller`, surely has no deadline by a TLS operation: it is part of none that waits, or of a
 * calm one, comes from the library, and no handshake is under way. Only for where RECV is off. */
ND_INLINE bool nd_tls_read_is_established(int fd, const void *caller) {
    const struct nd_tls_call *call = (const struct nd_tls_call *)nd_scope_current.scope;
    if (!call || nd_scope_current.fd != fd)
        return true;
    return nd_scope_is_established(fd) && nd_tls_contains(call->tls, caller) && call->tls->SSL_is_init_finished &&
           call->tls->SSL_is_init_finished(call->scope.object);
}

/* Makes a whole call of a calm one, which is the thread's innermost; a read that waits has RECV from then on. */
void nd_tls_established_make_full(struct nd_tls_call *call);

/* Whether a read on `fd`, of `sock`, made from `caller`, has RECV of a calm operation as its only limit, which the kernel's timer
 * keeps. *now: when it begins, by the coarse clock. */
ND_INLINE bool nd_tls_read_is_kernel_timed(int fd, const struct nd_sock *sock, const void *caller, nd_time *now) {
    const uint32_t ours = ND_SOCK_RCVTIMEO, others = ND_SOCK_NONBLOCK | ND_SOCK_CARRIED_IN | ND_SOCK_LOWAT;
    struct nd_tls_call *call = (struct nd_tls_call *)nd_scope_current.scope;
    struct nd_scope *scope = &call->scope;
    if (!call || nd_scope_current.fd != fd)
        return false;
    const bool calm = nd_scope_is_established(fd);
    if ((!calm && !(nd_scope_is_full() && call->established)) || !nd_tls_contains(call->tls, caller) ||
        (call->tls->SSL_is_init_finished && !call->tls->SSL_is_init_finished(scope->object)))
        return false;
    if (calm)
        nd_tls_established_make_full(call);
    *now = scope->fresh ? scope->began - ND_SCOPE_TICK : nd_now_coarse();
    scope->fresh = false;
    return scope->limit == ND_SCOPE_RECV && scope->timeout && (nd_sock_flags(sock) & (ours | others)) == ours &&
           nd_scope_is_kernel_timed(scope, nd_sock_limits(sock)->recv, *now);
}

/* The real function has given `result`, which is no success. `unfinished` tells whether it wants to
 * be called again when the socket is ready. Keeps errno. */
void nd_tls_established_settle(struct nd_tls_call *call,
                               bool (*unfinished)(const struct nd_tls_call *call, long result), long result);

ND_INLINE void nd_tls_established_leave(struct nd_tls_call *call) {
    __asm__("" : "+r"(call)); /* no address is worth a register over the real call */
    if (__builtin_expect(call->scope.kind == &nd_scope_established, 1))
        nd_scope_close_established(&call->scope);
    else
        nd_tls_leave_noted(call);
}

#define ND_TLS_ESTABLISHED_CALL(name) __attribute__((cleanup(nd_tls_established_leave))) struct nd_tls_call name

#endif
