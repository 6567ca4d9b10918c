/* Finds the sockets that io_uring adds to epoll sets without epoll_ctl, as libuv does from 1.45 on (Node.js, dig). The
 * rings are the program's own memory, so the members of a set are read from /proc, and only once the program has made a
 * ring by syscall(2). Everything here is async-signal-safe. */
#pragma once

#include <stdbool.h>
#include <sys/epoll.h>

/* Called after io_uring_setup (`is_new`) or io_uring_enter has succeeded: members may have been added or removed. */
void nd_uring_noted(bool is_new);

/* Calls visit(epfd, fd, event) for each member of the set. Returns false if they cannot be read (no /proc). Errno
 * undefined. */
bool nd_uring_members(int epfd, void (*visit)(int epfd, int fd, const struct epoll_event *event));
