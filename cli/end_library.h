/* Lets the library of a process report the connections that `netdeadline end` ends there. */
#pragma once

#include "cli/process/block.h"
#include "cli/process/ending.h"
#include "cli/process/judge.h"

/* Asks the library to report this connection, which is about to be ended; `verdict` says why. Returns a number for
 * end_library_has_reported, or -1 where the library does not know such requests, or its memory may not be written. */
int end_library_ask(const struct block *block, const struct connection *connection, const struct verdict *verdict);

/* Destroys a connection of which there is no copy to leave a mark on, having noted it for the library (`block`; NULL: there
 * is none at work) in place of that mark: it reports it by `verdict` (NULL: not), and gives errors where the kernel has an
 * end of file. *number (NULL: not wanted) is set as end_library_ask returns it. The rest is ending_destroy's. */
enum ending end_library_destroy(const struct block *block, pid_t pid, int pidfd, int fd, int netlink,
                                const struct connection *connection, const struct verdict *verdict, int *number);

/* Whether the library has reported what was asked for under this number. */
bool end_library_has_reported(const struct block *block, int number);
