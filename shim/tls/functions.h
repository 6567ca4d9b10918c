/* The real functions of TLS libraries, found for the module that calls: libssl may be loaded RTLD_LOCAL (Python, Perl, PHP),
 * where RTLD_NEXT does not see it, and two OpenSSLs may live in one process. */
#ifndef ND_TLS_FUNCTIONS_H
#define ND_TLS_FUNCTIONS_H

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include "shim/real.h"

struct bio_st;

/* Functions that are called beside the hooked ones. Those that a library's version lacks are NULL. */
#define ND_TLS_HELPERS(X)                                                                                              \
    X(SSL_get_rfd, int, (const struct ssl_st *ssl))                                                                    \
    X(SSL_get_rbio, struct bio_st *, (const struct ssl_st *ssl))                                                       \
    X(BIO_method_type, int, (const struct bio_st *bio))                                                                \
    X(SSL_is_server, int, (const struct ssl_st *ssl))        /* since 1.1.0 */                                         \
    X(SSL_is_init_finished, int, (const struct ssl_st *ssl)) /* since 1.1.0 */                                         \
    X(SSL_has_pending, int, (const struct ssl_st *ssl))      /* since 1.1.0 */                                         \
    X(SSL_state, int, (const struct ssl_st *ssl))            /* before */                                              \
    X(ERR_peek_error, unsigned long, (void))                                                                           \
    X(ERR_put_error, void, (int lib, int func, int reason, const char *file, int line)) /* before 3.0 */               \
    X(ERR_new, void, (void))                                                            /* since 3.0 */                \
    X(ERR_set_error, void, (int lib, int reason, const char *format, ...))                                             \
    X(gnutls_transport_get_ptr, void *, (struct gnutls_session_int * session))                                         \
    X(gnutls_session_get_flags, unsigned, (struct gnutls_session_int * session)) /* since 3.5 */

struct nd_tls {
#define ND_HOOK(name, type, params, args, raw)
#define ND_ALIAS(name, of)
#define ND_TLS(name, type, params, args) type(*name) params;
#include "shim/hooks.def"
#undef ND_HOOK
#undef ND_ALIAS
#undef ND_TLS
#define ND_TLS_HELPER(name, type, params) type(*name) params;
    ND_TLS_HELPERS(ND_TLS_HELPER)
#undef ND_TLS_HELPER
    uintptr_t
        text[2][2]; /* where the library's own code stands, and that of what it reads and writes through (libcrypto) */
    const void *proof; /* SSL_read, or gnutls_record_recv */
    uint64_t begin[2]; /* of its code */
};

enum nd_tls_kind { ND_OPENSSL, ND_GNUTLS };

/* The functions for a call on `object` (an SSL or a session) made from `return_address`: valid for as long as the library
 * stays loaded, in *room where they could not be kept. NULL if no such library can be found. Keeps errno. A module that has
 * called before is found without a lock where libc has _dl_find_object (2.35); else, and the first time, with the loader's. */
const struct nd_tls *nd_tls_find(enum nd_tls_kind kind, const void *return_address, const void *object,
                                 struct nd_tls *room);

/* Where `object` keeps its method, a constant of the library that made it, by which nd_tls_still knows both again; NULL where it
 * does not. Async-signal-safe. */
const void *const *nd_tls_method(const struct nd_tls *tls, const void *object);

/* Whether `tls`, which nd_tls_find gave for an object at the same place whose `*word` was `method`, is right for it still. It is
 * where this is the same object, which keeps its library loaded. It might be another's: then the method stands elsewhere, unless
 * the library was replaced by one of the same layout, and then the function that will be called begins otherwise, unless it is
 * the same. Async-signal-safe. */
static inline bool nd_tls_still(const struct nd_tls *tls, const void *const *word, const void *method) {
    uint64_t now[2];
    if (*word != method)
        return false;
    memcpy(now, tls->proof, sizeof now);
    return now[0] == tls->begin[0] && now[1] == tls->begin[1];
}

/* Whether `address` lies in the code of the library itself. */
static inline bool nd_tls_contains(const struct nd_tls *tls, const void *address) {
    return ((uintptr_t)address >= tls->text[1][0] && (uintptr_t)address < tls->text[1][1]) ||
           ((uintptr_t)address >= tls->text[0][0] && (uintptr_t)address < tls->text[0][1]);
}

/* Leaves errno in OpenSSL's error queue, unless something stands there already. SSL_get_error still says SSL_ERROR_SYSCALL
 * for it; with an empty queue Python (3.10 to 3.11, after SSL_read_ex) takes any failed read for an end of file, and its
 * sockets turn that into a clean one: a truncated answer. Keeps errno. Not async-signal-safe. */
void nd_tls_queue_errno(const struct nd_tls *tls);

#endif
