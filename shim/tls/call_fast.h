/* The fast path of reads and writes on an established TLS connection. It opens a scope with few instructions
 * (nd_scope_established), and the call is completed (call.h) only where it makes a handshake, is bounded by RECV, or
 * fails. */
#pragma once

#include "shim/tls/call.h"
#include "shim/tls/established.h"

/* Opens the scope of such a call in the frame of the hook; `slot` is its ND_FRAME_SLOT(). */
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

/* Whether a read on `fd`, made from `caller`, certainly has no deadline of a TLS operation: it is part of none that may
 * wait, or it is made by the library in a call on an established connection, without a handshake. Valid only where RECV
 * is off. */
ND_INLINE bool nd_tls_read_is_established(int fd, const void *caller) {
    const struct nd_tls_call *call = (const struct nd_tls_call *)nd_scope_current.scope;
    if (!call || nd_scope_current.fd != fd)
        return true;
    return nd_scope_is_established(fd) && nd_tls_contains(call->tls, caller) && call->tls->SSL_is_init_finished &&
           call->tls->SSL_is_init_finished(call->scope.object);
}

/* Whether a read on `fd`, made from `caller`, is part of a call on an established connection and RECV is its only
 * limit, so that SO_RCVTIMEO bounds it. Sets *now to the time by the coarse clock at which it begins. */
ND_INLINE bool nd_tls_read_is_kernel_timed(int fd, const struct nd_sock *sock, const void *caller, nd_time *now) {
    const uint32_t timed = ND_SOCK_RCVTIMEO,
                   blocking = ND_SOCK_NONBLOCK | ND_SOCK_CARRIED_IN | ND_SOCK_LOWAT | ND_SOCK_HANDED_ON;
    struct nd_tls_call *call = (struct nd_tls_call *)nd_scope_current.scope;
    struct nd_scope *scope = &call->scope;
    if (!call || nd_scope_current.fd != fd)
        return false;
    const bool is_fast = nd_scope_is_established(fd);
    if ((!is_fast && !(nd_scope_is_full() && call->established)) || !nd_tls_contains(call->tls, caller) ||
        (call->tls->SSL_is_init_finished && !call->tls->SSL_is_init_finished(scope->object)))
        return false;
    if (is_fast)
        nd_tls_established_make_full(call);
    *now = scope->fresh ? scope->began - ND_SCOPE_TICK : nd_now_coarse();
    scope->fresh = false;
    scope->stands_since = ND_NEVER; /* when the kernel's wait is over is not noted */
    return scope->timeout && (nd_sock_flags(sock) & (timed | blocking)) == timed &&
           nd_scope_is_kernel_timed(scope, nd_sock_limits(sock)->recv, *now);
}

ND_INLINE void nd_tls_established_leave(struct nd_tls_call *call) {
    __asm__("" : "+r"(call)); /* keeps the address out of a register during the real call */
    if (__builtin_expect(call->scope.kind == &nd_scope_established, 1))
        nd_scope_close_established(&call->scope);
    else
        nd_tls_leave_noted(call);
}

#define ND_TLS_ESTABLISHED_CALL(name) __attribute__((cleanup(nd_tls_established_leave))) struct nd_tls_call name

/* The hook of a record that is read or written: the fast path, with a cold function for all other calls, so that the
 * hook saves no registers for those. `library` and `object` are those of the calls; the file that uses this has the body
 * of a hook as OPERATION, and settle() for what the real function has failed with. */
#define ND_TLS_PARAMETERS(...) __VA_ARGS__
#define ND_TLS_TRANSFER(library, object, type, function, kind, failure, parameters, ...)                               \
    ND_COLD static type function##_full(const void *caller, uintptr_t *slot, ND_TLS_PARAMETERS parameters) {           \
        OPERATION(function, kind, failure, caller, slot, __VA_ARGS__);                                                 \
    }                                                                                                                  \
    type nd_hook_##function parameters {                                                                               \
        static const struct nd_tls_operation operation = {&(library), ND_OPERATION_##function, kind};                  \
        struct nd_sock *sock;                                                                                          \
        int fd;                                                                                                        \
        const struct nd_tls *tls = nd_tls_established_functions(object, &fd, &sock);                                   \
        if (nd_unlikely(!tls) || nd_unlikely(!tls->function) || nd_unlikely(nd_scope_current.scope))                   \
            return function##_full(__builtin_return_address(0), ND_FRAME_SLOT(), __VA_ARGS__);                         \
        ND_TLS_ESTABLISHED_CALL(call);                                                                                 \
        nd_tls_established_open(&call, &operation, tls, object, fd, sock, ND_FRAME_SLOT());                            \
        type result = tls->function(__VA_ARGS__);                                                                      \
        if (nd_unlikely(result <= 0))                                                                                  \
            settle(&call, (long)result, failure);                                                                      \
        return result;                                                                                                 \
    }
