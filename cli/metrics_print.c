/* Prints metrics in Prometheus' text exposition format: each family once, its help and type before its samples. */
#include <inttypes.h>
#include <string.h>

#include "cli/metrics.h"

/* Prints a label's value. The format demands UTF-8, which a program's name need not be, so that all but printable ASCII
 * becomes "?". */
static void print_value(FILE *to, const char *value) {
    for (; *value; value++) {
        bool is_plain = *value >= ' ' && *value < 0x7f;
        if (*value == '"' || *value == '\\')
            putc('\\', to);
        putc(is_plain ? *value : '?', to);
    }
}

static void print_label(FILE *to, const char *name, const char *value) {
    fprintf(to, ",%s=\"", name);
    print_value(to, value);
    putc('"', to);
}

/* Prints the name and labels of a sample, up to but without "}". */
static void begin_sample(FILE *to, const char *name, const struct metrics_group *group) {
    fprintf(to, "%s{program=\"", name);
    print_value(to, group->program);
    putc('"', to);
    print_label(to, "unit", group->unit);
    if (group->pid)
        fprintf(to, ",pid=\"%d\"", (int)group->pid);
}

static void begin_family(FILE *to, const char *name, const char *type, const char *help) {
    fprintf(to, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, type);
}

static void print_seconds(FILE *to, uint64_t ns) {
    fprintf(to, "%" PRIu64 ".%09" PRIu64 "\n", ns / 1000000000, ns % 1000000000);
}

static void print_histogram(FILE *to, const char *name, const struct metrics_group *group,
                            const struct metrics_operation *operation) {
    char sample[96];
    const struct block_counters *counters = &operation->counters;
    uint64_t sum = 0;
    snprintf(sample, sizeof sample, "%s_bucket", name);
    for (int i = 0; i <= ND_BUCKETS; i++) {
        sum += counters->buckets[i];
        begin_sample(to, sample, group);
        print_label(to, "operation", operation->name);
        if (i < ND_BUCKETS)
            fprintf(to, ",le=\"%g\"} %" PRIu64 "\n", nd_bucket_ms[i] / 1000.0, sum);
        else
            fprintf(to, ",le=\"+Inf\"} %" PRIu64 "\n", sum);
    }
    snprintf(sample, sizeof sample, "%s_sum", name);
    begin_sample(to, sample, group);
    print_label(to, "operation", operation->name);
    fputs("} ", to);
    print_seconds(to, counters->total);
    snprintf(sample, sizeof sample, "%s_count", name);
    begin_sample(to, sample, group);
    print_label(to, "operation", operation->name);
    fprintf(to, "} %" PRIu64 "\n", sum);
}

enum { CALLS, EXPIRED, OBSERVED, OWN_TIMEOUTS, STALE, LONGEST, WAITS, BY_OPERATION };

static const struct {
    const char *name, *type, *help;
} by_operation[BY_OPERATION] = {
    {"netdeadline_calls_total", "counter", "Calls that began to wait under a limit, or were timed in MODE=observe."},
    {"netdeadline_expiries_total", "counter", "Calls that a deadline ended."},
    {"netdeadline_observed_expiries_total", "counter", "Calls that a deadline would have ended, in MODE=observe."},
    {"netdeadline_own_timeouts_total", "counter", "Calls that returned at the program's own timeout."},
    {"netdeadline_stale_answers_total", "counter", "Lookups that gave an answer from before."},
    {"netdeadline_longest_wait_seconds", "gauge", "The longest call so far."},
    {"netdeadline_wait_seconds", "histogram", "How long calls that ended by themselves took."},
};

static void print_operation(FILE *to, int family, const struct metrics_group *group,
                            const struct metrics_operation *operation) {
    const struct block_counters *counters = &operation->counters;
    if (family == WAITS) {
        print_histogram(to, by_operation[family].name, group, operation);
        return;
    }
    begin_sample(to, by_operation[family].name, group);
    print_label(to, "operation", operation->name);
    fputs("} ", to);
    if (family == LONGEST)
        print_seconds(to, counters->longest);
    else
        fprintf(to, "%" PRIu64 "\n",
                family == CALLS      ? statistics_calls(counters)
                : family == EXPIRED  ? counters->expired
                : family == OBSERVED ? counters->observed
                : family == STALE    ? counters->stale
                                     : counters->quiet);
}

