/* OpenSSL's operations, each as one scope: the reads and writes it makes share one absolute deadline. */
#include <errno.h>

#include "shim/discover.h"
#include "shim/hook.h"
#include "shim/tlscall.h"
#include "shim/tlsseek.h"

/* Of BIO_TYPE_SOCKET and BIO_TYPE_FD: such a BIO makes its system calls in libcrypto. Others (libpq's) only say that they have
 * a descriptor. */
#define BIO_SOCKET (5 | 0x0400 | 0x0100)
#define BIO_FD (4 | 0x0400 | 0x0100)

static int descriptor(const struct nd_tls *tls, const void *ssl, bool *own) {
    const struct bio_st *bio = tls->SSL_get_rbio && tls->BIO_method_type ? tls->SSL_get_rbio(ssl) : NULL;
    int type = bio ? tls->BIO_method_type(bio) : 0;
    *own = type == BIO_SOCKET || type == BIO_FD;
    return tls->SSL_get_rfd ? tls->SSL_get_rfd(ssl) : -1;
}

#define SSL_ST_OK 3 /* of 1.0.2, which has no function for it */

static bool handshaking(const struct nd_tls *tls, const void *ssl) {
    if (tls->SSL_is_init_finished)
        return !tls->SSL_is_init_finished(ssl);
    return tls->SSL_state && tls->SSL_state(ssl) != SSL_ST_OK;
}

static bool serving(const struct nd_tls *tls, const void *ssl) {
    return tls->SSL_is_server && tls->SSL_is_server(ssl);
}

static const struct nd_tls_library openssl = {ND_OPENSSL, descriptor, handshaking, serving};

enum { ERROR_NONE, ERROR_SSL, ERROR_SYSCALL = 5, ERROR_ZERO_RETURN };

/* Whether the call asked for readiness, or for something else that the program is to do before it calls again. */
static bool unfinished(const struct nd_tls_call *call, const struct ssl_st *ssl, long result) {
    if (result > 0 || !call->sock || !call->tls->SSL_get_error || (nd_tls_calm(call) && !handshaking(call->tls, ssl)))
        return false;
    int saved = errno, error = call->tls->SSL_get_error(ssl, (int)result);
    errno = saved;
    return error != ERROR_NONE && error != ERROR_SSL && error != ERROR_SYSCALL && error != ERROR_ZERO_RETURN;
}

/* What a failed call of the _ex forms leaves behind, whose 0 Python cannot tell from an end of file. */
static void fail(const struct nd_tls_call *call, int failure) {
    if (failure == 0 && nd_tls_expired(call))
        nd_tls_queue_errno(call->tls);
}

/* The body of a hook: the real function in its scope, in the hook's own frame. */
#define OPERATION(function, action, failure, ...)                                                                      \
    ND_TLS_CALL(call);                                                                                                 \
    if (!nd_tls_enter(&call, &openssl, ND_OPERATION_##function, ssl, action, __builtin_return_address(0),              \
                      ND_FRAME_SLOT())) {                                                                              \
        if (call.tls)                                                                                                  \
            fail(&call, failure);                                                                                      \
        return failure;                                                                                                \
    }                                                                                                                  \
    if (nd_unlikely(!call.tls->function)) {                                                                            \
        errno = ENOSYS;                                                                                                \
        return failure;                                                                                                \
    }                                                                                                                  \
    __typeof__(call.tls->function(__VA_ARGS__)) result = call.tls->function(__VA_ARGS__);                              \
    if (nd_unlikely(!(result > 0 && nd_tls_calm(&call)) && nd_tls_late(&call, unfinished(&call, ssl, (long)result))))  \
        result = call.tls->function(__VA_ARGS__);                                                                      \
    if (nd_unlikely(call.ended) && result > (failure) && nd_tls_refuses(&call))                                        \
        result = failure;                                                                                              \
    if (result <= 0)                                                                                                   \
        fail(&call, failure);                                                                                          \
    return result

int nd_hook_SSL_connect(struct ssl_st *ssl) {
    OPERATION(SSL_connect, ND_TLS_SHAKES, -1, ssl);
}

