/* Stopping another process's thread for a moment, as a debugger would: neither its parent nor the thread itself sees it.
 * It goes on in any case, also when this command is killed. */
#pragma once

#include <sys/types.h>

/* Stops the thread. Returns the signal that it was about to take instead, 0 for none, or -1 and errno where it cannot be
 * stopped (ETIMEDOUT: it is in a call that no signal interrupts). */
int thread_stop(pid_t tid);

/* The same in two steps, so that several threads stop at once: asks the thread to stop (0, or -1 and errno), and waits
 * until it has. */
int thread_stop_begin(pid_t tid);
int thread_stop_end(pid_t tid);

/* Lets a thread go on that thread_stop has stopped; `signal` is what that has returned. */
void thread_go_on(pid_t tid, int signal);
