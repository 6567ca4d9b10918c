/* Another process's memory. It is the other process's to change, or to make nonsense of, at any time. */
#pragma once

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* Copies `size` bytes from `address` in the process. Returns 0 if all of them could be read, else -1 and errno: ESRCH
 * when it is gone, EPERM or EACCES when it may not be looked into, EFAULT when nothing is there. */
int memory_read(pid_t pid, uint64_t address, void *to, size_t size);

/* Copies the other way, with the same errors. */
int memory_write(pid_t pid, uint64_t address, const void *from, size_t size);

/* Reads text of at most `size` - 1 bytes, which may end where the memory does. `to` ends in a NUL in any case. Returns
 * 0, or -1 where there is no text. */
int memory_read_text(pid_t pid, uint64_t address, char *to, size_t size);
