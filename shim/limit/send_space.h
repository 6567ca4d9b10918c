/* When to give up waiting for room in a send queue: SEND (no progress) and UNACKED (the peer is gone). */
#ifndef ND_LIMIT_SEND_SPACE_H
#define ND_LIMIT_SEND_SPACE_H

#include "shim/limit/expiry.h"
#include "shim/socket/record.h"
#include "shim/socket/tcp_info.h"

/* Observations of one wait for room. Times are the caller's: real ones, or a wait clock's. */
struct nd_send_space {
    nd_time progress;      /* when bytes last moved, or the wait began */
    nd_time unacked_since; /* since when something is unanswered; -1 for nothing */
    uint32_t queued;       /* bytes in the send queue then */
};

/* Begins to watch at `now`: looks at the kernel's state once. Async-signal-safe; keeps errno. */
struct nd_send_space nd_send_space_begin(int fd, nd_time now);

/* Takes in what the kernel reports at `now` of the data or window probes that are outstanding. */
void nd_send_space_answers(struct nd_send_space *room, const struct nd_tcp_info *info, nd_time now);

/* Looks again at `now`. Returns true if a limit has fired, and fills *expiry but for the operation; else false, and the time
 * of the next look in *next (ND_NEVER without limits). A peer that acknowledges data or window probes is alive, however long
 * its window is closed: between probes, which come up to 120 s apart, nothing is outstanding and UNACKED does not run.
 * Async-signal-safe; keeps errno. */
bool nd_send_space_check(int fd, const struct nd_sock *sock, struct nd_send_space *room, nd_time now,
                         struct nd_expiry *expiry, nd_time *next);

#endif
