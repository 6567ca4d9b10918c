/* The bytes of a sending call after a first part that was sent. */
#pragma once

#include "shim/call/send_call.h"

/* Makes the call for the bytes after the first `done` (> 0, and fewer than the call has) with `flags` in the place of
 * its own. Each call with MSG_ZEROCOPY that sends bytes has a completion of its own, and the program expects one for all
 * of them: the remainder of such a call is copied. Returns what the real call returns. Async-signal-safe. */
ssize_t nd_send_remainder(const struct nd_send_call *call, size_t done, int flags);

/* The same by the system call that the program itself makes, for where a filter may allow nothing else; of a writev
 * with many buffers the first of them, to be called again. */
ssize_t nd_send_remainder_plainly(const struct nd_send_call *call, size_t done);
