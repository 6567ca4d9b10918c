/* Calls by number, as syscall(2) makes them: what the hook of that has in other files. Results and errno as of it. */
#pragma once

#include <sys/socket.h>

/* Makes the system call `number` as the hooked function does it, if it has one; else as it is. */
long nd_syscall_hooked(long number, long a, long b, long c, long d, long e, long f);

/* The same for what only i386 has: the socket calls behind one number (socketcall), a select with its arguments in
 * memory, and ppoll_time64, pselect6_time64 and recvmmsg_time64. Async-signal-safe. */
long nd_syscall32(long number, long a, long b, long c, long d, long e, long f);

/* Makes the system call prctl or seccomp. If it installs a filter, the library adds no system call any more.
 * Async-signal-safe. */
long nd_prctl_by_number(long number, long a, long b, long c, long d, long e, long f);

/* Messages in a program of musl, where the functions are not the system calls: sendmsg takes at most 1,024 bytes of
 * ancillary data, and sendmmsg is a loop that goes on after a message of which only a part was sent. As the hooks of
 * the functions, but that the messages leave by number. */
ssize_t nd_sendmsg_by_number(int fd, const struct msghdr *msg, int flags);
int nd_sendmmsg_by_number(int fd, struct mmsghdr *messages, unsigned count, int flags);
