/* This process's memory, read by way of the kernel: an address that is not mapped, or not any more, is an error, not a
 * crash. Async-signal-safe; these change errno. */
#ifndef ND_MEMORY_H
#define ND_MEMORY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Copies `size` bytes, or as many as can be read. Returns how many; 0 where nothing can be read at `from`, or where the
 * kernel will not do it (before Linux 3.2, or under a seccomp filter). */
size_t nd_memory_copy(void *to, uintptr_t from, size_t size);

/* Whether memory at `address` can be read, and be it by the stack growing to there. */
bool nd_memory_is_there(uintptr_t address);

#endif
