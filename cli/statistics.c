#include "cli/statistics.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/line.h"
#include "cli/process/array.h"
#include "cli/process/process_connections.h"
#include "cli/process/processes.h"
#include "shim/report/slots.h"
#include "shim/settings/setting_value.h"
#include "shim/settings/settings.h"

enum { OUTLIERS_ONE_IN = 1000, MARGIN = 3 };

/* The process's own monotonic clock is another in a time namespace. */
static void look_at_slots(struct process_statistics *process, const struct block *block) {
    unsigned count;
    struct nd_slot *slots = block_slots(block, &count), slot;
    const int64_t now = nd_now() + process_clock_offset(process->pid) - process_clock_offset(getpid());
    for (unsigned i = 0; slots && i < count; i++) {
        if (!slots[i].tid || block_slot(block, i, &slot) != 0 || !block_slot_stands(block, &slot))
            continue;
        process->waiting++;
        if (slot.began > 0 && slot.began < now && now - slot.began > process->oldest)
            process->oldest = now - slot.began;
    }
    free(slots);
}

static bool fill(struct process_statistics *process, const struct block *block) {
    process->pid = block->pid;
    process_raw_name(block->pid, process->program, sizeof process->program);
    memcpy(process->library, block->state.library, sizeof block->state.library);
    process->counters = block_counters(block, &process->operations);
    process->settings = block_settings(block, &process->setting_count);
    process->names = calloc(process->operations, sizeof *process->names);
    process->expiries = block_expiries(block, &process->expiry_count);
    look_at_slots(process, block);
    for (unsigned i = 0; process->names && i < process->operations; i++)
        block_operation(block, i, process->names[i]);
    return process->counters && process->names && process->settings;
}

static void drop(struct process_statistics *process) {
    free(process->counters);
    free(process->names);
    free(process->settings);
    free(process->expiries);
}

enum block_found statistics_collect(struct statistics *statistics, pid_t pid, bool thoroughly) {
    struct process_statistics process = {0};
    struct block *block = malloc(sizeof *block);
    enum block_found found = block ? block_open(block, pid, thoroughly) : BLOCK_DENIED;
    if (found == BLOCK_DENIED && process_exists(pid))
        statistics->denied++;
    if (found == BLOCK_FOUND &&
        !array_grow(&statistics->processes, statistics->count, &statistics->room, sizeof *statistics->processes, 64))
        found = BLOCK_DENIED;
    if (found == BLOCK_FOUND) {
        const struct process_identity before = process_identity(pid);
        bool is_whole = fill(&process, block);
        process.identity = process_identity(pid); /* another where it has executed a program meanwhile */
        if (is_whole && memcmp(&before, &process.identity, sizeof before) == 0)
            statistics->processes[statistics->count++] = process;
        else
            drop(&process), found = BLOCK_GONE;
    }
    free(block);
    return found;
}

/* A peer that has owed a reply for less than this is only answering. */
#define PENDING ND_SEC

/* Of accepted connections it is not known whether they are idle between two requests. */
static void look_at_connection(const struct connection *connection, int fd, void *arg) {
    struct process_statistics *process = arg;
    struct connection_trouble trouble;
    if (connection->is_inbound)
        return;
    connection_trouble(connection, NULL, fd, &trouble);
    if (trouble.reply_pending < PENDING)
        return;
    process->pending++;
    if (trouble.reply_pending > process->oldest_pending)
        process->oldest_pending = trouble.reply_pending;
}

void statistics_look_at_connections(struct statistics *statistics) {
    for (size_t i = 0; i < statistics->count; i++)
        process_connections(statistics->processes[i].pid, look_at_connection, &statistics->processes[i]);
    process_connections_forget();
}

void statistics_free(struct statistics *statistics) {
    for (size_t i = 0; i < statistics->count; i++)
        drop(&statistics->processes[i]);
    free(statistics->processes);
    *statistics = (struct statistics){0};
}

uint64_t statistics_calls(const struct block_counters *counters) {
    return counters->done + counters->quiet + counters->expired;
}

void statistics_add(struct block_counters *sum, const struct block_counters *more) {
    sum->total += more->total;
    sum->longest = more->longest > sum->longest ? more->longest : sum->longest;
    sum->expired += more->expired;
    sum->observed += more->observed;
    sum->quiet += more->quiet;
    sum->stale += more->stale;
    sum->done += more->done;
    sum->in_a_row = more->in_a_row > sum->in_a_row ? more->in_a_row : sum->in_a_row;
    for (int i = 0; i <= ND_BUCKETS; i++)
        sum->buckets[i] += more->buckets[i];
}

const char *statistics_limit(const char *operation) {
    const enum nd_call call = nd_operation_find(operation);
    const unsigned limit = nd_operation_table[call].limit;
    if (call == ND_OPERATION_SSL_accept || call == ND_OPERATION_SSL_stateless) /* only a server makes them */
        return nd_inbound_limit_names[limit];
    return limit ? nd_limit_names[limit] : NULL;
}

/* The time within which all waits but one in a thousand ended. */
static int64_t usual_longest(const struct block_counters *counters) {
    uint64_t beyond = 0, allowed = counters->done / OUTLIERS_ONE_IN;
    int bucket = ND_BUCKETS;
    while (bucket > 0 && beyond + counters->buckets[bucket] <= allowed)
        beyond += counters->buckets[bucket--];
    int64_t longest = counters->longest < INT64_MAX / MARGIN ? (int64_t)counters->longest : INT64_MAX / MARGIN;
    int64_t bound = bucket < ND_BUCKETS ? nd_bucket_ms[bucket] * ND_MSEC : longest;
    return bound < longest ? bound : longest;
}

int64_t statistics_suggest_from(const struct block_counters *counters) {
    static const int seconds[] = {1,  2,   3,   5,   10,  15,  20,   30,   45,   60,
                                  90, 120, 180, 300, 600, 900, 1800, 3600, 7200, 21600};
    int64_t wanted = usual_longest(counters) * MARGIN;
    for (size_t i = 0; i < sizeof seconds / sizeof seconds[0]; i++)
        if (seconds[i] * ND_SEC >= wanted)
            return seconds[i] * ND_SEC;
    return 0; /* no limit makes sense for waits of hours */
}

int64_t statistics_suggest(const struct block_counters *counters) {
    return counters->done < STATISTICS_FEWEST_WAITS ? 0 : statistics_suggest_from(counters);
}

bool statistics_setting(const struct nd_live_row *row, char *out, size_t size) {
    struct nd_settings settings = {0};
    struct nd_line line;
    const struct nd_setting *setting = nd_setting_find(row->name, strlen(row->name));
    if (!setting || !nd_live_can_change(setting) || nd_setting_value_set(setting, &settings, row->now) != 0)
        return false;
    nd_line_start(&line, out, size);
    nd_setting_put(setting, &settings, &line);
    return true;
}
