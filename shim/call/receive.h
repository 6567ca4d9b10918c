/* A receiving call on a watched descriptor, made under the limits that bound it. Everything here is async-signal-safe
 * and keeps errno on success. */
#pragma once

#include "shim/call/receive_call.h"

/* Makes the call. Under RECV the kernel times it (SO_RCVTIMEO, set when the socket was connected), and ETIMEDOUT
 * replaces the kernel's EAGAIN; inside a TLS operation it waits until the operation's deadline. */
ssize_t nd_receive(const struct nd_receive_call *call);

/* A first attempt without waiting, on a connected stream, has given `got` (minus the error number on failure), which is
 * not all that the call is made for. Returns what the program gets, after waiting where there was nothing. */
ssize_t nd_receive_tried(const struct nd_receive_call *call, long got);

/* The call was made plainly, since nothing bounded it, and has returned `result`, without bytes. Returns what the
 * program gets. */
ssize_t nd_receive_ended(const struct nd_receive_call *call, ssize_t result);

/* The same for a call that began at `began` under SO_RCVTIMEO, on a descriptor that had `generation`. */
ssize_t nd_receive_kernel_timed(const struct nd_receive_call *call, uint32_t generation, nd_time began, ssize_t result);
