/* The operations of GnuTLS. Each is a scope: the reads and writes that it makes have one absolute deadline. */

/* Without gcse an address is computed again after the real call, by one instruction; kept in a register over the call
 * it costs a push and a pop. */
#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC optimize("no-gcse")
#endif

#include "shim/hook/hook.h"
#include "shim/tls/call_fast.h"

/* By default the transport pointer is a descriptor. A program with transport functions of its own may set any pointer,
 * which is larger than every descriptor. */
#define MOST_DESCRIPTORS ((uintptr_t)1 << 20)

static int descriptor(const struct nd_tls *tls, const void *session, bool *own) {
    if (!tls->gnutls_transport_get_ptr)
        return -1;
    uintptr_t transport = (uintptr_t)tls->gnutls_transport_get_ptr((struct gnutls_session_int *)(uintptr_t)session);
    *own = transport < MOST_DESCRIPTORS;
    return transport < MOST_DESCRIPTORS ? (int)transport : -1;
}

#define GNUTLS_SERVER 1U

static bool serving(const struct nd_tls *tls, const void *session) {
    return tls->gnutls_session_get_flags &&
           (tls->gnutls_session_get_flags((struct gnutls_session_int *)(uintptr_t)session) & GNUTLS_SERVER);
}

/* A session without GNUTLS_DATAGRAM has no MTU. */
static bool datagrams(const struct nd_tls *tls, const void *session) {
    return tls->gnutls_dtls_get_mtu && tls->gnutls_dtls_get_mtu((struct gnutls_session_int *)(uintptr_t)session);
}

static const struct nd_tls_library gnutls = {ND_GNUTLS, descriptor, NULL, serving, datagrams, NULL};

enum {
    WARNING_ALERT_RECEIVED = -16,
    AGAIN = -28,
    INTERRUPTED = -52,
    PUSH_ERROR = -53,
    PULL_ERROR = -54,
};

static enum nd_tls_outcome outcome(const struct nd_tls_call *call, long result) {
    (void)call;
    return result == AGAIN || result == INTERRUPTED || result == WARNING_ALERT_RECEIVED ? ND_TLS_WANTS_NETWORK
                                                                                        : ND_TLS_FINISHED;
}

/* The body of a hook: calls the real function in a scope. The scope is in the frame of the function that uses this;
 * `slot` is the hook's. */
#define OPERATION(function, kind, failure, caller, slot, ...)                                                          \
    static const struct nd_tls_operation operation = {&gnutls, ND_OPERATION_##function, kind};                         \
    ND_TLS_CALL(call);                                                                                                 \
    if (!nd_tls_enter(&call, &operation, session, caller, slot) || !call.tls->function)                                \
        return failure;                                                                                                \
    __typeof__(call.tls->function(__VA_ARGS__)) result = call.tls->function(__VA_ARGS__);                              \
    if (!(result > 0 && nd_tls_is_established(&call)) && nd_tls_timed_out(&call, outcome(&call, (long)result)))        \
        result = call.tls->function(__VA_ARGS__);                                                                      \
    if (nd_unlikely(call.ended) && result >= 0 && nd_tls_refuses(&call))                                               \
        return failure;                                                                                                \
    return result >= 0 && (kind) == ND_TLS_CLOSES && nd_tls_expired(&call) ? (failure) : result

ND_COLD static void settle(struct nd_tls_call *call, long result, int failure) {
    (void)failure;
    nd_tls_established_settle(call, outcome, result);
}

#define SLOT ND_FRAME_SLOT()
#define CALLER __builtin_return_address(0)
#define TRANSFER(...) ND_TLS_TRANSFER(gnutls, session, __VA_ARGS__)

int nd_hook_gnutls_handshake(struct gnutls_session_int *session) {
    OPERATION(gnutls_handshake, ND_TLS_SHAKES, PULL_ERROR, CALLER, SLOT, session);
}

int nd_hook_gnutls_rehandshake(struct gnutls_session_int *session) {
    OPERATION(gnutls_rehandshake, ND_TLS_SHAKES, PULL_ERROR, CALLER, SLOT, session);
}

int nd_hook_gnutls_reauth(struct gnutls_session_int *session, unsigned flags) {
    OPERATION(gnutls_reauth, ND_TLS_SHAKES, PULL_ERROR, CALLER, SLOT, session, flags);
}

/* gnutls_bye may take a broken connection for the peer's bye and return 0, which would mean an orderly end. */
int nd_hook_gnutls_bye(struct gnutls_session_int *session, int how) {
    OPERATION(gnutls_bye, ND_TLS_CLOSES, PULL_ERROR, CALLER, SLOT, session, how);
}

/* A ping waits for its reply if `flags` say so. */
int nd_hook_gnutls_heartbeat_ping(struct gnutls_session_int *session, size_t size, unsigned tries, unsigned flags) {
    OPERATION(gnutls_heartbeat_ping, ND_TLS_READS, PULL_ERROR, CALLER, SLOT, session, size, tries, flags);
}

int nd_hook_gnutls_record_uncork(struct gnutls_session_int *session, unsigned flags) {
    OPERATION(gnutls_record_uncork, ND_TLS_WRITES, PUSH_ERROR, CALLER, SLOT, session, flags);
}

TRANSFER(ssize_t, gnutls_record_recv, ND_TLS_READS, PULL_ERROR,
         (struct gnutls_session_int * session, void *data, size_t size), session, data, size)

TRANSFER(ssize_t, gnutls_record_recv_seq, ND_TLS_READS, PULL_ERROR,
         (struct gnutls_session_int * session, void *data, size_t size, unsigned char *seq), session, data, size, seq)

TRANSFER(ssize_t, gnutls_record_recv_packet, ND_TLS_READS, PULL_ERROR,
         (struct gnutls_session_int * session, struct mbuffer_st **packet), session, packet)

TRANSFER(ssize_t, gnutls_record_recv_early_data, ND_TLS_READS, PULL_ERROR,
         (struct gnutls_session_int * session, void *data, size_t size), session, data, size)

TRANSFER(ssize_t, gnutls_record_send, ND_TLS_WRITES, PUSH_ERROR,
         (struct gnutls_session_int * session, const void *data, size_t size), session, data, size)

TRANSFER(ssize_t, gnutls_record_send2, ND_TLS_WRITES, PUSH_ERROR,
         (struct gnutls_session_int * session, const void *data, size_t size, size_t pad, unsigned flags), session,
         data, size, pad, flags)

TRANSFER(ssize_t, gnutls_record_send_range, ND_TLS_WRITES, PUSH_ERROR,
         (struct gnutls_session_int * session, const void *data, size_t size, const void *range), session, data, size,
         range)

TRANSFER(ssize_t, gnutls_record_send_early_data, ND_TLS_WRITES, PUSH_ERROR,
         (struct gnutls_session_int * session, const void *data, size_t size), session, data, size)

TRANSFER(ssize_t, gnutls_record_send_file, ND_TLS_WRITES, PUSH_ERROR,
         (struct gnutls_session_int * session, int file, off_t *offset, size_t count), session, file, offset, count)
