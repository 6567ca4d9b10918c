/* Writes the caller's stack, found by libunwind, for the log line of an expiry. */
#pragma once

#include "base/line.h"

/* Claims libunwind for this thread. Returns false where nd_backtrace_is_safe() does, and where another thread uses
 * libunwind, or used it when this process was forked: libunwind has locks of its own, for which such a child would wait
 * forever. Async-signal-safe; keeps errno. */
bool nd_backtrace_begin(void);
void nd_backtrace_end(void);

/* Appends the frames from the caller outward, without those of this library: "function+0x12@module
 * function+0x34@module", and "?+0x56@module" (an address for addr2line) where no name is known; escaped; at most 32
 * frames, or as many as fit, then "...". Called only between nd_backtrace_begin() and nd_backtrace_end(). Not
 * async-signal-safe. */
void nd_backtrace_put(struct nd_line *line);
