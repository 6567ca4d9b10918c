/* What the loader that a program asks for says about it. It is executed only where it is the system's. */
#ifndef CLI_LOADER_H
#define CLI_LOADER_H

#include <stdio.h>
#include <sys/types.h>

#include "cli/library.h"

struct loader_list {
    FILE *file;
    pid_t child;
};

/* Has `loader` list the libraries that it would load for the program at `path`, with `preload` (NULL: none) in
 * LD_PRELOAD. Returns 0, or -1 where it cannot be asked. */
int loader_list_open(struct loader_list *list, const char *loader, const char *path, const char *preload);
void loader_list_close(struct loader_list *list);

enum loader_answer { LOADER_UNKNOWN, LOADER_TAKES, LOADER_IGNORES };

/* Whether the loader of the program at `path` finds the library by what it is told, which may have $LIB in it: what
 * that stands for is known to the loader alone. */
enum loader_answer loader_takes(const char *path, const struct library *library);

#endif
