/* What the loader that a program asks for says about it. It is executed only where it is the system's. */
#pragma once

#include <stdbool.h>
#include <stdio.h>
#include <sys/types.h>

#include "cli/library.h"

struct loader_list {
    FILE *file;
    pid_t child;
};

/* Whether a program's interpreter is musl's loader. */
bool loader_is_musl(const char *interpreter);

/* Has `loader` list the libraries that it would load for the program at `path`, with `preload` (NULL: none) in
 * LD_PRELOAD. Returns 0, or -1 where it cannot be asked. */
int loader_list_open(struct loader_list *list, const char *loader, const char *path, const char *preload);

/* Returns whether the loader would start the program. */
bool loader_list_close(struct loader_list *list);

/* LOADER_ENDS: musl's takes the library and then ends the program, as it has not all functions that the library
 * needs. */
enum loader_answer { LOADER_UNKNOWN, LOADER_TAKES, LOADER_IGNORES, LOADER_ENDS };

/* Whether the loader of the program at `path` finds the library by what it is told, which may have $LIB in it: what
 * that stands for is known to the loader alone. */
enum loader_answer loader_takes(const char *path, const struct library *library);

/* Puts the version that musl's loader says of itself ("1.2.3") into `out`. Returns false where it cannot be asked. */
bool loader_musl_version(const char *loader, char *out, size_t size);
