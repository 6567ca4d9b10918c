/* Finds the real functions of TLS libraries for the module that calls: libssl may be loaded RTLD_LOCAL (in Python,
 * Perl, PHP), where RTLD_NEXT does not find it, and a process may have two versions of OpenSSL. */
#pragma once

#include <string.h>

#include "shim/real.h"

struct bio_st;

/* Further functions, which have no hooks. Those that the library's version lacks are NULL. */
#define ND_TLS_HELPERS(X)                                                                                              \
    X(SSL_get_rfd, int, (const struct ssl_st *ssl))                                                                    \
    X(SSL_get_rbio, struct bio_st *, (const struct ssl_st *ssl))                                                       \
    X(BIO_method_type, int, (const struct bio_st *bio))                                                                \
    X(SSL_is_server, int, (const struct ssl_st *ssl))        /* since 1.1.0 */                                         \
    X(SSL_is_init_finished, int, (const struct ssl_st *ssl)) /* since 1.1.0 */                                         \
    X(SSL_has_pending, int, (const struct ssl_st *ssl))      /* since 1.1.0 */                                         \
    X(SSL_is_dtls, int, (const struct ssl_st *ssl))          /* since 1.1.0 */                                         \
    X(SSL_state, int, (const struct ssl_st *ssl))            /* before */                                              \
    X(ERR_peek_error, unsigned long, (void))                                                                           \
    X(ERR_clear_error, void, (void))                                                                                   \
    X(ERR_put_error, void, (int lib, int func, int reason, const char *file, int line)) /* before 3.0 */               \
    X(ERR_new, void, (void))                                                            /* since 3.0 */                \
    X(ERR_set_error, void, (int lib, int reason, const char *format, ...))                                             \
    X(gnutls_transport_get_ptr, void *, (struct gnutls_session_int * session))                                         \
    X(gnutls_dtls_get_mtu, unsigned, (struct gnutls_session_int * session))      /* since 3.0 */                       \
    X(gnutls_session_get_flags, unsigned, (struct gnutls_session_int * session)) /* since 3.5 */

struct nd_tls {
#define ND_TLS(name, type, params, args) type(*name) params;
#include "shim/hooks.def"
#define ND_TLS_HELPER(name, type, params) type(*name) params;
    ND_TLS_HELPERS(ND_TLS_HELPER)
#undef ND_TLS_HELPER
    uintptr_t text[2][2]; /* the code of the library, and of the one that makes its system calls (libcrypto) */
    const void *proof;    /* SSL_read, or gnutls_record_recv */
    uint64_t begin[2];    /* the first bytes of its code */
};

enum nd_tls_kind { ND_OPENSSL, ND_GNUTLS };

/* The functions for a call on `object` (an SSL or a session) made from `return_address`, valid as long as the library
 * stays loaded; in *buffer where they could not be stored. Returns NULL where there is no such library. Keeps errno.
 * For a module that has called before it takes no lock if libc has _dl_find_object (glibc 2.35); else, and the first
 * time, it takes the loader's lock. */
const struct nd_tls *nd_tls_find(enum nd_tls_kind kind, const void *return_address, const void *object,
                                 struct nd_tls *buffer);

/* Where `object` keeps the pointer to its method, a constant of the library that made it, for nd_tls_still; or NULL.
 * Async-signal-safe. */
const void *const *nd_tls_method(const struct nd_tls *tls, const void *object);

/* Whether `tls`, which nd_tls_find returned for an object at the same address whose *word was `method`, still holds the
 * right functions. It does for the same object, which keeps its library loaded. For a new object at that address the
 * method differs, unless the library was unloaded and another of the same layout loaded in its place: then the code of
 * the function differs. Async-signal-safe. */
static inline bool nd_tls_still(const struct nd_tls *tls, const void *const *word, const void *method) {
    uint64_t now[2];
    if (*word != method)
        return false;
    memcpy(now, tls->proof, sizeof now);
    return now[0] == tls->begin[0] && now[1] == tls->begin[1];
}

/* Whether `address` is in the library's own code. */
static inline bool nd_tls_contains(const struct nd_tls *tls, const void *address) {
    return ((uintptr_t)address >= tls->text[1][0] && (uintptr_t)address < tls->text[1][1]) ||
           ((uintptr_t)address >= tls->text[0][0] && (uintptr_t)address < tls->text[0][1]);
}

/* Puts errno into OpenSSL's error queue if that is empty. SSL_get_error still returns SSL_ERROR_SYSCALL. With an empty
 * queue Python (3.10 to 3.11, after SSL_read_ex) takes a failed read for the end of file, and its sockets report that
 * as an orderly end: a truncated answer. Keeps errno. Not async-signal-safe. */
void nd_tls_queue_errno(const struct nd_tls *tls);

/* Puts SSL_R_PROTOCOL_IS_SHUTDOWN into OpenSSL's error queue if that is empty, or holds only what nd_tls_queue_errno
 * has put there: SSL_get_error returns SSL_ERROR_SSL. (SSL_R_UNEXPECTED_EOF_WHILE_READING, of a connection that was
 * reset, would be an end of file to Python.) Keeps errno. Not async-signal-safe. */
void nd_tls_queue_ended(const struct nd_tls *tls);
