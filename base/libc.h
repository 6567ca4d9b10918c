/* Which C library the program runs with. One file of the library serves both: glibc, and musl, which loads it with its
 * own libc in the place of glibc's and ends the program where a symbol is missing. Therefore what musl lacks is
 * referred to weakly. */
#pragma once

#include <link.h>
#include <stdbool.h>
#include <stddef.h>

/* musl's loader points to its record for debuggers by this name, in every version; glibc has none such, nor has what
 * lets programs of glibc run with musl (gcompat). */
extern struct r_debug *_dl_debug_addr __attribute__((weak));

/* Whether it is musl. Known as soon as the library is relocated, before anything of it runs. Async-signal-safe. */
static inline bool nd_libc_is_musl(void) {
    return &_dl_debug_addr != NULL;
}

/* An address in libc's file that no program replaces. */
const void *nd_libc_address(void);

/* A function of musl's own, whatever the program defines under its name; NULL where this version, or another libc,
 * has none. Not async-signal-safe. */
void *nd_libc_musl_function(const char *name);

/* The version of musl, at least, as 10000 * major + 100 * minor + patch, told by what it exports: 10205 for 1.2.5 and
 * newer, down to 10124 for what is older than 1.2.2; 0 for another libc. Not async-signal-safe at its first call. */
int nd_libc_musl_version(void);
