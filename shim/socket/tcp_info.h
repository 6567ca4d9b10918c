/* What the kernel tells of a connection. */
#ifndef ND_SOCKET_TCP_INFO_H
#define ND_SOCKET_TCP_INFO_H

#include <netinet/tcp.h>
#include <stdbool.h>

#include "base/clock.h"

/* Its times since bytes moved are told by the kernel's tick: one may be less by as much than another that began with it. The
 * slowest kernels'. */
#define ND_TCP_TICK (10 * ND_MSEC)

/* Reads TCP_INFO; fields that the kernel does not know are 0. Where a kernel (or a filter) has no TCP_INFO, the state is told
 * from other signs, and nothing moved for ever: then the library's own clocks decide. So do they under qemu's user-mode
 * emulation, which passes on the first four bytes, with the state. False, with *info all 0, if `fd` is no
 * TCP socket. Async-signal-safe; keeps errno. */
bool nd_tcp_info(int fd, struct tcp_info *info);

#endif
