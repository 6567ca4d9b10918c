/* When guard does what: as often as the limits need, and as seldom as they let it. */
#pragma once

#include "cli/guard_memory.h"

/* Processes are looked for at once where a connection is new, unless that was less than this ago and all connections
 * are looked at again and again. */
#define GUARD_SHORTEST_PACE (250 * ND_MSEC)

/* When each thing is to be done next. */
struct guard_schedule {
    nd_time refresh, all, connecting, due, calls;
};

/* The schedule after what has been done so far, as guard->looked and the like tell. */
struct guard_schedule guard_schedule(const struct guard *guard);

/* When the descriptors of all processes are to be read again: `is_wanted` if a connection's owner is not known. */
nd_time guard_schedule_scan(const struct guard *guard, bool is_wanted);
