/* OpenSSL's blocking operations, each as one scope: the reads and writes it makes share one absolute deadline. */
#include <errno.h>

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

/* Opens a scope for an operation on `ssl` where a limit holds for it. A non-blocking socket returns by itself. */
static bool open_scope(struct nd_scope *saved, const struct nd_tls *tls, const struct ssl_st *ssl, enum nd_scope_limit limit,
                       const char *operation, uintptr_t *slot) {
    if (!nd_enforcing || !tls->SSL_get_rfd)
        return false;
    int fd = tls->SSL_get_rfd(ssl);
    struct nd_sock *sock = fd >= 0 ? nd_sock_peek(fd) : NULL;
    if (sock && !(nd_sock_flags(sock) & ND_SOCK_KNOWN))
        sock = nd_sock_discover(fd);
    if (!sock || !(nd_sock_flags(sock) & ND_SOCK_STREAM) || (nd_sock_flags(sock) & ND_SOCK_NONBLOCK))
        return false;
    nd_time timeout = limit_of(sock, limit);
    return timeout && nd_scope_open(saved, fd, sock, limit, operation, timeout, slot);
}

/* A read or write may hide a handshake, which has a limit of its own. */
static bool in_handshake(const struct nd_tls *tls, const struct ssl_st *ssl) {
    return tls->SSL_is_init_finished && !tls->SSL_is_init_finished(ssl);
}

static bool open_for_read(struct nd_scope *saved, const struct nd_tls *tls, const struct ssl_st *ssl, const char *operation,
                          uintptr_t *slot) {
    enum nd_scope_limit limit = in_handshake(tls, ssl) ? ND_SCOPE_HANDSHAKE : ND_SCOPE_RECV;
    return open_scope(saved, tls, ssl, limit, operation, slot);
}

/* SSL_write is bounded as plain sends are, by progress. */
static bool open_for_write(struct nd_scope *saved, const struct nd_tls *tls, const struct ssl_st *ssl, const char *operation,
                           uintptr_t *slot) {
    return in_handshake(tls, ssl) && open_scope(saved, tls, ssl, ND_SCOPE_HANDSHAKE, operation, slot);
}

/* The body of a hook: the real function, inside a scope if `open` opens one. Without an OpenSSL to call (a weak reference
 * that our export made non-null) it fails as a broken connection would. A frame that is left by cancellation or longjmp does
 * not close its scope: nd_scope_of recognises what is left. */
#define SCOPED(name, open, ...)                                                                                        \
    struct nd_tls tls;                                                                                                 \
    struct nd_scope saved;                                                                                             \
    if (!nd_tls_find(&tls, __builtin_return_address(0)) || !tls.name) {                                                \
        errno = ENOSYS;                                                                                                \
        return failed_##name;                                                                                          \
    }                                                                                                                  \
    bool opened = open;                                                                                                \
    int result = tls.name(__VA_ARGS__);                                                                                \
    if (opened)                                                                                                        \
        nd_scope_close(&saved);                                                                                        \
    return result

enum {
    failed_SSL_connect = -1,
    failed_SSL_accept = -1,
    failed_SSL_do_handshake = -1,
    failed_SSL_read = -1,
    failed_SSL_read_ex = 0,
    failed_SSL_peek = -1,
    failed_SSL_peek_ex = 0,
    failed_SSL_write = -1,
    failed_SSL_write_ex = 0,
    failed_SSL_shutdown = -1
};

int nd_hook_SSL_connect(struct ssl_st *ssl) {
    SCOPED(SSL_connect, open_scope(&saved, &tls, ssl, ND_SCOPE_HANDSHAKE, "SSL_connect", ND_FRAME_SLOT()), ssl);
}

int nd_hook_SSL_accept(struct ssl_st *ssl) {
    SCOPED(SSL_accept, open_scope(&saved, &tls, ssl, ND_SCOPE_HANDSHAKE, "SSL_accept", ND_FRAME_SLOT()), ssl);
}

int nd_hook_SSL_do_handshake(struct ssl_st *ssl) {
    SCOPED(SSL_do_handshake, open_scope(&saved, &tls, ssl, ND_SCOPE_HANDSHAKE, "SSL_do_handshake", ND_FRAME_SLOT()), ssl);
}

int nd_hook_SSL_read(struct ssl_st *ssl, void *buf, int len) {
    SCOPED(SSL_read, open_for_read(&saved, &tls, ssl, "SSL_read", ND_FRAME_SLOT()), ssl, buf, len);
}

int nd_hook_SSL_read_ex(struct ssl_st *ssl, void *buf, size_t len, size_t *done) {
    SCOPED(SSL_read_ex, open_for_read(&saved, &tls, ssl, "SSL_read_ex", ND_FRAME_SLOT()), ssl, buf, len, done);
}

int nd_hook_SSL_peek(struct ssl_st *ssl, void *buf, int len) {
    SCOPED(SSL_peek, open_for_read(&saved, &tls, ssl, "SSL_peek", ND_FRAME_SLOT()), ssl, buf, len);
}

int nd_hook_SSL_peek_ex(struct ssl_st *ssl, void *buf, size_t len, size_t *done) {
    SCOPED(SSL_peek_ex, open_for_read(&saved, &tls, ssl, "SSL_peek_ex", ND_FRAME_SLOT()), ssl, buf, len, done);
}

int nd_hook_SSL_write(struct ssl_st *ssl, const void *buf, int len) {
    SCOPED(SSL_write, open_for_write(&saved, &tls, ssl, "SSL_write", ND_FRAME_SLOT()), ssl, buf, len);
}

int nd_hook_SSL_write_ex(struct ssl_st *ssl, const void *buf, size_t len, size_t *done) {
    SCOPED(SSL_write_ex, open_for_write(&saved, &tls, ssl, "SSL_write_ex", ND_FRAME_SLOT()), ssl, buf, len, done);
}

int nd_hook_SSL_shutdown(struct ssl_st *ssl) {
    SCOPED(SSL_shutdown, open_scope(&saved, &tls, ssl, ND_SCOPE_SHUTDOWN, "SSL_shutdown", ND_FRAME_SLOT()), ssl);
}
