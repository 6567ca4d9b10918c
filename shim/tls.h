/* The real OpenSSL functions, found for the module that calls: libssl may be loaded RTLD_LOCAL (Python, Perl, PHP), where
 * RTLD_NEXT does not see it, and two OpenSSLs may live in one process. */
#ifndef ND_TLS_H
#define ND_TLS_H

#include <stdbool.h>

#include "shim/real.h"

struct nd_tls {
#define ND_HOOK(name, type, params, args, raw)
#define ND_ALIAS(name, of)
#define ND_TLS(name, type, params, args) type(*name) params;
#include "shim/hooks.def"
#undef ND_HOOK
#undef ND_ALIAS
#undef ND_TLS
    int (*SSL_get_rfd)(const struct ssl_st *ssl);
    int (*SSL_is_init_finished)(const struct ssl_st *ssl);
    unsigned long (*ERR_peek_error)(void);
    void (*ERR_put_error)(int lib, int func, int reason, const char *file, int line); /* before 3.0 */
    void (*ERR_new)(void);                                                            /* since 3.0 */
    void (*ERR_set_error)(int lib, int reason, const char *format, ...);
};

/* Leaves errno in OpenSSL's error queue, unless something stands there already. SSL_get_error still says SSL_ERROR_SYSCALL
 * for it; with an empty queue Python (3.10 to 3.11, after SSL_read_ex) takes any failed read for an end of file, and its
 * sockets turn that into a clean one: a truncated answer. Keeps errno. Not async-signal-safe. */
void nd_tls_queue_errno(const struct nd_tls *tls);

/* Fills *tls for the module that contains `return_address`; false if no OpenSSL can be found for it. Functions that its
 * version lacks are NULL. Takes the loader's lock: not async-signal-safe, as OpenSSL itself is not. */
bool nd_tls_find(struct nd_tls *tls, const void *return_address);

#endif
