/* Descriptors of one socket (dup): what is set through one of them holds for all. */
#ifndef ND_SOCKET_DUPLICATES_H
#define ND_SOCKET_DUPLICATES_H

#include "shim/socket/record.h"

/* Makes the record of `to`, just made by dup, one of what is known of `fd`. Async-signal-safe; keeps errno. */
void nd_duplicates_create(int fd, int to);

/* Both are descriptors of one socket. */
void nd_duplicates_join(struct nd_sock *sock, struct nd_sock *copy);

/* What was set, connected or found out on `fd` is noted of its copies too. One pass over all descriptors where there are any. Not
 * those of another process, which have records of their own. Async-signal-safe; keeps errno. */
void nd_duplicates_update(int fd, const struct nd_sock *sock);

/* `copy`, made just now, has waited as long as `sock` has: shells make a new one for each redirection, as in a loop of
 * `read -t 1 <&3`. */
void nd_duplicates_inherit(const struct nd_sock *sock, struct nd_sock *copy);

/* `fd` is about to be closed or replaced: what was waited through it counts for another descriptor of the socket. Async-signal-safe;
 * keeps errno. */
void nd_duplicates_hand_over(int fd, const struct nd_sock *sock);

/* How long ago the question went out, through any of the descriptors, that is not answered: the last bytes went out `sent` ago, and
 * the last came in `heard` ago. ND_NEVER where none is known of. */
nd_time nd_duplicates_reply_pending(int fd, struct nd_sock *sock, nd_time sent, nd_time heard, nd_time now);

#endif
