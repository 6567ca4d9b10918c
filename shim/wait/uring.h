/* Sockets that come into epoll sets past epoll_ctl: libuv adds them by io_uring from 1.45 on (Node.js, dig). The rings are the
 * program's own memory, so what they did is read where the kernel lists it, and only once a ring has been made by syscall(2).
 * Everything here is async-signal-safe. */
#ifndef ND_WAIT_URING_H
#define ND_WAIT_URING_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/epoll.h>

/* io_uring_setup or io_uring_enter has succeeded: what is in the epoll sets may have changed. */
void nd_uring_noted(bool is_new);

/* Calls visit(epfd, fd, event) for each member of the set. False where the kernel does not list them (no /proc). Errno
 * undefined. */
bool nd_uring_members(int epfd, void (*visit)(int epfd, int fd, const struct epoll_event *event));

#endif
