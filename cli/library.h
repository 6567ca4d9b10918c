/* Where libnetdeadline.so is, and how ld.so is told. */
#pragma once

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

struct library {
    char file[PATH_MAX];    /* the file for programs of this command's own kind */
    char preload[PATH_MAX]; /* what ld.so is told: the same, or with $LIB in it, so that 32-bit programs find theirs */
};

/* Finds the library: beside this command, in lib beside its directory, or where it was installed. Returns 0 or -1. */
int library_find(struct library *library);

/* Uses the library that the operator names, by a path relative to the current directory. Returns 0, or -1 when it
 * cannot be read. */
int library_take(struct library *library, const char *path);

/* Whether ld.so can be told this path at all. It cannot where there is a colon or blank in it, at which ld.so splits
 * its list. */
bool library_is_tellable(const struct library *library);

/* Writes the path of this command itself. Returns 0, or -1 with errno. */
int library_command(char out[PATH_MAX]);

/* Counts the different copies of the library whose code is mapped in a process, and puts the path of the first into
 * `out`: where the file may not be executed, the loader may leave a part without code behind. Returns -1 with errno
 * where the map cannot be read. */
int library_copies(pid_t pid, char *out, size_t size);
