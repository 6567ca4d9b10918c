/* The descriptors of a process, as /proc tells. */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

enum descriptor_kind { DESCRIPTOR_OTHER, DESCRIPTOR_SOCKET, DESCRIPTOR_EPOLL_SET, DESCRIPTOR_IO_URING };

struct process_descriptor {
    int fd;
    enum descriptor_kind kind;
    uint32_t inode; /* of a socket; else 0 */
};

/* What the descriptor is of; DESCRIPTOR_OTHER also where that cannot be seen, with errno. */
struct process_descriptor descriptor_look(pid_t pid, int fd);

/* Calls visit(descriptor, arg) for each descriptor of the process until it returns true. Returns whether it did, or -1
 * and errno where they may not be seen. Those that is_known(fd, arg) says true of are passed over, which saves most of
 * the cost; it may be NULL. */
int descriptors_each(pid_t pid, bool (*is_known)(int fd, void *arg),
                     bool (*visit)(const struct process_descriptor *descriptor, void *arg), void *arg);

/* Calls visit(fd, events, data, arg) for each descriptor in the epoll set `epfd` of the process. What is registered once
 * (EPOLLONESHOT) and has been reported has no events. */
void descriptors_in_epoll_set(pid_t pid, int epfd, void (*visit)(int fd, uint32_t events, uint64_t data, void *arg),
                              void *arg);
