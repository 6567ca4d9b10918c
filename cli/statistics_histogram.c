/* Draws how long the waits of one operation took, with the limit that is set and the one that would suit. */
#include <inttypes.h>
#include <string.h>

#include "base/line.h"
#include "cli/process/escape.h"
#include "cli/statistics.h"
#include "cli/terminal.h"
#include "shim/settings/settings.h"

enum { LABEL = 24, MOST_BAR = 60, LEAST_BAR = 8 }; /* columns */

/* A limit between two bars. */
struct mark {
    int64_t at; /* ns; 0 for none */
    const char *what;
};

static int64_t limit_in_force(const struct process_statistics *process, const char *limit) {
    for (unsigned i = 0; i < process->setting_count; i++) {
        const struct nd_setting *setting =
            nd_setting_find(process->settings[i].name, strlen(process->settings[i].name));
        if (setting && setting->kind == ND_SETTING_TIME && strcmp(setting->name, limit) == 0)
            return process->settings[i].now.value > 0 ? process->settings[i].now.value : 0;
    }
    return 0;
}

static void put_duration(char *out, size_t size, int64_t time) {
    struct nd_line line;
    nd_line_start(&line, out, size);
    nd_line_put_duration(&line, time);
}

static void print_mark(FILE *to, const struct mark *mark, const char *limit, const char *colour, const char *end) {
    char duration[64];
    put_duration(duration, sizeof duration, mark->at);
    fprintf(to, "%s  ---------- %s=%s %s%s\n", colour, limit, duration, mark->what, end);
}

static void print_bar(FILE *to, const struct block_counters *counters, int bucket, uint64_t most, size_t width) {
    char duration[64], bound[80], bar[MOST_BAR + 1];
    if (bucket < ND_BUCKETS)
        put_duration(duration, sizeof duration, nd_bucket_ms[bucket] * ND_MSEC);
    snprintf(bound, sizeof bound, bucket < ND_BUCKETS ? "<= %s" : "longer", duration);
    terminal_bar(bar, width, counters->buckets[bucket], most, ' ');
    for (size_t length = width; length > 0 && bar[length - 1] == ' ';)
        bar[--length] = '\0';
    fprintf(to, "  %10s %9" PRIu64 "%s%s\n", bound, counters->buckets[bucket], bar[0] ? "  " : "", bar);
}

/* The first and last bucket to be shown: those with waits and those that the marks are in. */
static void find_range(const struct block_counters *counters, const struct mark *marks, int *first, int *last) {
    *first = ND_BUCKETS, *last = 0;
    for (int i = 0; i <= ND_BUCKETS; i++) {
        const int64_t from = i > 0 ? nd_bucket_ms[i - 1] * ND_MSEC : 0;
        const int64_t to = i < ND_BUCKETS ? nd_bucket_ms[i] * ND_MSEC : INT64_MAX;
        bool is_shown = counters->buckets[i] > 0;
        for (int j = 0; j < 2; j++)
            is_shown |= marks[j].at > from && marks[j].at <= to;
        if (is_shown && i < *first)
            *first = i;
        if (is_shown)
            *last = i;
    }
}

static void print_operation(const struct process_statistics *process, unsigned operation, FILE *to) {
    const struct block_counters *counters = &process->counters[operation];
    const struct terminal_colours colours = terminal_colours(to);
    const char *limit = statistics_limit(process->names[operation]);
    const struct mark marks[] = {{limit ? limit_in_force(process, limit) : 0, "is set"},
                                 {limit ? statistics_suggest(counters) : 0, "would suit"}};
    const char *const mark_colours[] = {colours.alarm, colours.accent};
    size_t width = terminal_width(to);
    uint64_t most = 1;
    int first, last;
    width = width > LABEL + MOST_BAR ? MOST_BAR : width > LABEL + LEAST_BAR ? width - LABEL : LEAST_BAR;
    for (int i = 0; i <= ND_BUCKETS; i++)
        most = counters->buckets[i] > most ? counters->buckets[i] : most;
    find_range(counters, marks, &first, &last);
    for (int i = first; i <= last; i++) {
        print_bar(to, counters, i, most, width);
        for (int j = 0; j < 2; j++) { /* a limit within the range of a bar stands below it */
            const int64_t from = i > 0 ? nd_bucket_ms[i - 1] * ND_MSEC : 0;
            if (marks[j].at > from && (i == ND_BUCKETS || marks[j].at <= nd_bucket_ms[i] * ND_MSEC))
                print_mark(to, &marks[j], limit, mark_colours[j], colours.end);
        }
    }
}

static void print_heading(const struct process_statistics *process, unsigned operation, FILE *to) {
    const struct block_counters *counters = &process->counters[operation];
    char program[128], name[128], longest[64];
    escape(program, sizeof program, process->program);
    escape(name, sizeof name, process->names[operation]);
    int64_t time = counters->longest < INT64_MAX ? (int64_t)counters->longest : INT64_MAX;
    put_duration(longest, sizeof longest, time > 0 ? time : 1);
    fprintf(to, "%s (%d) %s: %" PRIu64 " waits ended by themselves, %" PRIu64 " at a deadline; the longest %s\n",
            program, (int)process->pid, name, counters->done, counters->expired, longest);
}

bool statistics_print_histogram(const struct statistics *statistics, const char *operation, FILE *to) {
    bool any = false;
    for (size_t i = 0; i < statistics->count; i++)
        for (unsigned j = 0; j < statistics->processes[i].operations; j++) {
            const struct process_statistics *process = &statistics->processes[i];
            if (strcmp(process->names[j], operation) != 0 || statistics_calls(&process->counters[j]) == 0)
                continue;
            fputs(any ? "\n" : "", to);
            print_heading(process, j, to);
            print_operation(process, j, to);
            any = true;
        }
    return any;
}
