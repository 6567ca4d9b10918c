/* UNACKED where no hook sees the wait, as in stdio: the kernel itself gives up on data that nobody acknowledges after
 * net.ipv4.tcp_retries2 retransmissions, and TCP_RTO_MAX_MS (Linux 6.15) bounds the time between two of them. A peer
 * whose window is closed acknowledges the probes of that, and stays connected.
 * Where hooks do see it, the same option has a peer that was out of reach hear of what it has missed within the limit. */
#pragma once

#include <stdbool.h>

#include "shim/socket/record.h"
#include "shim/socket/tcp_info.h"

/* The option that has the kernel give up after `limit`, or as soon after it as it can, in milliseconds, where it makes
 * `retries` retransmissions; 0: its own time is not longer than that. */
int nd_retransmit_longest(nd_time limit, int retries);

/* The program will read `fd` by stdio: sets the option as UNACKED says, unless the program's own is shorter. Nothing
 * changes where the kernel has no such option. Keeps errno. */
void nd_retransmit_bound(int fd, struct nd_sock *sock);

/* The option that has the retransmissions to a peer that has acknowledged nothing for `unacked` spread over what is left
 * of `limit`, the last of them near its end, in milliseconds: `shortest` or more. 0: the round trip is too long for it. */
int nd_retransmit_spread(const struct nd_tcp_info *info, nd_time unacked, nd_time limit, int shortest);

/* A check has found that nothing was acknowledged for `unacked` (0: nothing is outstanding), under UNACKED=`limit`. The
 * kernel doubles the time between two retransmissions: a peer that is out of reach and comes back in the second half of
 * the limit would hear of it long after it. So once one is silent for a while they are spread over the limit, until
 * nothing is outstanding. Keeps errno. */
void nd_retransmit_follow(int fd, struct nd_sock *sock, const struct nd_tcp_info *info, nd_time unacked, nd_time limit);

/* The settings have changed: the option follows UNACKED. Keeps errno. */
void nd_retransmit_renew(int fd, struct nd_sock *sock);

/* Whether this is the option, and ours stands on the socket; *own is then the program's. */
bool nd_retransmit_read_back(const struct nd_sock *sock, int level, int name, int *own);

/* The program has set an option: if it is this one, its value stands. Returns whether it is. */
bool nd_retransmit_program_set(struct nd_sock *sock, int level, int name);
