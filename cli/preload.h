/* What becomes of LD_PRELOAD. */
#pragma once

#include <limits.h>

#include "cli/library.h"

/* Finds the sanitizer's runtime that the ELF file at `path` needs and that has to be loaded before any other library,
 * by the name under which the file needs it. Returns whether there is one. */
bool preload_runtime_of(const char *path, char name[NAME_MAX + 1]);

/* Puts the library into LD_PRELOAD, once: in front, but behind sanitizers' runtimes, which refuse to start elsewhere.
 * Where its path is empty, the list is left as it is. `runtime` (NULL: none) is put before it where the list has none. Returns 1 where `runtime` was added, else 0, or -1
 * with errno. */
int preload_set(const struct library *library, const char *runtime);
