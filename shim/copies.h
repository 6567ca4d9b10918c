/* Descriptors of one socket (dup): what is set through one of them holds for all. */
#ifndef ND_COPIES_H
#define ND_COPIES_H

#include "shim/sockets.h"

/* Both are descriptors of one socket. */
void nd_copies_join(struct nd_sock *sock, struct nd_sock *copy);

/* What was set, connected or found out on `fd` is noted of its copies too. One pass over all descriptors where there are any. Not
 * those of another process, which have records of their own. Async-signal-safe; keeps errno. */
void nd_copies_tell(int fd, const struct nd_sock *sock);

#endif
