/* Whether a program executes others. */
#ifndef CLI_EXECUTES_H
#define CLI_EXECUTES_H

#include <stdbool.h>

/* Whether the ELF file at `path` calls a function that executes another program, or needs the library of an interpreter
 * that does. */
bool executes_others(const char *path);

#endif
