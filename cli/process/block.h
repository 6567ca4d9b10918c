/* The library's state block (shim/report/state.h) in another process: hostile input. Every number is bounded here; text is as it
 * came, and must be escaped by whoever prints it. */
#ifndef CLI_PROCESS_BLOCK_H
#define CLI_PROCESS_BLOCK_H

#include <stdbool.h>
#include <sys/types.h>

#include "shim/report/state.h"

enum { BLOCK_MOST_OPERATIONS = 256, BLOCK_MOST_LIMITS = 64, BLOCK_MOST_SLOTS = 16384, BLOCK_MOST_SHARDS = 64 };

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
    BLOCK_STRANGE, /* another version's, or no good */
    BLOCK_DENIED,  /* we may not look */
    BLOCK_GONE     /* no such process any more */
};

/* Finds the block of the process. `thoroughly`: also in objects that are not called libnetdeadline. */
enum block_found block_open(struct block *block, pid_t pid, bool thoroughly);

/* How often a call of this name was counted: its shards added up. */
struct block_counters {
    uint64_t total, longest; /* ns */
    uint64_t expired, observed, quiet, done;
    uint64_t buckets[ND_BUCKETS + 1];
};

/* What an operation, or a limit (with ND_LIMIT_INBOUND), is called there; "?" for a number that is none. */
void block_operation(const struct block *block, unsigned operation, char name[ND_OPERATION_NAME]);
void block_limit(const struct block *block, unsigned limit, char name[2 * ND_OPERATION_NAME]);

/* All slots: an array of *count to be freed, or NULL. Those in use may be half written: block_slot reads one whole. */
struct nd_slot *block_slots(const struct block *block, unsigned *count);

/* Reads slot `index` whole, and unchanged meanwhile. 0, or -1 if it changes all the time or is not in use. */
int block_slot(const struct block *block, unsigned index, struct nd_slot *slot);

/* Whether the call that the slot tells of is still under way, as far as its thread's stack tells. */
bool block_slot_stands(const struct block *block, const struct nd_slot *slot);

/* The counters of all operations: an array of *operations to be freed, or NULL. */
struct block_counters *block_counters(const struct block *block, unsigned *operations);

/* The settings in force: an array of *count to be freed, or NULL. Names end in a NUL. */
struct nd_live_row *block_settings(const struct block *block, unsigned *count);

#endif
