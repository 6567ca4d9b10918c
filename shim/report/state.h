/* What the command reads of the library in the memory of its process; it finds this block by its exported name.
 * Everything that is read from outside has the same layout in 32-bit and 64-bit processes. */
#pragma once

#include "shim/report/end_request.h"
#include "shim/report/slots.h"
#include "shim/settings/live.h"

#define ND_STATE_MAGIC "netdeadl"

/* Incremented when the meaning or the offset of something changes. Additions at the end are recognised by the sizes. */
#define ND_STATE_VERSION 3

/* A table in the memory of the process. */
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
    char library[16]; /* the version of the library */
    uint32_t active;  /* 0 in a process that the library leaves alone */
    /* Where calls that wait past the library are sent, seen from this block; 1: nowhere; 0: an older library, whose
     * calls cannot be woken either. */
    int32_t take_over;
    struct nd_state_table operations; /* char[ND_OPERATION_NAME], by enum nd_call */
    struct nd_state_table limits;     /* char[ND_OPERATION_NAME], by enum nd_limit */
    struct nd_state_table buckets;    /* uint32_t, milliseconds */
    struct nd_state_table slots;      /* struct nd_slot */
    struct nd_state_table counters;   /* struct nd_counters of all operations, `shards` times */
    struct nd_state_table settings;   /* struct nd_live_row, by nd_setting_table */
    struct nd_state_table wish;       /* one struct nd_live_wish */
    struct nd_state_table watch;      /* bytes by descriptor */
    uint32_t shards;
    uint32_t watch_all; /* a byte of `watch` is set to this to make the next call leave its fast path */
    /* An older library of this version has none of what follows. The entries have the layout of the library's version. */
    struct nd_state_table records;      /* struct nd_sock, of the descriptors up to `count` */
    struct nd_state_table chunks;       /* pointers to as many records of the descriptors that follow */
    struct nd_state_table profiles;     /* struct nd_profile */
    struct nd_state_table end_requests; /* struct nd_end_request */
    struct nd_state_table expiries;     /* struct nd_expiry_count */
};
_Static_assert(sizeof(struct nd_state_table) == 16 && sizeof(struct nd_state) == 48 + 13 * 16, "known outside");
enum { ND_STATE_LEAST = 48 + 8 * 16 }; /* the size before there were records */

/* The fields of a block that tells of this process; `bytes` is the table `watch`. */
#define ND_STATE_TABLE(array)                                                                                          \
    { {(array)}, sizeof(array)[0], sizeof(array) / sizeof(array)[0] }
#define ND_STATE_FIELDS(bytes)                                                                                         \
    .magic = ND_STATE_MAGIC, .version = ND_STATE_VERSION, .size = sizeof(struct nd_state), .library = ND_VERSION,      \
    .operations = ND_STATE_TABLE(nd_operation_names), .limits = ND_STATE_TABLE(nd_limit_names),                        \
    .buckets = ND_STATE_TABLE(nd_bucket_ms), .slots = ND_STATE_TABLE(nd_slots.slot),                                   \
    .counters = {{nd_slots.counters}, sizeof(struct nd_counters), ND_SHARDS * ND_OPERATIONS},                          \
    .settings = ND_STATE_TABLE(nd_live_rows), .wish = {{&nd_live_wish}, sizeof nd_live_wish, 1},                       \
    .watch = ND_STATE_TABLE(bytes), .shards = ND_SHARDS, .end_requests = ND_STATE_TABLE(nd_end_requests),              \
    .expiries = ND_STATE_TABLE(nd_slots.expiries)

/* Exported, also by the command, for guard. The library itself uses nd_state: this name may refer to the block of another copy of the library. */
extern struct nd_state netdeadline_state;
