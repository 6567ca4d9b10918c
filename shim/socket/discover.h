/* Sockets whose birth no hook saw: what the kernel says of them. Everything here is async-signal-safe. */
#ifndef ND_SOCKET_DISCOVER_H
#define ND_SOCKET_DISCOVER_H

#include <sys/socket.h>

#include "shim/socket/record.h"

/* Asks the kernel what `fd` is and starts its record; NULL if it is no socket or cannot be asked. Errno undefined. */
struct nd_sock *nd_sock_discover(int fd);

/* Begins the record of a descriptor that came to this process as it is (inherited, received): discovers it, and puts the
 * limits of its side on a connection that stands. What stood in the record was another descriptor's. Errno undefined. */
void nd_discover_arrived(int fd);

/* The descriptors inherited at the start: all up to the first gap of many closed numbers. Keeps errno. */
void nd_discover_inherited(void);

/* The descriptors in the control data of a message that was received (SCM_RIGHTS). Keeps errno. */
void nd_discover_received(const struct msghdr *msg);

#endif
