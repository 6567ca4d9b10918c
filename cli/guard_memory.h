/* What guard keeps from look to look. */
#pragma once

#include "cli/guard_watch.h"

enum { GUARD_NAMESPACES = 64 };

struct guard {
    struct guard_targets targets;
    struct watch watches[GUARD_NAMESPACES];
    int watch_count;
    bool is_quiet;   /* it tells nothing of its own troubles */
    bool has_warned; /* that a connection could not be ended */
    bool has_warned_refused;
    bool is_blind;     /* a connection is due of which no copy is to be had: all are looked at together */
    nd_time planned;   /* when the next round was to begin */
    nd_time refreshed; /* when processes were looked for last */
    nd_time scanned;   /* when descriptors were */
    nd_time looked, looked_at_connecting, looked_at_due, looked_at_calls;
    bool is_scan_wanted; /* a connection's owner is not known, as far as descriptors that have come tell */
    nd_time refresh_cost, scan_cost, cost, due_cost, calls_cost,
        last_calls_cost; /* of the last look, in the processor's time */
    nd_time due;         /* when the first limit expires if nothing moves */
    unsigned long long ended, observed;
};
