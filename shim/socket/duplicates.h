/* The descriptors of one socket (dup): what is set through one of them holds for all. */
#pragma once

#include "shim/socket/record.h"

/* Makes the record of `to`, which dup just returned, from that of `fd`. Async-signal-safe; keeps errno. */
void nd_duplicates_create(int fd, int to);

/* Notes that both are records of one socket. */
void nd_duplicates_join(struct nd_sock *sock, struct nd_sock *duplicate);

/* Brings the duplicates of `fd` up to date with it: one pass over all descriptors where there are any. Those of another
 * process have records of their own. Async-signal-safe; keeps errno. */
void nd_duplicates_update(int fd, const struct nd_sock *sock);

/* Called before `fd` is closed or replaced: the time that was waited through it counts for the other descriptors of the
 * socket. Async-signal-safe; keeps errno. */
void nd_duplicates_hand_over(int fd, const struct nd_sock *sock);

/* Returns how long ago the request was sent, through any of the descriptors, whose reply is pending; ND_NEVER where
 * none is known. The last bytes were sent and received so long ago. */
nd_time nd_duplicates_reply_pending(int fd, struct nd_sock *sock, nd_time sent, nd_time received, nd_time now);
