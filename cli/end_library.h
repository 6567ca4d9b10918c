/* Lets the library of a process report the connections that `netdeadline end` ends there. */
#pragma once

#include "cli/process/block.h"
#include "cli/process/judge.h"

/* Asks the library to report this connection, which is about to be ended; `verdict` says why. Returns a number for
 * end_library_has_reported, or -1 where the library does not know such requests. */
int end_library_ask(const struct block *block, const struct connection *connection, const struct verdict *verdict);

/* Whether the library has reported what was asked for under this number. */
bool end_library_has_reported(const struct block *block, int number);
