/* When to give up waiting for space in a send buffer: SEND (no progress) and UNACKED (the peer is gone). */
#pragma once

#include "shim/limit/expiry.h"
#include "shim/report/slots.h"
#include "shim/socket/tcp_info.h"

/* What one wait for space has observed. Times are by the caller's clock: the monotonic one, or a wait clock. */
struct nd_send_space {
    nd_time progress;      /* when bytes last moved, or the wait began */
    nd_time unacked_since; /* since when data or a window probe is outstanding; -1 for none */
    uint32_t queued;       /* bytes in the send queue then */
};

/* Begins to observe at `now`: reads the kernel's state once. Async-signal-safe; keeps errno. */
struct nd_send_space nd_send_space_begin(int fd, nd_time now);

/* Updates `unacked_since` by what the kernel reported at `now`. */
void nd_send_space_answers(struct nd_send_space *space, const struct nd_tcp_info *info, nd_time now);

/* When SEND or UNACKED fires, whichever does first; ND_NEVER where none runs. *limit says which. Async-signal-safe. */
nd_time nd_send_space_fires(const struct nd_sock *sock, const struct nd_send_space *space, enum nd_limit *limit);

/* Notes that for `netdeadline ps` in the slot of the call. Async-signal-safe. */
void nd_send_space_show(const struct nd_sock *sock, const struct nd_send_space *space, const struct nd_slot_use *use);

/* Reads the kernel's state again at `now`. Returns true if a limit has expired, and fills *expiry but for the
 * operation; else false, with the time of the next check in *next (ND_NEVER without limits). A peer that acknowledges
 * data or window probes is alive, however long its window is closed: between probes, which are up to 120 s apart,
 * nothing is outstanding and UNACKED does not run. Async-signal-safe; keeps errno. */
bool nd_send_space_check(int fd, struct nd_sock *sock, struct nd_send_space *space, nd_time now,
                         struct nd_expiry *expiry, nd_time *next);
