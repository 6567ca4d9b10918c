/* The TLS operation that a call on a socket is part of. */
#ifndef ND_TLS_INNERMOST_H
#define ND_TLS_INNERMOST_H

#include "shim/tls/scope.h"

/* The scope that a call on `fd`, made from the code at `caller`, is part of, or NULL. One left by longjmp, or by a signal
 * handler's jump, is recognised: its frame must be further up the same stack and still hold its return address, which any
 * other call from there overwrites, and its own words; and the call must come from where the operation's calls come from.
 * Async-signal-safe; keeps errno. */
struct nd_scope *nd_scope_of(int fd, const void *caller);

/* The same where that scope has a deadline; else NULL. */
struct nd_scope *nd_scope_bounds(int fd, const void *caller);

/* Whether the thread is in an operation that seeks its socket. Async-signal-safe. */
bool nd_scope_finds_socket(void);

/* The thread makes a call on a socket that is sought: it is the one, where the thread seeks. Else it is not looked at again.
 * Async-signal-safe; keeps errno. */
void nd_scope_touched(int fd, struct nd_sock *sock);

#endif