static void print_operations(const struct metrics *metrics, FILE *to) {
    for (int family = 0; family < BY_OPERATION; family++) {
        begin_family(to, by_operation[family].name, by_operation[family].type, by_operation[family].help);
        for (size_t i = 0; i < metrics->group_count; i++)
            for (size_t j = 0; j < metrics->groups[i].operation_count; j++)
                print_operation(to, family, &metrics->groups[i], &metrics->groups[i].operations[j]);
    }
}

static void print_expiries(const struct metrics *metrics, FILE *to) {
    static const char name[] = "netdeadline_limit_expiries_total";
    begin_family(to, name, "counter",
                 "Expiries by limit and by the section of the config file, or what else, that it was set in.");
    for (size_t i = 0; i < metrics->group_count; i++)
        for (size_t j = 0; j < metrics->groups[i].expiry_count; j++) {
            const struct metrics_expiry *expiry = &metrics->groups[i].expiries[j];
            begin_sample(to, name, &metrics->groups[i]);
            print_label(to, "limit", expiry->limit);
            print_label(to, "section", expiry->section);
            fprintf(to, ",mode=\"%s\"} %" PRIu64 "\n", expiry->is_observed ? "observe" : "enforce", expiry->count);
        }
}

enum { PROCESSES, WAITING, OLDEST, PENDING, OLDEST_PENDING, NOW };

static const struct {
    const char *name, *help;
} now[NOW] = {
    {"netdeadline_processes", "Processes under the library."},
    {"netdeadline_waiting_threads", "Threads inside a call that waits under a limit."},
    {"netdeadline_oldest_wait_seconds", "For how long the oldest of these calls has waited."},
    {"netdeadline_reply_pending_connections",
     "Connections made by the program whose peer has owed a reply for a second."},
    {"netdeadline_oldest_reply_pending_seconds", "For how long the oldest of these replies has been pending."},
};

static void print_now(const struct metrics *metrics, FILE *to) {
    for (int family = 0; family < NOW; family++) {
        begin_family(to, now[family].name, "gauge", now[family].help);
        for (size_t i = 0; i < metrics->group_count; i++) {
            const struct metrics_group *group = &metrics->groups[i];
            begin_sample(to, now[family].name, group);
            fputs("} ", to);
            if (family == OLDEST || family == OLDEST_PENDING)
                print_seconds(to, (uint64_t)(family == OLDEST ? group->oldest : group->oldest_pending));
            else
                fprintf(to, "%u\n",
                        family == PROCESSES ? group->processes
                        : family == WAITING ? group->waiting
                                            : group->pending);
        }
    }
}

static void print_info(const struct metrics *metrics, FILE *to) {
    begin_family(to, "netdeadline_info", "gauge", "A program under the library.");
    for (size_t i = 0; i < metrics->group_count; i++) {
        if (metrics->groups[i].processes == 0)
            continue;
        begin_sample(to, "netdeadline_info", &metrics->groups[i]);
        print_label(to, "version", metrics->groups[i].library);
        fputs("} 1\n", to);
    }
}

static void print_limits(const struct metrics *metrics, FILE *to) {
    begin_family(to, "netdeadline_limit_seconds", "gauge",
                 "The limits that are on; the shortest where processes of a program have different ones.");
    for (size_t i = 0; i < metrics->group_count; i++)
        for (size_t row = 0; row < nd_setting_count && row < ND_LIVE_ROWS; row++) {
            if (metrics->groups[i].limits[row] <= 0)
                continue;
            begin_sample(to, "netdeadline_limit_seconds", &metrics->groups[i]);
            print_label(to, "limit", nd_setting_table[row].name);
            /* as it would be written: the default of RESOLVE is a nanosecond less */
            const int64_t limit = metrics->groups[i].limits[row], ms = limit / ND_MSEC + (limit % ND_MSEC > 0);
            fprintf(to, "} %" PRId64 ".%03" PRId64 "\n", ms / 1000, ms % 1000);
        }
}

void metrics_print(const struct metrics *metrics, FILE *to) {
    print_info(metrics, to);
    print_now(metrics, to);
    print_limits(metrics, to);
    print_operations(metrics, to);
    print_expiries(metrics, to);
}
