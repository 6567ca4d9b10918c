/* Finds the TLS operation that a call on a socket is part of. */
#pragma once

#include "shim/tls/scope.h"

/* The scope that a call on `fd`, made from the code at `caller`, is part of, or NULL. A scope that was left by longjmp,
 * also by one out of a signal handler, is not returned: the frame of its hook must be further up the same stack, still
 * hold its return address (which any later call from there overwrites) and the scope's own words; and `caller` must be
 * code that the operation makes its calls from. Async-signal-safe; keeps errno. */
struct nd_scope *nd_scope_of(int fd, const void *caller);

/* The same if that scope has a deadline; else NULL. */
struct nd_scope *nd_scope_bounds(int fd, const void *caller);

/* Whether the thread is in an operation whose socket is not known yet. Async-signal-safe. */
bool nd_scope_finds_socket(void);

/* Called when the thread makes a call on a socket with ND_SOCK_TLS_CANDIDATE, which is cleared. If the thread is in an
 * operation whose socket is not known yet, this is the one. Async-signal-safe; keeps errno. */
void nd_scope_touched(int fd, struct nd_sock *sock);
