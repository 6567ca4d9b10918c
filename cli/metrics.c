#include "cli/metrics.h"

#include <stdlib.h>
#include <string.h>

#include "cli/config_section.h"
#include "cli/process/array.h"
#include "cli/process/unit_name.h"

/* Counters are 32 bits wide in each of a process's shards: a sum that has become less has lost one such number, or
 * several. */
static uint64_t since(uint64_t now, uint64_t before) {
    return now >= before ? now - before : (now - before) & UINT32_MAX;
}

static void subtract(struct block_counters *now, const struct block_counters *before) {
    now->total = now->total >= before->total ? now->total - before->total : 0;
    now->expired = since(now->expired, before->expired);
    now->observed = since(now->observed, before->observed);
    now->quiet = since(now->quiet, before->quiet);
    now->stale = since(now->stale, before->stale);
    now->done = 0;
    for (int i = 0; i <= ND_BUCKETS; i++) {
        now->buckets[i] = since(now->buckets[i], before->buckets[i]);
        now->done += now->buckets[i];
    }
}

static struct metrics_group *find_group(struct metrics *metrics, pid_t pid, const char *program, const char *unit) {
    for (size_t i = 0; i < metrics->group_count; i++) {
        struct metrics_group *group = &metrics->groups[i];
        if (group->pid == pid && strcmp(group->program, program) == 0 && strcmp(group->unit, unit) == 0)
            return group;
    }
    if (metrics->group_count >= METRICS_MOST_GROUPS && strcmp(program, "other") != 0)
        return find_group(metrics, 0, "other", "");
    if (!array_grow(&metrics->groups, metrics->group_count, &metrics->group_room, sizeof *metrics->groups, 16))
        return NULL;
    struct metrics_group *group = &metrics->groups[metrics->group_count++];
    *group = (struct metrics_group){.pid = pid};
    snprintf(group->program, sizeof group->program, "%s", program);
    snprintf(group->unit, sizeof group->unit, "%s", unit);
    return group;
}

static void add_operation(struct metrics_group *group, const char *name, const struct block_counters *more) {
    size_t at = 0;
    while (at < group->operation_count && strcmp(group->operations[at].name, name) != 0)
        at++;
    if (at == group->operation_count) {
        if (at >= BLOCK_MOST_OPERATIONS ||
            !array_grow(&group->operations, at, &group->operation_room, sizeof *group->operations, 8))
            return;
        group->operations[group->operation_count++] = (struct metrics_operation){.counters = {0}};
        snprintf(group->operations[at].name, sizeof group->operations[at].name, "%s", name);
    }
    statistics_add(&group->operations[at].counters, more);
}

static void add_expiries(struct metrics_group *group, const char *limit, const char *section, bool is_observed,
                         uint64_t count) {
    size_t at = 0;
    while (at < group->expiry_count &&
           (group->expiries[at].is_observed != is_observed || strcmp(group->expiries[at].limit, limit) != 0 ||
            strcmp(group->expiries[at].section, section) != 0))
        at++;
    if (at == group->expiry_count) {
        if (at >= METRICS_MOST_EXPIRIES - 1 && strcmp(section, "other") != 0) {
            add_expiries(group, "other", "other", false, count);
            return;
        }
        if (!array_grow(&group->expiries, at, &group->expiry_room, sizeof *group->expiries, 8))
            return;
        group->expiries[group->expiry_count++] = (struct metrics_expiry){.is_observed = is_observed};
        snprintf(group->expiries[at].limit, sizeof group->expiries[at].limit, "%s", limit);
        snprintf(group->expiries[at].section, sizeof group->expiries[at].section, "%s", section);
    }
    group->expiries[at].count += count;
}

static int by_pid(const void *a, const void *b) {
    const struct metrics_seen *x = a, *y = b;
    return x->pid < y->pid ? -1 : x->pid > y->pid;
}

