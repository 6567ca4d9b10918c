/* GnuTLS's operations, each as one scope: the reads and writes it makes share one absolute deadline. */
#include <errno.h>

#include "shim/hook.h"
#include "shim/tlscall.h"

/* By default the transport is a descriptor in the place of a pointer; a program with functions of its own may have a pointer to
 * anything there, which no descriptor is as large as. */
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

static const struct nd_tls_library gnutls = {ND_GNUTLS, descriptor, NULL, serving};

enum {
    WARNING_ALERT_RECEIVED = -16,
    AGAIN = -28,
    INTERRUPTED = -52,
    PUSH_ERROR = -53,
    PULL_ERROR = -54,
};

static bool unfinished(long result) {
    return result == AGAIN || result == INTERRUPTED || result == WARNING_ALERT_RECEIVED;
}

/* The body of a hook: the real function in its scope, in the hook's own frame. */
#define OPERATION(function, action, ...)                                                                               \
    ND_TLS_CALL(call);                                                                                                 \
    if (!nd_tls_enter(&call, &gnutls, ND_OPERATION_##function, session, action, __builtin_return_address(0),           \
                      ND_FRAME_SLOT()) ||                                                                              \
        !call.tls->function)                                                                                           \
        return (action) == ND_TLS_WRITES ? PUSH_ERROR : PULL_ERROR;                                                    \
    __typeof__(call.tls->function(__VA_ARGS__)) result = call.tls->function(__VA_ARGS__);                              \
    if (nd_unlikely(!(result > 0 && nd_tls_calm(&call)) && nd_tls_late(&call, unfinished((long)result))))              \
        result = call.tls->function(__VA_ARGS__);                                                                      \
    if (nd_unlikely(call.ended) && result >= 0 && nd_tls_refuses(&call))                                               \
        return (action) == ND_TLS_WRITES ? PUSH_ERROR : PULL_ERROR;                                                    \
    return result >= 0 && (action) == ND_TLS_CLOSES && nd_tls_expired(&call) ? PULL_ERROR : result

int nd_hook_gnutls_handshake(struct gnutls_session_int *session) {
    OPERATION(gnutls_handshake, ND_TLS_SHAKES, session);
}

int nd_hook_gnutls_rehandshake(struct gnutls_session_int *session) {
    OPERATION(gnutls_rehandshake, ND_TLS_SHAKES, session);
}

int nd_hook_gnutls_reauth(struct gnutls_session_int *session, unsigned flags) {
    OPERATION(gnutls_reauth, ND_TLS_SHAKES, session, flags);
}

/* A bye that waits for the peer's takes any broken connection for it: 0 would say that the end was orderly. */
int nd_hook_gnutls_bye(struct gnutls_session_int *session, int how) {
    OPERATION(gnutls_bye, ND_TLS_CLOSES, session, how);
}

ssize_t nd_hook_gnutls_record_recv(struct gnutls_session_int *session, void *data, size_t size) {
    OPERATION(gnutls_record_recv, ND_TLS_READS, session, data, size);
}

ssize_t nd_hook_gnutls_record_recv_seq(struct gnutls_session_int *session, void *data, size_t size,
                                       unsigned char *seq) {
    OPERATION(gnutls_record_recv_seq, ND_TLS_READS, session, data, size, seq);
}

ssize_t nd_hook_gnutls_record_recv_packet(struct gnutls_session_int *session, struct mbuffer_st **packet) {
    OPERATION(gnutls_record_recv_packet, ND_TLS_READS, session, packet);
}

ssize_t nd_hook_gnutls_record_recv_early_data(struct gnutls_session_int *session, void *data, size_t size) {
    OPERATION(gnutls_record_recv_early_data, ND_TLS_READS, session, data, size);
}

ssize_t nd_hook_gnutls_record_send(struct gnutls_session_int *session, const void *data, size_t size) {
    OPERATION(gnutls_record_send, ND_TLS_WRITES, session, data, size);
}

ssize_t nd_hook_gnutls_record_send2(struct gnutls_session_int *session, const void *data, size_t size, size_t pad,
                                    unsigned flags) {
    OPERATION(gnutls_record_send2, ND_TLS_WRITES, session, data, size, pad, flags);
}

ssize_t nd_hook_gnutls_record_send_range(struct gnutls_session_int *session, const void *data, size_t size,
                                         const void *range) {
    OPERATION(gnutls_record_send_range, ND_TLS_WRITES, session, data, size, range);
}

ssize_t nd_hook_gnutls_record_send_early_data(struct gnutls_session_int *session, const void *data, size_t size) {
    OPERATION(gnutls_record_send_early_data, ND_TLS_WRITES, session, data, size);
}

ssize_t nd_hook_gnutls_record_send_file(struct gnutls_session_int *session, int fd, off_t *offset, size_t count) {
    OPERATION(gnutls_record_send_file, ND_TLS_WRITES, session, fd, offset, count);
}

int nd_hook_gnutls_record_uncork(struct gnutls_session_int *session, unsigned flags) {
    OPERATION(gnutls_record_uncork, ND_TLS_WRITES, session, flags);
}

/* A ping waits for its answer where it is asked to. */
int nd_hook_gnutls_heartbeat_ping(struct gnutls_session_int *session, size_t size, unsigned tries, unsigned flags) {
    OPERATION(gnutls_heartbeat_ping, ND_TLS_READS, session, size, tries, flags);
}
