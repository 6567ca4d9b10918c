/* Whether a program waits for input of one of its connections. */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "cli/process/go_waits.h"

enum input {
    INPUT_IGNORED,   /* it is known that nobody waits for any */
    INPUT_UNSETTLED, /* nobody is seen to; but a thread was running, and may have been between two waits */
    INPUT_AWAITED    /* somebody does, or what the program waits for is not to be seen */
};

/* Begins to look at the process. */
void input_look(pid_t pid);

/* Whether the process that is looked at waits for input of its descriptor `fd`, which is the socket `inode`, or of any
 * other that it has of it: a thread is blocked in a call for it, or the descriptor is in an epoll set for it. What the
 * threads wait for is read once for each look. */
enum input input_of(int fd, uint32_t inode);

/* The same for a program in Go (`go`), and for any other (NULL) after input_look. */
enum input input_of_program(struct go_program *go, int fd, uint32_t inode);

/* Whether a thread is blocked in a call that waits for input of the descriptor, among whatever else, or for requests of
 * io_uring, of which nobody knows what they are. */
bool input_has_waiter(int fd);
