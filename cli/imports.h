/* Which calls that can wait for the network a program and its libraries make. */
#pragma once

#include <stdbool.h>

enum { IMPORTS_MOST_CALLS = 128 };

struct imports {
    const char *bounded[IMPORTS_MOST_CALLS]; /* calls that the library interposes; the names are static */
    int bounded_count;
    const char *unbounded[IMPORTS_MOST_CALLS]; /* calls that can wait for the network and are not interposed */
    int unbounded_count;
    int libraries;      /* whose files were read */
    int missing;        /* that the loader did not find */
    bool uses_network;  /* opens sockets or looks names up */
    bool loads_modules; /* dlopen: more may come when it runs */
    bool uses_io_uring;
    bool opens_namespaces; /* dlmopen: what is loaded so has a libc of its own */
    bool is_sanitized;     /* by AddressSanitizer, which wants to be loaded first */
    bool filters_calls;    /* installs a seccomp filter, or may */
};

/* Looks through the file at `path` and all libraries that `loader` would load for it (NULL: the file alone). The loader
 * is executed only where it is the system's. */
void imports_collect(struct imports *imports, const char *path, const char *loader);
