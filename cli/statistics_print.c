/* Prints the counters as a table and as JSON. */
#include <inttypes.h>
#include <string.h>

#include "base/line.h"
#include "cli/process/escape.h"
#include "cli/statistics.h"
#include "cli/table.h"

static bool was_used(const struct block_counters *counters) {
    return statistics_calls(counters) + counters->observed > 0;
}

static bool suggestion(const char *operation, const struct block_counters *counters, char *out, size_t size) {
    const char *limit = statistics_limit(operation);
    int64_t value = limit ? statistics_suggest(counters) : 0;
    struct nd_line line;
    nd_line_start(&line, out, size);
    if (value == 0)
        return false;
    nd_line_put(&line, limit);
    nd_line_put_char(&line, '=');
    nd_line_put_duration(&line, value);
    return true;
}

static void add_process(struct table *table, const struct process_statistics *process) {
    char program[128], name[128], suggested[64];
    bool any = false;
    escape(program, sizeof program, process->program);
    for (unsigned i = 0; i < process->operations; i++) {
        const struct block_counters *counters = &process->counters[i];
        if (!was_used(counters))
            continue;
        any = true;
        escape(name, sizeof name, process->names[i]);
        suggestion(process->names[i], counters, suggested, sizeof suggested);
        table_add_number(table, (uint64_t)process->pid);
        table_add(table, program);
        table_add(table, name);
        table_add_number(table, statistics_calls(counters));
        table_add_number(table, counters->expired);
        table_add_number(table, counters->in_a_row);
        table_add_number(table, counters->stale);
        table_add_number(table, counters->observed);
        table_add_time(table, counters->longest < INT64_MAX ? (int64_t)counters->longest : INT64_MAX);
        table_add(table, suggested);
    }
    if (!any) {
        table_add_number(table, (uint64_t)process->pid);
        table_add(table, program);
        for (int i = 0; i < 8; i++)
            table_add(table, "");
    }
}

void statistics_print_table(const struct statistics *statistics, FILE *to) {
    static const char *const heading[] = {"PID",      "PROGRAM", "CALL",     "CALLS",   "EXPIRED",
                                          "REPEATED", "STALE",   "OBSERVED", "LONGEST", "SUGGESTED"};
    struct table table = {.columns = sizeof heading / sizeof heading[0],
                          .right = 1 << 0 | 1 << 3 | 1 << 4 | 1 << 5 | 1 << 6 | 1 << 7 | 1 << 8};
    for (int i = 0; i < table.columns; i++)
        table_add(&table, heading[i]);
    for (size_t i = 0; i < statistics->count; i++)
        add_process(&table, &statistics->processes[i]);
    table_print(&table, to, 0, 0, NULL, NULL);
    table_free(&table);
}

static void print_seconds(FILE *to, uint64_t ns) {
    fprintf(to, "%" PRIu64 ".%09" PRIu64, ns / 1000000000, ns % 1000000000);
}

/* Prints one operation's object: {"operation":"recv","calls":3,...} */
static void print_operation(const char *operation, const struct block_counters *counters, FILE *to) {
    char name[128], suggested[64];
    escape(name, sizeof name, operation);
    fprintf(to, "{\"operation\":\"%s\",\"calls\":%" PRIu64 ",\"expired\":%" PRIu64 ",\"observed\":%" PRIu64, name,
            statistics_calls(counters), counters->expired, counters->observed);
    if (counters->in_a_row)
        fprintf(to, ",\"expired_in_a_row\":%" PRIu64, counters->in_a_row);
    if (counters->stale)
        fprintf(to, ",\"stale_answers\":%" PRIu64, counters->stale);
    fprintf(to, ",\"own_timeouts\":%" PRIu64 ",\"longest_seconds\":", counters->quiet);
    print_seconds(to, counters->longest);
    fprintf(to, ",\"waited_seconds\":");
    print_seconds(to, counters->total);
    fprintf(to, ",\"buckets\":[");
    for (int i = 0; i < ND_BUCKETS; i++)
        fprintf(to, "{\"le_ms\":%" PRIu32 ",\"count\":%" PRIu64 "},", nd_bucket_ms[i], counters->buckets[i]);
    fprintf(to, "{\"le_ms\":null,\"count\":%" PRIu64 "}],\"suggested\":", counters->buckets[ND_BUCKETS]);
    if (suggestion(operation, counters, suggested, sizeof suggested))
        fprintf(to, "\"%s\"}", suggested);
    else
        fprintf(to, "null}");
}

static void print_process(const struct process_statistics *process, FILE *to) {
    char text[512];
    const char *comma = "";
    escape(text, sizeof text, process->program);
    fprintf(to, "{\"pid\":%d,\"program\":\"%s\",", (int)process->pid, text);
    escape(text, sizeof text, process->library);
    fprintf(to, "\"library\":\"%s\",\"waiting\":%u,\"settings\":{", text, process->waiting);
    for (unsigned i = 0; i < process->setting_count; i++)
        if (statistics_setting(&process->settings[i], text, sizeof text)) {
            fprintf(to, "%s\"%s\":\"%s\"", comma, process->settings[i].name, text);
            comma = ",";
        }
    fprintf(to, "},\"operations\":[");
    comma = "";
    for (unsigned i = 0; i < process->operations; i++)
        if (was_used(&process->counters[i])) {
            fputs(comma, to);
            print_operation(process->names[i], &process->counters[i], to);
            comma = ",\n";
        }
    fprintf(to, "]}");
}

void statistics_print_json(const struct statistics *statistics, FILE *to) {
    fprintf(to, "{\"processes\":[");
    for (size_t i = 0; i < statistics->count; i++) {
        fputs(i ? ",\n" : "", to);
        print_process(&statistics->processes[i], to);
    }
    fprintf(to, "]}\n");
}
