/* Scanning an epoll set: what is due ends, and when the next is due is noted. Async-signal-safe. */
#ifndef ND_WAIT_EPOLL_SCAN_H
#define ND_WAIT_EPOLL_SCAN_H

#include "shim/limit/wait_clock.h"

/* The connections in it, and in sets within. */
struct nd_connections nd_epoll_connections(int epfd);

/* Looks through the set's sockets: ends what is due, told as `operation`, and notes when the next one will be. `company` is
 * what is waited for together, where the set is only a part of it; else NULL. Returns whether anything ended. Errno undefined. */
bool nd_epoll_scan(const char *operation, int epfd, const struct nd_connections *company, nd_time now);

#endif
