/* A receiving call on a descriptor that is watched. */
#ifndef ND_CALL_RECEIVE_H
#define ND_CALL_RECEIVE_H

#include "shim/call/receive_call.h"

/* Makes the call, under what bounds it: where RECV is on the kernel does (SO_RCVTIMEO, set at birth), and the right error is
 * given for its; inside a TLS operation it waits for what is left of that. Async-signal-safe; keeps errno on success. */
ssize_t nd_receive(const struct nd_receive_call *call);

/* The call was made as it is, since nothing bounded it, and has given `result`, which is no byte: what it is to give. */
ssize_t nd_receive_ended(const struct nd_receive_call *call, ssize_t result);

/* The same of a call that began at `began` under the kernel's timer, on a descriptor that had `generation`. */
ssize_t nd_receive_kernel_timed(const struct nd_receive_call *call, uint32_t generation, nd_time began, ssize_t result);

#endif
