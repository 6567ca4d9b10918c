/* UNACKED where no hook sees the wait, as in stdio: the kernel itself gives up on data that nobody acknowledges after
 * net.ipv4.tcp_retries2 retransmissions, and TCP_RTO_MAX_MS (Linux 6.15) bounds the time between two of them. A peer
 * whose window is closed acknowledges the probes of that, and stays connected. */
#ifndef ND_SOCKET_RETRANSMIT_H
#define ND_SOCKET_RETRANSMIT_H

#include <stdbool.h>

#include "shim/socket/record.h"

/* The option that has the kernel give up after `limit`, or as soon after it as it can, in milliseconds, where it makes
 * `retries` retransmissions; 0: its own time is not longer than that. */
int nd_retransmit_longest(nd_time limit, int retries);

/* The program will read `fd` by stdio: sets the option as UNACKED says, unless the program's own is shorter. Nothing
 * changes where the kernel has no such option. Keeps errno. */
void nd_retransmit_bound(int fd, struct nd_sock *sock);

/* Restores the program's own value. Keeps errno. */
void nd_retransmit_restore(int fd, struct nd_sock *sock);

/* Whether this is the option, and ours stands on the socket; *own is then the program's. */
bool nd_retransmit_read_back(const struct nd_sock *sock, int level, int name, int *own);

/* The program has set an option: if it is this one, its value stands. Returns whether it is. */
bool nd_retransmit_program_set(struct nd_sock *sock, int level, int name);

#endif
