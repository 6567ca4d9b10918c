/* The operations of OpenSSL. Each is a scope: the reads and writes that it makes have one absolute deadline. */

/* Without gcse an address is computed again after the real call, by one instruction; kept in a register over the call
 * it costs a push and a pop. */
#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC optimize("no-gcse")
#endif

#include "shim/hook/hook.h"
#include "shim/socket/ended.h"
#include "shim/tls/call_fast.h"

/* BIO_TYPE_SOCKET and BIO_TYPE_FD: such a BIO makes its system calls in libcrypto. Another one (libpq's) may have a
 * descriptor but makes them elsewhere. */
#define BIO_SOCKET (5 | 0x0400 | 0x0100)
#define BIO_FD (4 | 0x0400 | 0x0100)

static int descriptor(const struct nd_tls *tls, const void *ssl, bool *own) {
    const struct bio_st *bio = tls->SSL_get_rbio && tls->BIO_method_type ? tls->SSL_get_rbio(ssl) : NULL;
    int type = bio ? tls->BIO_method_type(bio) : 0;
    *own = type == BIO_SOCKET || type == BIO_FD;
    return tls->SSL_get_rfd ? tls->SSL_get_rfd(ssl) : -1;
}

#define SSL_ST_OK 3 /* of OpenSSL 1.0.2, which has no SSL_is_init_finished */

static bool handshaking(const struct nd_tls *tls, const void *ssl) {
    if (tls->SSL_is_init_finished)
        return !tls->SSL_is_init_finished(ssl);
    return tls->SSL_state && tls->SSL_state(ssl) != SSL_ST_OK;
}

static bool serving(const struct nd_tls *tls, const void *ssl) {
    return tls->SSL_is_server && tls->SSL_is_server(ssl);
}

static bool holding(const struct nd_tls *tls, const void *ssl) {
    return !tls->SSL_has_pending || tls->SSL_has_pending(ssl);
}

static bool datagrams(const struct nd_tls *tls, const void *ssl) {
    return tls->SSL_is_dtls && tls->SSL_is_dtls(ssl);
}

static const struct nd_tls_library openssl = {ND_OPENSSL, descriptor, handshaking, serving, datagrams, holding};

enum {
    ERROR_NONE,
    ERROR_SSL,
    ERROR_WANT_READ,
    ERROR_WANT_WRITE,
    ERROR_WANT_X509_LOOKUP,
    ERROR_SYSCALL,
    ERROR_ZERO_RETURN,
    ERROR_WANT_CONNECT,
    ERROR_WANT_ACCEPT /* those that came later want something of the program, too */
};

static enum nd_tls_outcome outcome(const struct nd_tls_call *call, long result) {
    const struct ssl_st *ssl = call->scope.object;
    if (result > 0 || !call->sock || !call->tls->SSL_get_error ||
        (nd_tls_is_established(call) && !handshaking(call->tls, ssl)))
        return ND_TLS_FINISHED;
    int saved = errno, error = call->tls->SSL_get_error(ssl, (int)result);
    errno = saved;
    switch (error) {
    case ERROR_NONE:
    case ERROR_SSL:
    case ERROR_SYSCALL:
    case ERROR_ZERO_RETURN:
        return ND_TLS_FINISHED;
    case ERROR_WANT_READ:
    case ERROR_WANT_WRITE:
    case ERROR_WANT_CONNECT:
    case ERROR_WANT_ACCEPT:
        return ND_TLS_WANTS_NETWORK;
    default:
        return ND_TLS_WANTS_PROGRAM;
    }
}

/* Sets the errors of a call that has failed because its time was up: errno to ETIMEDOUT, since a transport that reads
 * once more (BIO_f_buffer) leaves the error of that second read; and the error queue for the _ex forms, whose result 0
 * Python cannot tell from an end of file. `before`: the connection had been ended before the call. Once an earlier call
 * has reported the expiry the queue gets an error of OpenSSL's: a program may take SSL_ERROR_SYSCALL for a reason to
 * call again (libmosquitto), and on a connection that was reset ends by the SSL_ERROR_SSL of the second call. */
static void set_errors(const struct nd_tls_call *call, int failure, bool before) {
    if (!nd_tls_expired(call))
        return;
    if (!before)
        errno = ETIMEDOUT;
    else if (call->reported)
        nd_tls_queue_ended(call->tls);
    if (failure == 0)
        nd_tls_queue_errno(call->tls);
}

/* The body of a hook: calls the real function in a scope. The scope is in the frame of the function that uses this;
 * `slot` is the hook's. */
