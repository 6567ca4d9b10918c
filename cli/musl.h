/* Programs of musl: its loader knows no $LIB, reads no /etc/ld.so.preload, and ends a program in which a function is
 * missing. */
#pragma once

#include <stdbool.h>

#include "cli/library.h"
#include "cli/program.h"

/* Whether the program asks for musl's loader. */
bool musl_is_for(const struct program *program);

/* Whether this host has a musl of this command's own machine. */
bool musl_is_here(void);

/* The name by which musl's loader on this host finds the library where it cannot by what glibc's is told, as there is a
 * $LIB in it: "libnetdeadline.so", where such a file in one of its directories is the library. Told behind the path
 * with $LIB it names to glibc's loader what that has loaded already, whatever the program's class. NULL where there is
 * none, or where none is needed. */
const char *musl_library_name(const struct library *library);

/* What LD_PRELOAD needs to hold for programs of both C libraries, in static memory: the library's path, and that
 * name. */
const char *musl_preload(const struct library *library);

/* Why the library has no effect in a program of musl, to stand behind its name, in static memory; NULL where it has.
 * Where musl's loader cannot find the library by $LIB, it is named by its path from then on. Where it would end the
 * program, the path is empty from then on: the library must not be told. */
const char *musl_uselessness_of(const struct program *program, struct library *library);
