/* The real functions behind the hooks. The library itself never calls a function by an interposed name, but nd_real.X
 * or nd_real_X(). */
#pragma once

#include <netdb.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
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

/* A typed pointer for each libc row of hooks.def. Until nd_find_real() has run, each points to a function that makes
 * the raw system call; where nd_real_is_libcs, until its first call, to one that finds libc's. */
struct nd_real {
#define ND_HOOK(name, type, params, args, raw) type(*name) params;
#include "shim/hooks.def"
};
extern struct nd_real nd_real __attribute__((visibility("hidden")));

/* The same as functions: when the library is linked, the calls in c-ares, libunwind and resolver/ are renamed to these.
 * Each is async-signal-safe where the real function is. What a lookup calls inside itself is libc's own also where
 * another library stands in between (nd_find_libcs_own): it does not see the calls of libc's lookups, either. So is what
 * the library asks the kernel of a socket that another one may hide. */
#define ND_HOOK(name, type, params, args, raw) type nd_real_##name params;
#include "shim/hooks.def"

/* The function that frees what the next getaddrinfo returns, which is no hook. */
extern void (*nd_next_freeaddrinfo)(struct addrinfo *) __attribute__((visibility("hidden")));

/* Finds every real function: the next one in the search order, as dlsym(RTLD_NEXT) does, which may be called and may
 * allocate; or finds that no other file than libc defines any. Called by the constructor. Not async-signal-safe. */
void nd_find_real(void);

/* Whether each real function is libc's, or a raw system call. */
extern bool nd_real_is_libcs __attribute__((visibility("hidden")));

/* What a pointer of nd_real will hold after its first call, where nd_real_is_libcs; NULL where libc lacks the function.
 * Async-signal-safe. */
void *nd_real_find(const void *real, const char *name);

/* Finds libc's own functions for what lookups do with sockets, where `is_others` says of the real one that it is another
 * library's. Called by the constructor, after nd_find_real. */
void nd_find_libcs_own(bool (*is_others)(const void *code));
