/* Whether two threads of this process see the same host: an answer for the one may be wrong for the other. */
#pragma once

#include <stdbool.h>
#include <sys/types.h>

/* Whether thread `tid` has the calling thread's network, mount and user namespace, root directory and credentials.
 * False where /proc does not tell. Opens and closes two files; keeps errno. */
bool nd_same_context(pid_t tid);
