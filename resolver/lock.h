/* A lock that is held for a few instructions and never across a wait. A forked child that finds it held by a thread of
 * its parent takes it over; the data that it protects must be consistent between any two instructions, or be discarded
 * in a child. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

/* Where the number of the process stands whose memory this is, or NULL. It must be 0 in a child with memory of its own
 * until it is that of the child; 0 means that the kernel is asked each time. */
extern const uint32_t *nd_lock_process;

/* The number of the process whose memory this is. A child of vfork has its parent's, or its own. */
int nd_lock_owner(void);

/* `lock` is 0, or the pid of the process whose thread holds it. False: the lock could not be taken in a short time. */
bool nd_lock_try(int *lock);
void nd_lock(int *lock);
void nd_unlock(int *lock);
