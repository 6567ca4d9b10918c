/* Files that others read at any moment: they are replaced in one step, or not at all. */
#pragma once

#include <stddef.h>
#include <sys/types.h>

/* Reads a regular file of at most 16 MB into memory that the caller frees, with a NUL behind it. Returns NULL with errno
 * set where it cannot be read. */
char *file_read(const char *path, size_t *size);

/* Puts `size` bytes in the place of what the file at `path` holds: another file is written beside it and renamed. A
 * symbolic link stays, and what it points to is replaced. Owner, permissions, access list and SELinux label of the old
 * file are kept; a new one gets `mode`. Returns 0, or -1 with errno set: then nothing has changed. */
int file_replace(const char *path, const char *bytes, size_t size, mode_t mode);

/* Keeps other runs of this command from changing files in the directory of `path`, until this process ends. Waits for
 * them for some seconds at most, and goes on then. */
void file_lock_directory(const char *path);

/* Warns that a file cannot be written, for the reason in errno. Returns CLI_FAILED. */
int file_cannot_write(const char *path);
