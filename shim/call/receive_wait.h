/* A receiving call that waits, and what is waited for after a first result: in poll, where a limit must be able to wake it that no
 * timer of the kernel's keeps. Async-signal-safe; cancellation points as the call itself. */
#ifndef ND_CALL_RECEIVE_WAIT_H
#define ND_CALL_RECEIVE_WAIT_H

#include "base/clock.h"
#include "base/compiler.h"
#include "shim/call/receive_call.h"
#include "shim/socket/record.h"
#include "shim/tls/scope.h"
#include "shim/wait/wait.h"

/* Inside a TLS operation: tries, then waits for what is left of that. */
ssize_t nd_receive_scoped(const struct nd_receive_call *call, struct nd_sock *sock, const struct nd_scope *scope);

/* Tries, then waits under IDLE, LIFETIME, MIN_RATE, or a `limit` (0: none) that no timer of the kernel's keeps; it has a slot
 * while it waits. */
ssize_t nd_receive_polled(const struct nd_receive_call *call, struct nd_sock *sock, nd_time limit);

/* The call that began at `began` under the kernel's timer (RECV) has given `result`, which is not simply bytes: gives what the program
 * should get, after more waiting where the call ended before its time or wants more bytes. *how says how that wait ended. */
ND_COLD ssize_t nd_receive_kernel_timed_result(const struct nd_receive_call *call, struct nd_sock *sock, nd_time began,
                                               ssize_t result, enum nd_waited *how);

#endif
