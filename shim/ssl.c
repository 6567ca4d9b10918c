/* OpenSSL's blocking operations, each as one scope: the reads and writes it makes share one absolute deadline. */
#include <errno.h>

#include "shim/discover.h"
#include "shim/hook.h"
#include "shim/scope.h"
#include "shim/sockets.h"
#include "shim/start.h"
#include "shim/tls.h"

static nd_time limit_of(const struct nd_sock *sock, enum nd_scope_limit limit) {
    const struct nd_limits *limits = nd_sock_limits(sock);
    switch (limit) {
    case ND_SCOPE_HANDSHAKE:
        return limits->tls_handshake;
    case ND_SCOPE_SHUTDOWN:
        return limits->tls_shutdown;
    default:
        return nd_sock_recv_limit(sock);
    }
}

/* What one call on an SSL object needs to know. */
struct operation {
    const char *name;
    struct nd_tls tls;
    int fd;               /* -1 where the object has no socket, or we pass through */
    struct nd_sock *sock; /* NULL then */
    bool scoped;
    struct nd_scope saved;
};

/* A read or write may hide a handshake, which has a limit of its own. */
static bool in_handshake(const struct operation *op, const struct ssl_st *ssl) {
    return op->tls.SSL_is_init_finished && !op->tls.SSL_is_init_finished(ssl);
}

/* Finds the real functions and the socket. False if there is no OpenSSL to call: a weak reference that our export made
 * non-null; the call then fails as on a broken connection. */
static bool begin(struct operation *op, const char *name, const struct ssl_st *ssl, const void *caller) {
    op->name = name;
    op->fd = -1;
    op->sock = NULL;
    op->scoped = false;
    if (!nd_tls_find(&op->tls, caller)) {
        errno = ENOSYS;
        return false;
    }
    if (!nd_active || !op->tls.SSL_get_rfd)
        return true;
    int fd = op->tls.SSL_get_rfd(ssl);
    struct nd_sock *sock = fd >= 0 ? nd_sock_peek(fd) : NULL;
    if (sock && !(nd_sock_flags(sock) & ND_SOCK_KNOWN))
        sock = nd_sock_discover(fd);
    if (sock && (nd_sock_flags(sock) & ND_SOCK_STREAM)) {
        op->fd = fd;
        op->sock = sock;
    }
    return true;
}

/* Puts the operation under its limit. A non-blocking socket returns by itself. */
static void bound(struct operation *op, enum nd_scope_limit limit, uintptr_t *slot) {
    if (!op->sock || (nd_sock_flags(op->sock) & ND_SOCK_NONBLOCK))
        return;
    nd_time timeout = limit_of(op->sock, limit);
    op->scoped = timeout && nd_scope_open(&op->saved, op->fd, op->sock, limit, op->name, timeout, slot);
}

static void bound_read(struct operation *op, const struct ssl_st *ssl, uintptr_t *slot) {
    bound(op, in_handshake(op, ssl) ? ND_SCOPE_HANDSHAKE : ND_SCOPE_RECV, slot);
}

/* SSL_write is bounded as plain sends are, by progress. */
static void bound_write(struct operation *op, const struct ssl_st *ssl, uintptr_t *slot) {
    if (in_handshake(op, ssl))
        bound(op, ND_SCOPE_HANDSHAKE, slot);
}

/* A frame that is left by cancellation or longjmp never comes here: nd_scope_of recognises what is left. */
static int end(struct operation *op, int result, int failure) {
    if (op->scoped) {
        if (nd_observing)
            nd_scope_observe(op->fd);
        nd_scope_close(&op->saved);
    }
    if (failure == 0 && result == 0 && op->sock && nd_expired(op->fd, op->sock))
        nd_tls_queue_errno(&op->tls); /* only the _ex forms need it, whose 0 Python cannot tell from an end of file */
    return result;
}

