/* Durations as an operator writes them. */
#ifndef ND_SETTINGS_DURATION_H
#define ND_SETTINGS_DURATION_H

#include "base/clock.h"

/* Reads a duration: `250ms`, `3s`, `1m30s`, `2h`, `off`; whole numbers with a unit each, largest unit first; 0 is refused
 * except as `off`. Returns 0 and the time in *out (0 for off), or -1 when it cannot be read. Async-signal-safe. */
int nd_duration_parse(const char *text, nd_time *out);

#endif
