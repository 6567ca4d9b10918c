/* Programs that a preloaded library cannot help. */
#pragma once

#include "cli/library.h"
#include "cli/program.h"

/* Why the library would have no effect on the program's connections, to stand behind its name, in static memory; NULL
 * where it has. Where its loader makes something else of $LIB, the library is named by its path from then on; where it
 * would end the program for it, the path is empty from then on. */
const char *uselessness_of(const struct program *program, struct library *library);
