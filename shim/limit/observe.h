/* MODE=observe: the program's own call, timed, with a row in `netdeadline ps` while it lasts. An expiry that a limit
 * would have caused is reported when the call has returned. Async-signal-safe; keeps errno. */
#pragma once

#include "base/frame.h"
#include "shim/limit/expiry.h"
#include "shim/report/slots.h"

struct nd_observe {
    int fd;
    struct nd_sock *sock;
    enum nd_call operation;
    enum nd_limit limit;
    nd_time began;
    struct nd_slot_use use;
};

/* The real call is about to be made, in the frame of the function that uses this; `limit` would bound it. */
#define nd_observe_begin(observe, operation, fd, sock, limit)                                                          \
    nd_observe_begin_in(ND_FRAME_SLOT(), observe, operation, fd, sock, limit)
void nd_observe_begin_in(const uintptr_t *frame, struct nd_observe *observe, enum nd_call operation, int fd,
                         struct nd_sock *sock, enum nd_limit limit);

/* The real call has returned `result`, and errno; where the command has woken it errno becomes ERESTART. `would` is the expiry that the limit would have caused, as far as it
 * differs from a limit of RECV or SEND on the duration of the call: its timeout (0: as the socket has it, or none), how
 * long the limit had run, and the peer where the kernel does not know it. */
void nd_observe_end(struct nd_observe *observe, long result, struct nd_expiry would);
