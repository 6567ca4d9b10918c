/* The epoll sets of a process, and what is in them, as /proc tells. */
#pragma once

#include <stdint.h>
#include <sys/types.h>

/* Calls visit(fd, events, data, arg) for each descriptor in the set. What is registered once (EPOLLONESHOT) and has
 * been reported has no events. */
void epoll_set_each(pid_t pid, int epfd, void (*visit)(int fd, uint32_t events, uint64_t data, void *arg), void *arg);

/* What the target of a link in /proc/PID/fd says of an epoll set. */
#define EPOLL_SET_LINK "anon_inode:[eventpoll]"