int nd_hook_SSL_accept(struct ssl_st *ssl) {
    OPERATION(SSL_accept, ND_TLS_SHAKES, -1, ssl);
}

int nd_hook_SSL_do_handshake(struct ssl_st *ssl) {
    OPERATION(SSL_do_handshake, ND_TLS_SHAKES, -1, ssl);
}

int nd_hook_SSL_stateless(struct ssl_st *ssl) {
    OPERATION(SSL_stateless, ND_TLS_SHAKES, -1, ssl);
}

int nd_hook_SSL_read(struct ssl_st *ssl, void *buf, int len) {
    OPERATION(SSL_read, ND_TLS_READS, -1, ssl, buf, len);
}

int nd_hook_SSL_read_ex(struct ssl_st *ssl, void *buf, size_t len, size_t *done) {
    OPERATION(SSL_read_ex, ND_TLS_READS, 0, ssl, buf, len, done);
}

int nd_hook_SSL_read_early_data(struct ssl_st *ssl, void *buf, size_t len, size_t *done) {
    OPERATION(SSL_read_early_data, ND_TLS_READS, 0, ssl, buf, len, done);
}

int nd_hook_SSL_peek(struct ssl_st *ssl, void *buf, int len) {
    OPERATION(SSL_peek, ND_TLS_READS, -1, ssl, buf, len);
}

int nd_hook_SSL_peek_ex(struct ssl_st *ssl, void *buf, size_t len, size_t *done) {
    OPERATION(SSL_peek_ex, ND_TLS_READS, 0, ssl, buf, len, done);
}

int nd_hook_SSL_write(struct ssl_st *ssl, const void *buf, int len) {
    OPERATION(SSL_write, ND_TLS_WRITES, -1, ssl, buf, len);
}

int nd_hook_SSL_write_ex(struct ssl_st *ssl, const void *buf, size_t len, size_t *done) {
    OPERATION(SSL_write_ex, ND_TLS_WRITES, 0, ssl, buf, len, done);
}

int nd_hook_SSL_write_ex2(struct ssl_st *ssl, const void *buf, size_t len, uint64_t flags, size_t *done) {
    OPERATION(SSL_write_ex2, ND_TLS_WRITES, 0, ssl, buf, len, flags, done);
}

int nd_hook_SSL_write_early_data(struct ssl_st *ssl, const void *buf, size_t len, size_t *done) {
    OPERATION(SSL_write_early_data, ND_TLS_WRITES, 0, ssl, buf, len, done);
}

ssize_t nd_hook_SSL_sendfile(struct ssl_st *ssl, int fd, off_t offset, size_t size, int flags) {
    OPERATION(SSL_sendfile, ND_TLS_WRITES, -1, ssl, fd, offset, size, flags);
}

int nd_hook_SSL_shutdown(struct ssl_st *ssl) {
    OPERATION(SSL_shutdown, ND_TLS_CLOSES, -1, ssl);
}

/* What OpenSSL remembers of a call that we did not let happen is the one before it, which may have wanted to read: a program
 * would wait for that and call again. */
int nd_hook_SSL_get_error(const struct ssl_st *ssl, int result) {
    struct nd_tls room;
    bool own;
    int saved = errno;
    const struct nd_scope *outer = nd_scope_around(ssl);
    const struct nd_tls *tls = outer ? ((const struct nd_tls_call *)outer)->tls
                                     : nd_tls_find(ND_OPENSSL, __builtin_return_address(0), ssl, &room);
    if (!tls || !tls->SSL_get_error)
        return ERROR_SYSCALL;
    int error = tls->SSL_get_error(ssl, result);
    if (result > 0 || error == ERROR_SSL || error == ERROR_SYSCALL || outer)
        return error;
    int fd = descriptor(tls, ssl, &own);
    struct nd_sock *sock;
    fd = fd < 0 ? nd_tls_seek_known(ssl, &sock) : fd;
    sock = fd >= 0 ? nd_sock_peek(fd) : NULL;
    if (sock && (nd_sock_flags(sock) & ND_SOCK_EXPIRED) && nd_expired(fd, sock))
        error = ERROR_SYSCALL;
    errno = saved;
    return error;
}