static struct metrics_seen *find_seen(const struct metrics *metrics, size_t count, pid_t pid) {
    const struct metrics_seen key = {.pid = pid};
    return count > 0 ? bsearch(&key, metrics->seen, count, sizeof *metrics->seen, by_pid) : NULL;
}

static void forget(struct metrics_seen *seen) {
    free(seen->operations);
    free(seen->expiries);
    seen->operations = NULL;
    seen->expiries = NULL;
    seen->operation_count = seen->expiry_count = 0;
}

static const struct block_counters *counters_before(const struct metrics_seen *seen, const char *name) {
    for (unsigned i = 0; i < seen->operation_count; i++)
        if (strcmp(seen->operations[i].name, name) == 0)
            return &seen->operations[i].counters;
    return NULL;
}

static bool is_used(const struct block_counters *counters) {
    return statistics_calls(counters) + counters->observed > 0;
}

/* Adds what the process has counted since it was last seen, and keeps what it has counted now. */
static void take_operations(struct metrics_group *group, struct metrics_seen *seen,
                            const struct process_statistics *process) {
    struct metrics_operation *kept = calloc(process->operations + 1, sizeof *kept);
    unsigned count = 0;
    for (unsigned i = 0; kept && i < process->operations; i++) {
        if (!is_used(&process->counters[i]))
            continue;
        struct block_counters more = process->counters[i];
        const struct block_counters *before = counters_before(seen, process->names[i]);
        memcpy(kept[count].name, process->names[i], sizeof kept->name);
        kept[count++].counters = more;
        if (before)
            subtract(&more, before);
        add_operation(group, process->names[i], &more);
    }
    if (!kept)
        return;
    free(seen->operations);
    struct metrics_operation *fitting = realloc(kept, (count + 1) * sizeof *kept);
    seen->operations = fitting ? fitting : kept;
    seen->operation_count = count;
}

static uint32_t expiries_before(const struct metrics_seen *seen, const struct block_expiry *now) {
    for (unsigned i = 0; i < seen->expiry_count; i++) {
        const struct block_expiry *before = &seen->expiries[i];
        if (before->is_observed == now->is_observed && before->set.by == now->set.by &&
            before->set.line == now->set.line && strcmp(before->limit, now->limit) == 0)
            return before->count;
    }
    return 0;
}

static void take_expiries(struct metrics_group *group, struct metrics_seen *seen,
                          const struct process_statistics *process) {
    char section[sizeof((struct metrics_expiry){0}).section];
    for (unsigned i = 0; i < process->expiry_count; i++) {
        const struct block_expiry *expiry = &process->expiries[i];
        const uint32_t more = expiry->count - expiries_before(seen, expiry);
        if (!more)
            continue;
        config_section_of(process->pid, expiry->set, section, sizeof section);
        add_expiries(group, expiry->limit, section, expiry->is_observed, more);
    }
    struct block_expiry *kept = calloc(process->expiry_count + 1, sizeof *kept);
    if (!kept)
        return;
    if (process->expiry_count)
        memcpy(kept, process->expiries, process->expiry_count * sizeof *kept);
    free(seen->expiries);
    seen->expiries = kept;
    seen->expiry_count = process->expiry_count;
}

static void take_limits(struct metrics_group *group, const struct process_statistics *process) {
    for (unsigned i = 0; i < process->setting_count; i++) {
        const struct nd_live_row *row = &process->settings[i];
        const struct nd_setting *setting = nd_setting_find(row->name, strlen(row->name));
        if (!setting || setting->kind != ND_SETTING_TIME || row->now.value <= 0)
            continue;
        int64_t *limit = &group->limits[setting - nd_setting_table];
        if (*limit == 0 || row->now.value < *limit)
            *limit = row->now.value;
    }
}

