/* How many calls each limit has ended, by where the limit was set. The command reads the table (report/state.h). */
#pragma once

#include <stdbool.h>

#include "shim/report/expiry_count.h"

/* Counts an expiry of the limit of this name ("RECV", "INBOUND_SEND"). Async-signal-safe. */
void nd_expiries_count(const char *limit, bool observed, struct nd_set_where set);
