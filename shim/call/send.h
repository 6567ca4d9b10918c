/* A sending call on a watched descriptor: it is tried without waiting; only when the send buffer has no space it waits,
 * under SEND and UNACKED, or until the deadline of a TLS operation. Everything here is async-signal-safe. */
#pragma once

#include "shim/call/send_call.h"

/* Makes the call, under the limits that bound it. Keeps errno on success. */
ssize_t nd_send(const struct nd_send_call *call);

/* Continues after a first attempt with MSG_NOSIGNAL, which returned `sent` and was not the whole call. The attempt had
 * MSG_DONTWAIT where `tried`. `error_before` is errno before it. */
ssize_t nd_send_rest(const struct nd_send_call *call, bool tried, ssize_t sent, int error_before);

/* The call as the program made it, unbounded. */
ssize_t nd_send_plain(const struct nd_send_call *call);

/* The number of bytes in the call. */
size_t nd_send_total(const struct nd_send_call *call);
