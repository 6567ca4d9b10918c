/* The processes and threads that /proc lists. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* Calls visit(number, arg) for each process, or for each thread of `pid`. Returns 0, or -1 where they cannot be
 * listed. */
int process_each(void (*visit)(pid_t pid, void *arg), void *arg);
int process_each_thread(pid_t pid, void (*visit)(pid_t tid, void *arg), void *arg);

/* Reads a process ID: digits, at most 2^22. 0 if it is none. */
pid_t process_parse(const char *text);

bool process_exists(pid_t pid);

/* The process's name (comm), escaped or raw; "?" where it is gone. */
void process_name(pid_t pid, char *out, size_t size);
void process_raw_name(pid_t pid, char *out, size_t size);

bool process_is_64(pid_t pid);

/* What tells a process, and what it has executed, from any other that has had its number: when it was started, and where
 * its code and stack are. All zeros where that cannot be seen. */
struct process_identity {
    uint64_t started, code, stack;
};
struct process_identity process_identity(pid_t pid);

/* Whether there is memory to look into. A process that ends gives it up before its number goes: while it still closes
 * its files, and as a zombie. */
enum process_life {
    PROCESS_LIVES,
    PROCESS_HEADLESS, /* its first thread has ended, through which its memory is seen, and others live on */
    PROCESS_ENDED
};
enum process_life process_life(pid_t pid);

/* By how much the process's CLOCK_MONOTONIC is ahead of the host's, in ns. It is not 0 in a time namespace. */
int64_t process_clock_offset(pid_t pid);

/* The number of thread `tid` of `pid` in its own PID namespace. */
pid_t process_inner_tid(pid_t pid, pid_t tid);
