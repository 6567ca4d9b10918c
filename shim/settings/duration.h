/* Parses durations as an operator writes them. */
#pragma once

#include "base/clock.h"

/* Reads a duration: `250ms`, `3s`, `1m30s`, `2h`, `off`; whole numbers with a unit each, the largest unit first; 0 must
 * be written as `off`. Returns 0 with the time in *out (0 for off), or -1 where it is not valid. Async-signal-safe. */
int nd_duration_parse(const char *text, nd_time *out);
