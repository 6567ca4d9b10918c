/* What the library has counted in processes. */
#ifndef CLI_STATISTICS_H
#define CLI_STATISTICS_H

#include <stdio.h>

#include "cli/process/block.h"

struct process_statistics {
    pid_t pid;
    char program[64]; /* as it came */
    char library[17]; /* its version, as it came */
    unsigned operations, waiting, setting_count;
    struct block_counters *counters;
    char (*names)[ND_OPERATION_NAME]; /* as they came */
    struct nd_live_row *settings;
};

struct statistics {
    struct process_statistics *processes;
    size_t count, room;
    unsigned denied;
};

/* Adds the process's, if it has the library. `thoroughly` as for block_open. */
enum block_found statistics_collect(struct statistics *statistics, pid_t pid, bool thoroughly);
void statistics_free(struct statistics *statistics);

/* Calls under a limit, or timed in MODE=observe. */
uint64_t statistics_calls(const struct block_counters *counters);

/* The limit that an operation comes under, or NULL; and a value for it, by what its waits took: three times the longest of
 * them but one in a thousand, rounded up. 0 ns where there are too few to tell. */
const char *statistics_limit(const char *operation);
int64_t statistics_suggest(const struct block_counters *counters);

/* A setting's value as an operator writes it; false for one that this command does not know. */
bool statistics_setting(const struct nd_live_row *row, char *out, size_t size);

void statistics_print_table(const struct statistics *statistics, FILE *to);
void statistics_print_json(const struct statistics *statistics, FILE *to);

/* The text exposition format, as node-exporter's textfile collector takes it. */
void statistics_print_prometheus(const struct statistics *statistics, FILE *to);

#endif
