/* Whether a program executes others. */
#pragma once

#include <stdbool.h>

/* Whether the ELF file at `path` calls a function that executes another program, or needs the library of an interpreter
 * that does. */
bool executes_others(const char *path);
