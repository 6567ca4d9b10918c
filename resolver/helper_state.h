/* A copy of what the program has set in _res of a thread, for the helper thread that makes the thread's lookup: libc has
 * a _res for each thread. */
#pragma once

#include <stdbool.h>

struct nd_own_state;

/* Copies the _res of the calling thread where the program has changed it. *copy is NULL where it has not. False: out of
 * memory. */
bool nd_own_state_copy(struct nd_own_state **copy);
void nd_own_state_free(struct nd_own_state *copy);

/* Makes the copy the _res of the calling thread, until nd_own_state_leave. Does nothing in the thread that it was made
 * in, or where `copy` is NULL. */
void nd_own_state_enter(struct nd_own_state *copy);
void nd_own_state_leave(struct nd_own_state *copy);
