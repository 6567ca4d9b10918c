/* UNACKED for those who wait for input: the peer is gone when something was sent and nothing has been acknowledged for
 * that long. The kernel of a live peer acknowledges whether its program reads or not. Everything here is
 * async-signal-safe. */
#pragma once

#include "shim/limit/expiry.h"
#include "shim/socket/limits.h"
#include "shim/socket/tcp_info.h"

/* When the connection is to be checked, seen from `now`. ND_NEVER without a limit. Notes it, so that repeated waits come
 * to a check. */
nd_time nd_gone_due(struct nd_sock *sock, nd_time now);

/* A wait for this socket alone begins: it is likely that something has just been sent. Its first check is due soon,
 * whatever the last one has said. */
void nd_gone_wait_begins(struct nd_sock *sock, nd_time now);

/* How long something that was sent has been outstanding with nothing acknowledged meanwhile, as the kernel tells it and
 * the last check noted; 0 where nothing is. */
nd_time nd_gone_for(const struct nd_sock *sock, const struct nd_tcp_info *info, nd_time now);

/* How long after a check that has found `unacked` the next one is due; 0 or less where the limit is over. */
nd_time nd_gone_next_check(const struct nd_tcp_info *info, nd_time unacked, nd_time limit);

/* Checks the connection if it is due at `now`: one system call. Returns true if the peer is gone, and fills *expiry but
 * for the operation. Keeps errno. */
bool nd_gone_check(int fd, struct nd_sock *sock, nd_time now, struct nd_expiry *expiry);
