/* A lock that is held for a few instructions and never across a wait. A forked child that finds it held by a thread of
 * its parent takes it over; the data that it protects must be consistent between any two instructions, or be discarded
 * in a child. */
#ifndef ND_RESOLVER_LOCK_H
#define ND_RESOLVER_LOCK_H

#include <stdbool.h>

/* `lock` is 0, or the pid of the process whose thread holds it. False: the lock could not be taken in a short time. */
bool nd_lock_try(int *lock);
void nd_lock(int *lock);
void nd_unlock(int *lock);

#endif
