/* A lock for a few instructions at a time, never across a wait. A forked child that finds it held by a thread of its
 * parent takes it over; what it guards must be whole between any two instructions, or be thrown away in a child. */
#ifndef ND_RESOLVER_LOCK_H
#define ND_RESOLVER_LOCK_H

#include <stdbool.h>

/* `lock` is 0, or the pid of the process whose thread holds it. False: not to be had in a short time. */
bool nd_lock_try(int *lock);
void nd_lock(int *lock);
void nd_unlock(int *lock);

#endif
