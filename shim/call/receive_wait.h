/* Receiving calls that wait in poll, under limits for which SO_RCVTIMEO does not suffice, and calls that continue after
 * a first result. Everything here is async-signal-safe and a cancellation point like the call itself. */
#pragma once

#include "base/compiler.h"
#include "shim/call/receive_call.h"
#include "shim/tls/scope.h"
#include "shim/wait/wait.h"

/* Inside the TLS operation `scope`: tries, then waits until the operation's deadline. */
ssize_t nd_receive_scoped(const struct nd_receive_call *call, struct nd_sock *sock, struct nd_scope *scope);

/* Tries, then waits under IDLE, LIFETIME, MIN_RATE and RECV (`limit`, 0 for none); has a slot while it waits. */
ssize_t nd_receive_polled(const struct nd_receive_call *call, struct nd_sock *sock, nd_time limit);

/* The same after a first attempt that has given `result`, and errno. */
ssize_t nd_receive_rest(const struct nd_receive_call *call, struct nd_sock *sock, nd_time limit, ssize_t result);

/* The call that began at `began` under SO_RCVTIMEO (RECV) has returned `result`, no bytes or fewer than it waits for.
 * Returns what the program gets, after another wait where the call returned before the limit or wants more bytes. *how
 * says how the slot of the call is counted. */
ND_COLD ssize_t nd_receive_kernel_timed_result(const struct nd_receive_call *call, struct nd_sock *sock, nd_time began,
                                               ssize_t result, enum nd_slot_end *how);