/* The body of a hook: the real function between begin and end, `bounding` in the hook's own frame. */
#define OPERATION(function, bounding, ...)                                                                             \
    struct operation op;                                                                                               \
    if (!begin(&op, #function, ssl, __builtin_return_address(0)) || !op.tls.function)                                  \
        return failed_##function;                                                                                      \
    bounding;                                                                                                          \
    return end(&op, op.tls.function(__VA_ARGS__), failed_##function)

enum {
    failed_SSL_connect = -1,
    failed_SSL_accept = -1,
    failed_SSL_do_handshake = -1,
    failed_SSL_read = -1,
    failed_SSL_read_ex = 0,
    failed_SSL_peek = -1,
    failed_SSL_peek_ex = 0,
    failed_SSL_write = -1,
    failed_SSL_write_ex = 0
};

int nd_hook_SSL_connect(struct ssl_st *ssl) {
    OPERATION(SSL_connect, bound(&op, ND_SCOPE_HANDSHAKE, ND_FRAME_SLOT()), ssl);
}

int nd_hook_SSL_accept(struct ssl_st *ssl) {
    OPERATION(SSL_accept, bound(&op, ND_SCOPE_HANDSHAKE, ND_FRAME_SLOT()), ssl);
}

int nd_hook_SSL_do_handshake(struct ssl_st *ssl) {
    OPERATION(SSL_do_handshake, bound(&op, ND_SCOPE_HANDSHAKE, ND_FRAME_SLOT()), ssl);
}

int nd_hook_SSL_read(struct ssl_st *ssl, void *buf, int len) {
    OPERATION(SSL_read, bound_read(&op, ssl, ND_FRAME_SLOT()), ssl, buf, len);
}

int nd_hook_SSL_read_ex(struct ssl_st *ssl, void *buf, size_t len, size_t *done) {
    OPERATION(SSL_read_ex, bound_read(&op, ssl, ND_FRAME_SLOT()), ssl, buf, len, done);
}

int nd_hook_SSL_peek(struct ssl_st *ssl, void *buf, int len) {
    OPERATION(SSL_peek, bound_read(&op, ssl, ND_FRAME_SLOT()), ssl, buf, len);
}

int nd_hook_SSL_peek_ex(struct ssl_st *ssl, void *buf, size_t len, size_t *done) {
    OPERATION(SSL_peek_ex, bound_read(&op, ssl, ND_FRAME_SLOT()), ssl, buf, len, done);
}

int nd_hook_SSL_write(struct ssl_st *ssl, const void *buf, int len) {
    OPERATION(SSL_write, bound_write(&op, ssl, ND_FRAME_SLOT()), ssl, buf, len);
}

int nd_hook_SSL_write_ex(struct ssl_st *ssl, const void *buf, size_t len, size_t *done) {
    OPERATION(SSL_write_ex, bound_write(&op, ssl, ND_FRAME_SLOT()), ssl, buf, len, done);
}

/* A close that never waits for a write in flight: where another thread is stuck in a send on this connection, an alert could
 * only queue behind it, inside an SSL object that is in use. The connection is ended instead, and the write returns. */
static bool cut_stuck_write(const struct operation *op) {
    if (!op->sock || !op->sock->stuck || nd_observing || !nd_sock_limits(op->sock)->tls_shutdown)
        return false;
    struct nd_expiry expiry = {.operation = op->name,
                               .limit = ND_LIMIT_NAME(op->sock, "TLS_SHUTDOWN"),
                               .timeout = nd_sock_limits(op->sock)->tls_shutdown};
    nd_expire_stream(op->fd, op->sock, &expiry);
    errno = ETIMEDOUT;
    return true;
}

int nd_hook_SSL_shutdown(struct ssl_st *ssl) {
    struct operation op;
    if (!begin(&op, "SSL_shutdown", ssl, __builtin_return_address(0)) || !op.tls.SSL_shutdown || cut_stuck_write(&op))
        return -1;
    bound(&op, ND_SCOPE_SHUTDOWN, ND_FRAME_SLOT());
    return end(&op, op.tls.SSL_shutdown(ssl), -1);
}
