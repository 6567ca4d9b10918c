/* What was counted, summed up by program and service. A count stays when its process has ended, as far as something
 * looked meanwhile. */
#pragma once

#include "cli/process/processes.h"
#include "cli/statistics.h"
#include "shim/settings/settings.h"

struct metrics_operation {
    char name[ND_OPERATION_NAME];
    struct block_counters counters;
};

/* How often a limit has expired. The section says where the limit was set (config_section.h). */
struct metrics_expiry {
    char limit[2 * ND_OPERATION_NAME], section[192];
    bool is_observed;
    uint64_t count;
};

/* Processes of one program and service; or one process. No text is escaped. */
struct metrics_group {
    pid_t pid; /* 0 where series are not by process */
    char program[64], unit[128];
    struct metrics_operation *operations;
    struct metrics_expiry *expiries;
    size_t operation_count, operation_room, expiry_count, expiry_room;

    /* At the last look. */
    unsigned processes, waiting, pending;
    int64_t oldest, oldest_pending;
    char library[17];
    int64_t limits[ND_LIVE_ROWS]; /* by nd_setting_table, the shortest of all processes; 0: off in all */
};

/* What was seen of a process at the last look. */
struct metrics_seen {
    pid_t pid;
    struct process_identity identity;
    bool is_there;
    struct metrics_operation *operations;
    struct block_expiry *expiries;
    unsigned operation_count, expiry_count;
};

/* Begins as all zeros, but for `by_process`. */
struct metrics {
    bool by_process;
    struct metrics_group *groups;
    size_t group_count, group_room;
    struct metrics_seen *seen; /* by pid */
    size_t seen_count, seen_room;
};

/* More programs than this are summed up as "other": names are the processes' own, and each would stay for ever. */
enum { METRICS_MOST_GROUPS = 1000, METRICS_MOST_EXPIRIES = 200 };

/* Adds what was counted since the last call, and replaces what holds at one time only. */
void metrics_take(struct metrics *metrics, const struct statistics *statistics);

/* Prints Prometheus' text exposition format (0.0.4). */
void metrics_print(const struct metrics *metrics, FILE *to);

void metrics_free(struct metrics *metrics);
