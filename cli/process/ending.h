/* Ends a connection of another process. Each function takes a descriptor of the process's (pidfd_open(2)), by which it
 * stays that process, and the number of one of its descriptors, which may be another socket by now: the cookie says. */
#pragma once

#include "cli/process/connections.h"

/* Opens a descriptor of the process. Returns -1 and errno: ENOSYS before Linux 5.3, ESRCH where it is gone. */
int process_open(pid_t pid);

/* Whether the process has ended. */
bool process_has_ended(int pidfd);

/* Copies the process's descriptor (pidfd_getfd(2), Linux 5.6), which takes ptrace's permission. The caller closes it.
 * Returns -1 and errno; ESTALE where the descriptor is not the socket that has the cookie (0: any). */
int ending_copy(int pidfd, int fd, uint64_t cookie);

/* Reads anew what the kernel tells of the connection that `copy` is of. Returns 0, or -1 where it is gone. */
int ending_refresh(int copy, struct connection *connection);

/* How a connection was ended, and so what the program sees. */
enum ending {
    ENDING_NONE,         /* it was not: errno says why */
    ENDING_DISCONNECTED, /* an error for each thread that waits, no end of file */
    ENDING_DESTROYED,    /* an error once, then end of file */
    ENDING_SHUT          /* end of file */
};

/* Ends the connection that `copy` is of: disconnects it, or, where the kernel refuses that, destroys it through
 * `netlink` (-1: not). */
enum ending ending_end(int copy, int netlink, const struct connection *connection);

/* The same for a connection of a process under the library, as the library itself ends one: it is marked
 * (shim/socket/ended.h), so that the library knows what has become of it, and gives errors where the kernel has an end
 * of file. */
enum ending ending_end_marked(int copy);

/* The same without a copy, by SOCK_DESTROY alone: the process's descriptor is compared with the connection's inode
 * first. */
enum ending ending_destroy(pid_t pid, int pidfd, int fd, int netlink, const struct connection *connection);
