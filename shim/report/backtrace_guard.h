/* Whether a stack can be unwound here and now. */
#ifndef ND_REPORT_BACKTRACE_GUARD_H
#define ND_REPORT_BACKTRACE_GUARD_H

#include <stdbool.h>

/* Whether this thread may unwind its stack now: not in a signal handler, which may have interrupted the loader in the
 * middle of its lists (unwinding reads them, under its lock); and not on a stack with less room than unwinding takes.
 * Async-signal-safe; keeps errno; changes no signal mask. */
bool nd_backtrace_is_safe(void);

#endif
