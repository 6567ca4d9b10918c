/* Detached threads, and system calls that wait, none of them a cancellation point. Only these are async-signal-safe. */
#pragma once

#include <poll.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "base/clock.h"

/* Starts `run(arg)` detached, with all signals blocked. `stack` is the address space for its stack; ND_STACK_SMALL is
 * tried where that is not to be had. Returns NULL, or why there is no thread (static text). */
#define ND_STACK_SMALL ((size_t)512 << 10)
const char *nd_thread_start(void *(*run)(void *), void *arg, size_t stack);

/* What a thread of the program's would have by default, at least 8 MB. */
size_t nd_thread_default_stack(void);

/* Lets another thread go on that has little to do: yields at first, then sleeps for 0.1 ms. False after 0.1 s. Keeps
 * errno. */
bool nd_thread_pause(int turn);

/* Waits until thread `tid` of this process, which is about to end, is gone, so that unshare(2) sees none; for one to
 * two seconds at most, as on a loaded host the thread may not run before. Keeps errno. */
void nd_thread_wait_gone(pid_t tid);

/* Waits until `deadline`, a wake or another value of *word; may end early. False: a signal handler ran. Keeps errno. */
bool nd_futex_wait(int *word, int value, nd_time deadline);
void nd_futex_wake(int *word);

/* poll(2). */
int nd_poll(struct pollfd *fds, nfds_t count, int timeout_ms);
