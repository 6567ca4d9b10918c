/* The way into a process's network namespace: a netlink socket of it, by which its connections are listed and ended. */
#pragma once

#include <stdint.h>
#include <sys/types.h>

/* Opens a netlink socket that lists the sockets of the process's network namespace. Where that is another one, a child
 * of this command's own opens it there, which takes the right to enter it. Returns -1 and errno. */
int connections_open(pid_t pid);

/* The inode of the process's network namespace; 0 where it may not be seen. */
uint64_t connections_namespace(pid_t pid);
