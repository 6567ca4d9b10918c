/* The system call that a thread is blocked in, as /proc tells, for calls that the library does not see and processes
 * without it. */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "cli/process/sockets.h"
#include "cli/process/waits.h"
#include "shim/report/operations.h"

struct system_call {
    const char *name;        /* "recvfrom"; NULL for one that waits for no socket */
    int fd;                  /* the socket, or the first connection of a set */
    unsigned more;           /* further connections in the set */
    bool is_set;             /* it waits for a set of descriptors */
    struct socket_info info; /* of fd */
    uint64_t stack;          /* the thread's stack pointer; 0 where it is running */
};

/* Looks at thread `tid` of `pid`. Returns 0, or -1 where it may not be looked at or has ended. Of a set of descriptors
 * only connections of the internet count, so that idle event loops stay out. Replaces what is in *waits by everything
 * that the call waits for; of a set of the epoll kind what is in it. */
int system_call_look(pid_t pid, pid_t tid, bool is_64, struct system_call *call, struct wait_list *waits);

/* A system call in which a thread is blocked, with its arguments, as those of the call that it stands for (i386's
 * socketcall), and where the thread's stack and its program are. */
struct blocked_call {
    long number;
    enum nd_call operation; /* ND_OPERATION_NONE: another call */
    uint64_t arguments[6], stack, program;
};

/* io_uring_enter(2), on each machine. */
enum { SYSTEM_CALL_IO_URING_ENTER = 426 };

/* Reads the call. Returns 1; 0 for a thread that is in none (it is running); -1 where it may not be looked at, or has
 * ended. */
int system_call_read(pid_t pid, pid_t tid, bool is_64, struct blocked_call *call);

/* Calls visit(fd, events, arg), with poll's events, for each descriptor that a call of the family of poll or select waits
 * for. Returns false where these could not all be read (of more than 65,536 the first are). */
typedef void system_call_polled(int fd, short events, void *arg);
bool system_call_each_polled(pid_t pid, const struct blocked_call *call, system_call_polled *visit, void *arg);

/* The descriptor that the thread waits for input of, and of nothing else: by a call that reads it, or by poll. -1 where
 * it does not. */
int system_call_receives_from(pid_t pid, pid_t tid, bool is_64);

/* Does what system_call_look does for an epoll set alone. Returns false where no connection is in it. */
bool system_call_look_at_epoll(pid_t pid, int epfd, struct system_call *call, struct wait_list *waits);
