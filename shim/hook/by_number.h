/* Messages that syscall() sends in a program of musl. There the functions are not the system calls: sendmsg takes at most
 * 1,024 bytes of ancillary data, and sendmmsg is a loop that goes on after a message of which only a part was sent. */
#pragma once

#include <sys/socket.h>

/* As the hooks of the functions, but that the messages leave by number. */
ssize_t nd_sendmsg_by_number(int fd, const struct msghdr *msg, int flags);
int nd_sendmmsg_by_number(int fd, struct mmsghdr *messages, unsigned count, int flags);
