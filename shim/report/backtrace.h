/* The caller's stack, by libunwind, for the log line of an expiry. */
#ifndef ND_REPORT_BACKTRACE_H
#define ND_REPORT_BACKTRACE_H

#include <stdbool.h>

#include "base/line.h"

/* nd_backtrace_is_safe(), and besides claims libunwind for this thread: it has locks of its own, and a child forked while
 * another thread is inside would wait for them for ever. False where another thread has it, or had it at the fork.
 * Async-signal-safe; keeps errno. */
bool nd_backtrace_begin(void);
void nd_backtrace_end(void);

/* Writes the frames from the caller outward, without those of this library: "function+0x12@module function+0x34@module",
 * "?+0x56@module" (as addr2line takes it) where no name is known; escaped; at most 32 of them, or as many as fit,
 * then "...". Only between nd_backtrace_begin() and nd_backtrace_end(). */
void nd_backtrace_put(struct nd_line *line);

#endif
