/* Whether the stack can be unwound now. */
#pragma once

#include <stdbool.h>

/* Whether this thread may unwind its stack now: not in a signal handler, which may have interrupted the loader while
 * that changed its lists (unwinding reads them, under the loader's lock); and not on a stack with less space than
 * unwinding takes. Async-signal-safe; keeps errno and the signal mask. */
bool nd_backtrace_is_safe(void);
