/* Scans the sockets of an epoll set, ends those whose limits have expired, and computes when the next limit expires.
 * Async-signal-safe. */
#pragma once

#include "shim/limit/wait_clock.h"

/* Counts the connections in the set and in its inner sets. */
struct nd_connections nd_epoll_connections(int epfd);

/* Scans the set at `now`, unless it is not due or another thread scans it: ends the connections whose limits have
 * expired, reported as `operation`, and sets when the set is due next. `connections` are all that the wait is for where
 * the set is only a part of it, else NULL. Returns whether a connection was ended. Errno undefined. */
bool nd_epoll_scan(const char *operation, int epfd, const struct nd_connections *connections, nd_time now);
