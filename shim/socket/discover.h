/* Sockets that were created where no hook saw it: their records are made from what the kernel reports. Everything here
 * is async-signal-safe. */
#pragma once

#include <sys/socket.h>

#include "shim/socket/record.h"

/* Starts the record of `fd` by the options that the kernel reports; NULL if it is no socket, or they cannot be read.
 * Errno undefined. */
struct nd_sock *nd_sock_discover(int fd);

/* Starts the record of a descriptor that this process inherited or received: discovers it, and puts the limits of its
 * side on an established connection. What the record held was another descriptor's. Errno undefined. */
void nd_discover_arrived(int fd);

/* Starts the records of the inherited descriptors: all up to the first gap of many closed numbers. Keeps errno. */
void nd_discover_inherited(void);

/* Starts the records of the descriptors in the control data of a received message (SCM_RIGHTS). Keeps errno. */
void nd_discover_received(const struct msghdr *msg);