static void take_process(struct metrics *metrics, struct metrics_seen *seen, const struct process_statistics *process) {
    char unit[sizeof((struct metrics_group){0}).unit];
    unit_name(process->pid, unit, sizeof unit);
    struct metrics_group *group = find_group(metrics, metrics->by_process ? process->pid : 0, process->program, unit);
    if (!group)
        return;
    group->processes++;
    group->waiting += process->waiting;
    group->pending += process->pending;
    group->oldest = process->oldest > group->oldest ? process->oldest : group->oldest;
    group->oldest_pending =
        process->oldest_pending > group->oldest_pending ? process->oldest_pending : group->oldest_pending;
    memcpy(group->library, process->library, sizeof group->library);
    take_operations(group, seen, process);
    take_expiries(group, seen, process);
    take_limits(group, process);
}

static bool is_same(const struct process_identity *a, const struct process_identity *b) {
    return a->started == b->started && a->code == b->code && a->stack == b->stack;
}

/* One that could not be read this time is not new the next time. */
static bool has_ended(const struct metrics_seen *seen) {
    const struct process_identity now = process_identity(seen->pid);
    return !is_same(&seen->identity, &now);
}

static void begin_look(struct metrics *metrics) {
    for (size_t i = 0; i < metrics->seen_count; i++)
        metrics->seen[i].is_there = false;
    for (size_t i = 0; i < metrics->group_count; i++) {
        struct metrics_group *group = &metrics->groups[i];
        group->processes = group->waiting = group->pending = 0;
        group->oldest = group->oldest_pending = 0;
        memset(group->limits, 0, sizeof group->limits);
    }
}

/* Forgets processes that have ended, and groups that have none any more and nothing to keep. */
static void end_look(struct metrics *metrics) {
    size_t kept = 0;
    for (size_t i = 0; i < metrics->seen_count; i++)
        if (metrics->seen[i].is_there || !has_ended(&metrics->seen[i]))
            metrics->seen[kept++] = metrics->seen[i];
        else
            forget(&metrics->seen[i]);
    metrics->seen_count = kept;
    if (kept > 0)
        qsort(metrics->seen, kept, sizeof *metrics->seen, by_pid);
    kept = 0;
    for (size_t i = 0; i < metrics->group_count; i++) {
        struct metrics_group *group = &metrics->groups[i];
        bool has_counts = group->operation_count + group->expiry_count > 0 && !metrics->by_process;
        if (group->processes > 0 || has_counts) {
            metrics->groups[kept++] = *group;
            continue;
        }
        free(group->operations);
        free(group->expiries);
    }
    metrics->group_count = kept;
}

void metrics_take(struct metrics *metrics, const struct statistics *statistics) {
    const size_t known = metrics->seen_count; /* those that are sorted */
    begin_look(metrics);
    for (size_t i = 0; i < statistics->count; i++) {
        const struct process_statistics *process = &statistics->processes[i];
        struct metrics_seen *seen = find_seen(metrics, known, process->pid);
        if (!seen) {
            if (!array_grow(&metrics->seen, metrics->seen_count, &metrics->seen_room, sizeof *metrics->seen, 64))
                continue;
            seen = &metrics->seen[metrics->seen_count++];
            *seen = (struct metrics_seen){.pid = process->pid, .identity = process->identity};
        }
        if (seen->is_there) /* named twice */
            continue;
        if (!is_same(&seen->identity, &process->identity)) {
            forget(seen);
            seen->identity = process->identity;
        }
        seen->is_there = true;
        take_process(metrics, seen, process);
    }
    end_look(metrics);
}

void metrics_free(struct metrics *metrics) {
    for (size_t i = 0; i < metrics->seen_count; i++)
        forget(&metrics->seen[i]);
    for (size_t i = 0; i < metrics->group_count; i++) {
        free(metrics->groups[i].operations);
        free(metrics->groups[i].expiries);
    }
    free(metrics->seen);
    free(metrics->groups);
    *metrics = (struct metrics){.by_process = metrics->by_process};
}
