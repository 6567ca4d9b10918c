/* The rows in which expiries are counted by limit, and by where the limit was set. */
#pragma once

#include <stdatomic.h>
#include <stdint.h>

/* Where the limit was set that holds for a connection or a lookup. */
enum nd_set_by {
    ND_SET_BY_DEFAULT,
    ND_SET_BY_FILE,        /* a line of the config file */
    ND_SET_BY_ENVIRONMENT, /* a variable */
    ND_SET_BY_COMMAND      /* `netdeadline set` */
};

struct nd_set_where {
    uint16_t by; /* enum nd_set_by */
    uint16_t line;
};

/* One row, of the first that is free at the first expiry of its kind. `what` has the limit (enum nd_limit, with
 * ND_LIMIT_INBOUND) in its lowest byte, then the bits below, then the line in its upper half; 0: free. The layout is the
 * same in 32-bit processes. */
struct nd_expiry_count {
    _Atomic uint32_t what, count;
};
enum { ND_EXPIRY_OBSERVED = 1 << 8, ND_EXPIRY_BY_SHIFT = 9, ND_EXPIRY_USED = 1 << 11, ND_EXPIRY_LINE_SHIFT = 16 };
_Static_assert(sizeof(struct nd_expiry_count) == 8, "read from outside");

/* The last row counts all kinds that find no other: its limit is ND_LIMIT_NONE. */
enum { ND_EXPIRY_COUNTS = 128 };
