/* Threads that nobody joins, and how they are waited for. Not async-signal-safe, but for the futex calls. */
#ifndef ND_RESOLVER_THREAD_H
#define ND_RESOLVER_THREAD_H

#include <stdbool.h>

#include "base/clock.h"

/* Start `run(arg)` detached, with all signals blocked and a small stack. False: the program has no libpthread, or no
 * thread is to be had. */
bool nd_thread_start(void *(*run)(void *), void *arg);

/* Wait while *word is `value`, until `deadline` or a wake; may end early. False: a signal handler ran. Keeps errno. */
bool nd_futex_wait(int *word, int value, nd_time deadline);
void nd_futex_wake(int *word);

#endif
