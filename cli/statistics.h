/* What the library has counted in processes. */
#pragma once

#include <stdio.h>

#include "cli/process/block.h"
#include "cli/process/processes.h"

struct process_statistics {
    pid_t pid;
    struct process_identity identity;
    char program[64]; /* not escaped, as all text here */
    char library[17]; /* its version */
    unsigned operations, waiting, setting_count, expiry_count;
    int64_t oldest;         /* ns: for how long the call that has waited longest is under way; 0 for none */
    unsigned pending;       /* connections whose peer owes a reply, once statistics_look_at_connections was called */
    int64_t oldest_pending; /* ns */
    struct block_counters *counters;
    char (*names)[ND_OPERATION_NAME];
    struct nd_live_row *settings;
    struct block_expiry *expiries; /* NULL where its library does not count them */
};

struct statistics {
    struct process_statistics *processes;
    size_t count, room;
    unsigned denied;
};

/* Adds what the library has counted in the process, if it is there. `thoroughly` is as for block_open. */
enum block_found statistics_collect(struct statistics *statistics, pid_t pid, bool thoroughly);

/* Looks at the connections of all these processes. */
void statistics_look_at_connections(struct statistics *statistics);

void statistics_free(struct statistics *statistics);

/* The number of calls that waited under a limit, or were timed in MODE=observe. */
uint64_t statistics_calls(const struct block_counters *counters);

/* Adds what was counted elsewhere of the same operation. */
void statistics_add(struct block_counters *sum, const struct block_counters *more);

/* The setting that bounds the operation of this name (operations.def), or NULL. */
const char *statistics_limit(const char *operation);

/* A value for that limit in ns, by how long the operation's waits took: three times the longest of all but one in a
 * thousand, rounded up. 0 where there are too few waits to tell. */
int64_t statistics_suggest(const struct block_counters *counters);

/* The same, however few the waits are. 0 where no limit makes sense, as they took hours. */
int64_t statistics_suggest_from(const struct block_counters *counters);
enum { STATISTICS_FEWEST_WAITS = 20 };

/* Writes a setting's value as an operator would. Returns false for a setting that this command does not know. */
bool statistics_setting(const struct nd_live_row *row, char *out, size_t size);

void statistics_print_table(const struct statistics *statistics, FILE *to);
void statistics_print_json(const struct statistics *statistics, FILE *to);
/* Draws the histogram of the operation's waits for each process that has made it. Returns false where none has. */
bool statistics_print_histogram(const struct statistics *statistics, const char *operation, FILE *to);

/* Prints sections of the config file with the limits that would suit each program, and what they rest on. */
void statistics_print_config(const struct statistics *statistics, FILE *to);
