/* What can be seen of the library from outside, in the process's memory (DESIGN.md §6): found by its exported name. Everything
 * that is read from outside has the same layout in 32-bit and 64-bit processes. */
#ifndef ND_REPORT_STATE_H
#define ND_REPORT_STATE_H

#include <stdint.h>

#include "shim/report/slots.h"
#include "shim/settings/live.h"

#define ND_STATE_MAGIC "netdeadl"

/* Changes whenever something that exists changes its meaning or place; what is only added at the end shows in the sizes. */
#define ND_STATE_VERSION 3

/* One table in the library's memory. */
struct nd_state_table {
    union {
        const void *start;
        uint64_t address;
    };
    uint32_t entry_size, count;
};

struct nd_state {
    char magic[8];
    uint32_t version, size;
    char library[16]; /* its version */
    uint32_t active;  /* 0 in a process that passes through */
    uint32_t unused;
    struct nd_state_table operations; /* char[ND_OPERATION_NAME], by enum nd_call */
    struct nd_state_table limits;     /* char[ND_OPERATION_NAME], by enum nd_limit */
    struct nd_state_table buckets;    /* uint32_t, milliseconds */
    struct nd_state_table slots;      /* struct nd_slot */
    struct nd_state_table counters;   /* struct nd_counters of all operations, `shards` times */
    struct nd_state_table settings;   /* struct nd_live_row, by nd_setting_table */
    struct nd_state_table wish;       /* one struct nd_live_wish */
    struct nd_state_table watch;      /* bytes by descriptor */
    uint32_t shards;
    uint32_t watch_all; /* what a byte of `watch` is set to for the next call to look */
};
_Static_assert(sizeof(struct nd_state_table) == 16 && sizeof(struct nd_state) == 48 + 8 * 16, "known outside");

/* Exported. Inside the library use nd_state: another copy's block may stand before ours under this name. */
extern struct nd_state netdeadline_state;

#endif
