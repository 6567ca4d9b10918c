/* The library's state block (shim/report/state.h) in another process, which is hostile input. Every number is bounded
 * here. Text is neither checked nor escaped: whoever prints it escapes it. */
#pragma once

#include <stdbool.h>
#include <sys/types.h>

#include "shim/report/state.h"

enum {
    BLOCK_MOST_OPERATIONS = 256,
    BLOCK_MOST_LIMITS = 64,
    BLOCK_MOST_SLOTS = 16384,
    BLOCK_MOST_SHARDS = 64,
    BLOCK_MOST_REQUESTS = 1024,
    BLOCK_MOST_EXPIRIES = 512
};

struct block {
    pid_t pid;
    uint64_t address;
    char path[1024]; /* of the library */
    struct nd_state state;
};

enum block_found {
    BLOCK_FOUND,
    BLOCK_NONE,    /* no library there */
    BLOCK_PASSIVE, /* there is, and it passes through */
    BLOCK_STRANGE, /* there is, of another version or forged */
    BLOCK_DENIED,  /* this user may not look */
    BLOCK_GONE     /* no such process any more, or one that has no memory any more */
};

/* Finds the block of the process: of the library, or of `netdeadline guard`. `thoroughly` also looks into objects that
 * are not called after them. */
enum block_found block_open(struct block *block, pid_t pid, bool thoroughly);

/* What was counted of one operation, over all shards. */
struct block_counters {
    uint64_t total, longest; /* ns */
    uint64_t expired, observed, quiet, done;
    uint64_t in_a_row; /* of a lookup: the most expiries of one name, one after the other */
    uint64_t stale;    /* lookups that gave an answer from before */
    uint64_t buckets[ND_BUCKETS + 1];
};

/* Reads the name of an operation, or of a limit (with ND_LIMIT_INBOUND), as the library there has it; "?" for a number
 * that is none. */
void block_operation(const struct block *block, unsigned operation, char name[ND_OPERATION_NAME]);
void block_limit(const struct block *block, unsigned limit, char name[2 * ND_OPERATION_NAME]);

/* Reads all slots: an array of *count that the caller frees, or NULL. Those in use may be half written; block_slot
 * reads one whole. */
struct nd_slot *block_slots(const struct block *block, unsigned *count);

/* Reads slot `index` whole. Returns 0, or -1 where it is not in use or changes all the time. */
int block_slot(const struct block *block, unsigned index, struct nd_slot *slot);

/* Whether the call that the slot tells of is still under way: its frame still holds the same return address. */
bool block_slot_stands(const struct block *block, const struct nd_slot *slot);

/* Reads the counters of all operations: an array of *operations that the caller frees, or NULL. */
struct block_counters *block_counters(const struct block *block, unsigned *operations);

/* Expiries of one kind. */
struct block_expiry {
    char limit[2 * ND_OPERATION_NAME];
    bool is_observed;
    struct nd_set_where set;
    uint32_t count;
};

/* Reads how many expiries there were of each kind: an array of *count that the caller frees, or NULL, also where the
 * library there does not count them. */
struct block_expiry *block_expiries(const struct block *block, unsigned *count);

/* Reads the settings in force: an array of *count that the caller frees, or NULL. Their names end in a NUL. */
struct nd_live_row *block_settings(const struct block *block, unsigned *count);

/* Lets the next call on each socket of the process leave the library's fast path, so that it sees what was written. */
void block_leave_fast_paths(const struct block *block);
