/* Prints the counters in Prometheus' text exposition format: each family once, its help and type before its samples. */
#include <inttypes.h>
#include <string.h>

#include "cli/statistics.h"

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

static void print_process_labels(FILE *to, const struct process_statistics *process) {
    fprintf(to, "{pid=\"%d\",program=\"", (int)process->pid);
    print_value(to, process->program);
    fputs("\"", to);
}

static void begin_family(FILE *to, const char *name, const char *type, const char *help) {
    fprintf(to, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, type);
}

static void print_seconds(FILE *to, uint64_t ns) {
    fprintf(to, "%" PRIu64 ".%09" PRIu64 "\n", ns / 1000000000, ns % 1000000000);
}

/* Prints the name and labels of a sample of one operation, up to but without "}". */
static void begin_sample(FILE *to, const char *name, const struct process_statistics *process, unsigned operation) {
    fputs(name, to);
    print_process_labels(to, process);
    fputs(",operation=\"", to);
    print_value(to, process->names[operation]);
    fputs("\"", to);
}

static void print_histogram(FILE *to, const char *name, const struct process_statistics *process, unsigned operation) {
    char sample[96];
    const struct block_counters *counters = &process->counters[operation];
    uint64_t sum = 0;
    for (int i = 0; i <= ND_BUCKETS; i++) {
        sum += counters->buckets[i];
        snprintf(sample, sizeof sample, "%s_bucket", name);
        begin_sample(to, sample, process, operation);
        if (i < ND_BUCKETS)
            fprintf(to, ",le=\"%g\"} %" PRIu64 "\n", nd_bucket_ms[i] / 1000.0, sum);
        else
            fprintf(to, ",le=\"+Inf\"} %" PRIu64 "\n", sum);
    }
    snprintf(sample, sizeof sample, "%s_sum", name);
    begin_sample(to, sample, process, operation);
    fputs("} ", to);
    print_seconds(to, counters->total);
    snprintf(sample, sizeof sample, "%s_count", name);
    begin_sample(to, sample, process, operation);
    fprintf(to, "} %" PRIu64 "\n", sum);
}

enum { CALLS, EXPIRED, OBSERVED, LONGEST, WAITS, FAMILIES };

static const struct {
    const char *name, *type, *help;
} families[FAMILIES] = {
    {"netdeadline_calls_total", "counter", "Calls that began to wait under a limit."},
    {"netdeadline_expiries_total", "counter", "Calls that a deadline ended."},
    {"netdeadline_observed_expiries_total", "counter", "Calls that a deadline would have ended, in MODE=observe."},
    {"netdeadline_longest_wait_seconds", "gauge", "The longest call so far."},
    {"netdeadline_wait_seconds", "histogram", "How long calls that ended by themselves took."},
};

static void print_sample(FILE *to, int family, const struct process_statistics *process, unsigned operation) {
    const struct block_counters *counters = &process->counters[operation];
    if (family == WAITS) {
        print_histogram(to, families[family].name, process, operation);
        return;
    }
    begin_sample(to, families[family].name, process, operation);
    fputs("} ", to);
    if (family == LONGEST)
        print_seconds(to, counters->longest);
    else
        fprintf(to, "%" PRIu64 "\n",
                family == CALLS     ? statistics_calls(counters)
                : family == EXPIRED ? counters->expired
                                    : counters->observed);
}

static void print_family(FILE *to, int family, const struct statistics *statistics) {
    begin_family(to, families[family].name, families[family].type, families[family].help);
    for (size_t i = 0; i < statistics->count; i++)
        for (unsigned j = 0; j < statistics->processes[i].operations; j++) {
            const struct block_counters *counters = &statistics->processes[i].counters[j];
            if (statistics_calls(counters) + counters->observed > 0)
                print_sample(to, family, &statistics->processes[i], j);
        }
}

static void print_limits(FILE *to, const struct process_statistics *process) {
    for (unsigned i = 0; i < process->setting_count; i++) {
        const struct nd_live_row *row = &process->settings[i];
        const struct nd_setting *setting = nd_setting_find(row->name, strlen(row->name));
        if (!setting || setting->kind != ND_SETTING_TIME || row->now.value <= 0)
            continue;
        fputs("netdeadline_limit_seconds", to);
        print_process_labels(to, process);
        fprintf(to, ",limit=\"%s\"} ", setting->name);
        print_seconds(to, (uint64_t)row->now.value);
    }
}

void statistics_print_prometheus(const struct statistics *statistics, FILE *to) {
    begin_family(to, "netdeadline_info", "gauge", "A process under the library.");
    for (size_t i = 0; i < statistics->count; i++) {
        fputs("netdeadline_info", to);
        print_process_labels(to, &statistics->processes[i]);
        fputs(",version=\"", to);
        print_value(to, statistics->processes[i].library);
        fputs("\"} 1\n", to);
    }
    begin_family(to, "netdeadline_waiting_threads", "gauge", "Threads inside a call that waits under a limit.");
    for (size_t i = 0; i < statistics->count; i++) {
        fputs("netdeadline_waiting_threads", to);
        print_process_labels(to, &statistics->processes[i]);
        fprintf(to, "} %u\n", statistics->processes[i].waiting);
    }
    begin_family(to, "netdeadline_limit_seconds", "gauge", "The limits that are on.");
    for (size_t i = 0; i < statistics->count; i++)
        print_limits(to, &statistics->processes[i]);
    for (int family = 0; family < FAMILIES; family++)
        print_family(to, family, statistics);
}
