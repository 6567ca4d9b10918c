/* How many calls each limit has ended, by where the limit was set. The command reads the table (report/state.h). */
#include <string.h>

#include "shim/report/slots.h"

#define INBOUND "INBOUND_"

static uint32_t number_of(const char *limit) {
    uint32_t side = strncmp(limit, INBOUND, sizeof INBOUND - 1) == 0 ? ND_LIMIT_INBOUND : 0;
    limit += side ? sizeof INBOUND - 1 : 0;
    for (uint32_t i = 1; i < ND_LIMITS; i++)
        if (strcmp(nd_limit_names[i], limit) == 0)
            return i | side;
    return ND_LIMIT_NONE;
}

/* Whether the row counts expiries of this kind, or does from now on. */
static bool is_of(struct nd_expiry_count *row, uint32_t what) {
    uint32_t has = atomic_load_explicit(&row->what, memory_order_relaxed);
    return has == what || (!has && (atomic_compare_exchange_strong_explicit(
                                        &row->what, &has, what, memory_order_relaxed, memory_order_relaxed) ||
                                    has == what));
}

void nd_expiries_count(const char *limit, bool observed, struct nd_set_where set) {
    const uint32_t kind = ND_EXPIRY_USED | (observed ? ND_EXPIRY_OBSERVED : 0);
    const uint32_t what =
        kind | number_of(limit) | (uint32_t)set.by << ND_EXPIRY_BY_SHIFT | (uint32_t)set.line << ND_EXPIRY_LINE_SHIFT;
    struct nd_expiry_count *row = nd_slots.expiries, *last = row + ND_EXPIRY_COUNTS - 1;
    while (row < last && !is_of(row, what))
        row++;
    if (row == last)
        is_of(row, ND_EXPIRY_USED | ND_LIMIT_NONE);
    atomic_fetch_add_explicit(&row->count, 1, memory_order_relaxed);
}
