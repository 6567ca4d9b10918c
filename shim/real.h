/* The real functions behind the hooks. The library never calls an interposed name: it calls nd_real.X or nd_real_X(). */
#ifndef ND_REAL_H
#define ND_REAL_H

#include <netdb.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/epoll.h>
#include <sys/select.h>
#include <sys/socket.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <time.h>

#include "shim/time64.h"

struct ssl_st;
struct gnutls_session_int;
struct mbuffer_st;
struct __res_state;

/* One typed pointer for each libc row of hooks.def. Until nd_find_real() has run, each makes the raw system call. */
struct nd_real {
#define ND_HOOK(name, type, params, args, raw) type(*name) params;
#define ND_ALIAS(name, of)
#define ND_TLS(name, type, params, args)
#include "shim/hooks.def"
#undef ND_HOOK
#undef ND_ALIAS
#undef ND_TLS
};
extern struct nd_real nd_real __attribute__((visibility("hidden")));

/* The same as functions, for code that calls by name: the linked c-ares, libunwind and resolver have their calls renamed to
 * these when the library is linked. Async-signal-safe as the call itself is. */
#define ND_HOOK(name, type, params, args, raw) type nd_real_##name params;
#define ND_ALIAS(name, of)
#define ND_TLS(name, type, params, args)
#include "shim/hooks.def"
#undef ND_HOOK
#undef ND_ALIAS
#undef ND_TLS

/* Finds every real function (dlsym; may allocate). Called by the constructor and, for a call without a system call behind
 * it, by the first use before that. Not async-signal-safe. */
void nd_find_real(void);

#endif
