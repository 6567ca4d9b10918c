/* Detached threads, and futex calls to wait for them. Only the futex calls are async-signal-safe. */
#ifndef ND_RESOLVER_THREAD_H
#define ND_RESOLVER_THREAD_H

#include <stdbool.h>

#include "base/clock.h"

/* Starts `run(arg)` detached, with all signals blocked and a small stack. False: the program has no libpthread, or no
 * thread can be created. */
bool nd_thread_start(void *(*run)(void *), void *arg);

/* Waits until `deadline`, a wake or another value of *word; may end early. False: a signal handler ran. Keeps errno. */
bool nd_futex_wait(int *word, int value, nd_time deadline);
void nd_futex_wake(int *word);

#endif
