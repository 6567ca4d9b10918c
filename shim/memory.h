/* Memory of this process, read through the kernel: reading an address that is not mapped is an error, not a crash.
 * These functions are async-signal-safe and change errno. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Copies `size` bytes, or as many as can be read, and returns how many. Returns 0 where nothing can be read at `from`,
 * or the kernel refuses (before Linux 3.2, or under a seccomp filter). */
size_t nd_memory_copy(void *to, uintptr_t from, size_t size);

/* Whether the memory at `address` can be read, including a stack that grows to it. */
bool nd_memory_is_there(uintptr_t address);