#define OPERATION(function, kind, failure, caller, slot, ...)                                                          \
    static const struct nd_tls_operation operation = {&openssl, ND_OPERATION_##function, kind};                        \
    ND_TLS_CALL(call);                                                                                                 \
    if (!nd_tls_enter(&call, &operation, ssl, caller, slot)) {                                                         \
        if (call.tls)                                                                                                  \
            set_errors(&call, failure, call.ended);                                                                    \
        return failure;                                                                                                \
    }                                                                                                                  \
    if (nd_unlikely(!call.tls->function)) {                                                                            \
        errno = ENOSYS;                                                                                                \
        return failure;                                                                                                \
    }                                                                                                                  \
    __typeof__(call.tls->function(__VA_ARGS__)) result = call.tls->function(__VA_ARGS__);                              \
    if (!(result > 0 && nd_tls_is_established(&call)) && nd_tls_timed_out(&call, outcome(&call, (long)result)))        \
        result = call.tls->function(__VA_ARGS__);                                                                      \
    if (nd_unlikely(call.ended) && result > (failure) && nd_tls_refuses(&call))                                        \
        result = failure;                                                                                              \
    if (result <= 0)                                                                                                   \
        set_errors(&call, failure, call.ended);                                                                        \
    return result

ND_COLD static void settle(struct nd_tls_call *call, long result, int failure) {
    nd_tls_established_settle(call, outcome, result);
    set_errors(call, failure, false);
}

#define SLOT ND_FRAME_SLOT()
#define CALLER __builtin_return_address(0)
#define TRANSFER(...) ND_TLS_TRANSFER(openssl, ssl, __VA_ARGS__)

int nd_hook_SSL_connect(struct ssl_st *ssl) {
    OPERATION(SSL_connect, ND_TLS_SHAKES, -1, CALLER, SLOT, ssl);
}

int nd_hook_SSL_accept(struct ssl_st *ssl) {
    OPERATION(SSL_accept, ND_TLS_SHAKES, -1, CALLER, SLOT, ssl);
}

int nd_hook_SSL_do_handshake(struct ssl_st *ssl) {
    OPERATION(SSL_do_handshake, ND_TLS_SHAKES, -1, CALLER, SLOT, ssl);
}

int nd_hook_SSL_stateless(struct ssl_st *ssl) {
    OPERATION(SSL_stateless, ND_TLS_SHAKES, -1, CALLER, SLOT, ssl);
}

int nd_hook_SSL_shutdown(struct ssl_st *ssl) {
    OPERATION(SSL_shutdown, ND_TLS_CLOSES, -1, CALLER, SLOT, ssl);
}

TRANSFER(int, SSL_read, ND_TLS_READS, -1, (struct ssl_st * ssl, void *buf, int len), ssl, buf, len)

TRANSFER(int, SSL_read_ex, ND_TLS_READS, 0, (struct ssl_st * ssl, void *buf, size_t len, size_t *done), ssl, buf, len,
         done)

TRANSFER(int, SSL_read_early_data, ND_TLS_READS, 0, (struct ssl_st * ssl, void *buf, size_t len, size_t *done), ssl,
         buf, len, done)

TRANSFER(int, SSL_peek, ND_TLS_READS, -1, (struct ssl_st * ssl, void *buf, int len), ssl, buf, len)

TRANSFER(int, SSL_peek_ex, ND_TLS_READS, 0, (struct ssl_st * ssl, void *buf, size_t len, size_t *done), ssl, buf, len,
         done)

TRANSFER(int, SSL_write, ND_TLS_WRITES, -1, (struct ssl_st * ssl, const void *buf, int len), ssl, buf, len)

TRANSFER(int, SSL_write_ex, ND_TLS_WRITES, 0, (struct ssl_st * ssl, const void *buf, size_t len, size_t *done), ssl,
         buf, len, done)

TRANSFER(int, SSL_write_ex2, ND_TLS_WRITES, 0,
         (struct ssl_st * ssl, const void *buf, size_t len, uint64_t flags, size_t *done), ssl, buf, len, flags, done)

TRANSFER(int, SSL_write_early_data, ND_TLS_WRITES, 0, (struct ssl_st * ssl, const void *buf, size_t len, size_t *done),
         ssl, buf, len, done)

TRANSFER(ssize_t, SSL_sendfile, ND_TLS_WRITES, -1,
         (struct ssl_st * ssl, int file, off_t offset, size_t size, int flags), ssl, file, offset, size, flags)

/* Where a hook has failed without calling OpenSSL, the state in the SSL object is that of the call before, which may
 * have wanted to read: the program would wait for that and call again. */
int nd_hook_SSL_get_error(const struct ssl_st *ssl, int result) {
    struct nd_tls buffer;
    bool own;
    int saved = errno;
    const struct nd_scope *outer = nd_scope_around(ssl);
    const struct nd_tls *tls = outer ? ((const struct nd_tls_call *)outer)->tls
                                     : nd_tls_find(ND_OPENSSL, __builtin_return_address(0), ssl, &buffer);
    if (!tls || !tls->SSL_get_error)
        return ERROR_SYSCALL;
    int error = tls->SSL_get_error(ssl, result);
    if (result > 0 || error == ERROR_SSL || error == ERROR_SYSCALL || outer)
        return error;
    int fd = descriptor(tls, ssl, &own);
    struct nd_sock *sock;
    fd = fd < 0 ? nd_tls_socket_of(ssl, &sock) : fd;
    sock = fd >= 0 ? nd_sock_lookup(fd) : NULL;
    if (sock && (nd_sock_flags(sock) & ND_SOCK_EXPIRED) && nd_expired(fd, sock))
        error = ERROR_SYSCALL;
    errno = saved;
    return error;
}
