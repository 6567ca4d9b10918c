/* Prints the limits that would suit as sections of the config file. What a line rests on stands above it. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/line.h"
#include "cli/process/process_connections.h"
#include "cli/program_name.h"
#include "cli/statistics.h"
#include "shim/report/operations.h"

/* A section: what was counted of each operation, over all processes of one program. */
struct section {
    char name[256]; /* a pattern */
    unsigned processes;
    bool accepts;
    struct block_counters counters[ND_OPERATIONS];
};

/* The settings that may be suggested, in the order of their lines. The waits of a listener say nothing of how long it
 * may stay without a client. */
static const struct {
    const char *limit;
    bool may_accept; /* its waits may be those of accepted connections, too */
    const char *why_not;
} lines[] = {
    {"RESOLVE", false, NULL},       {"CONNECT", false, NULL},
    {"TLS_HANDSHAKE", false, NULL}, {"INBOUND_TLS_HANDSHAKE", false, NULL},
    {"TLS_SHUTDOWN", true, NULL},   {"RECV", true, NULL},
    {"SEND", true, NULL},           {"ACCEPT", false, "a listener may stay without a client for longer"},
};

static void note_inbound(const struct connection *connection, int fd, void *arg) {
    bool *accepts = arg;
    (void)fd;
    *accepts |= connection->is_inbound;
}

/* Operations are found by name, because a process may have another version of the library. */
static void add_process(struct section *section, const struct process_statistics *process) {
    section->processes++;
    for (unsigned i = 0; i < process->operations; i++)
        statistics_add(&section->counters[nd_operation_find(process->names[i])], &process->counters[i]);
    process_connections(process->pid, note_inbound, &section->accepts);
}

/* The waits of all operations that the limit bounds. */
struct basis {
    struct block_counters all;
    int64_t suggested;
    bool is_too_long; /* for any limit to make sense */
};

/* The limit must suit each of its operations: one that is called seldom and waits for long, too. */
static void collect_basis(const struct section *section, const char *limit, struct basis *basis) {
    *basis = (struct basis){.suggested = 0};
    for (int i = 1; i < ND_OPERATIONS; i++) {
        const char *its = statistics_limit(nd_operation_names[i]);
        if (its && strcmp(its, limit) == 0)
            statistics_add(&basis->all, &section->counters[i]);
    }
    if (basis->all.done < STATISTICS_FEWEST_WAITS)
        return;
    for (int i = 1; i < ND_OPERATIONS; i++) {
        const char *its = statistics_limit(nd_operation_names[i]);
        const struct block_counters *counters = &section->counters[i];
        if (!its || strcmp(its, limit) != 0 || counters->done == 0)
            continue;
        int64_t suits = statistics_suggest_from(counters);
        basis->is_too_long |= suits == 0;
        basis->suggested = suits > basis->suggested ? suits : basis->suggested;
    }
    if (basis->is_too_long)
        basis->suggested = 0;
}

static void print_duration(FILE *to, int64_t time) {
    char text[64];
    struct nd_line line;
    nd_line_start(&line, text, sizeof text);
    nd_line_put_duration(&line, time);
    fputs(text, to);
}

/* "# 1520 waits, the longest 1.3s (recv 1400, SSL_read 120); 3 ended by a deadline" */
static void print_basis(const struct section *section, const char *limit, const struct basis *basis, FILE *to) {
    const char *comma = "";
    int64_t longest = basis->all.longest < INT64_MAX ? (int64_t)basis->all.longest : INT64_MAX;
    fprintf(to, "# %" PRIu64 " wait%s, the longest ", basis->all.done, basis->all.done == 1 ? "" : "s");
    print_duration(to, longest > 0 ? longest : 1);
    fprintf(to, " (");
    for (int i = 1; i < ND_OPERATIONS; i++) {
        const char *its = statistics_limit(nd_operation_names[i]);
        if (!its || strcmp(its, limit) != 0 || section->counters[i].done == 0)
            continue;
        fprintf(to, "%s%s %" PRIu64, comma, nd_operation_names[i], section->counters[i].done);
        comma = ", ";
    }
    fprintf(to, ")");
    if (basis->all.expired)
        fprintf(to, "; besides %" PRIu64 " that a deadline ended", basis->all.expired);
    if (basis->all.observed)
        fprintf(to, "; %" PRIu64 " that one would have ended", basis->all.observed);
    fprintf(to, "\n");
}

static void print_limit(const struct section *section, size_t row, FILE *to) {
    const char *limit = lines[row].limit;
    struct basis basis;
    collect_basis(section, limit, &basis);
    if (basis.all.done == 0)
        return;
    print_basis(section, limit, &basis, to);
    if (basis.suggested == 0) {
        fprintf(to, "# no %s: %s\n", limit, basis.is_too_long ? "some took hours" : "too few to tell");
        return;
    }
    fprintf(to, "%s%s = ", lines[row].why_not ? "# " : "", limit);
    print_duration(to, basis.suggested);
    fprintf(to, "\n");
    if (lines[row].why_not)
        fprintf(to, "# (%s)\n", lines[row].why_not);
    if (section->accepts && lines[row].may_accept) {
        fprintf(to, "# INBOUND_%s = ", limit);
        print_duration(to, basis.suggested);
        fprintf(to, "\n# (the waits are also those of connections that it accepts, where clients may be idle)\n");
    }
}

static void print_section(const struct section *section, FILE *to) {
    fprintf(to, "\n# counted in %u process%s\n[program %s]\n", section->processes, section->processes == 1 ? "" : "es",
            section->name);
    for (size_t i = 0; i < sizeof lines / sizeof lines[0]; i++)
        print_limit(section, i, to);
}

void statistics_print_config(const struct statistics *statistics, FILE *to) {
    char(*names)[sizeof((struct section){0}).name] = calloc(statistics->count + 1, sizeof *names);
    struct section *section = malloc(sizeof *section);
    fprintf(to, "# Limits that would suit: three times what all but one in a thousand of the waits of each call took,\n"
                "# rounded up. Made by 'netdeadline stats --config' for netdeadline.conf(5).\n");
    for (size_t i = 0; names && i < statistics->count; i++) {
        char name[sizeof *names];
        program_name_of(statistics->processes[i].pid, name, sizeof name);
        program_name_as_pattern(name, names[i], sizeof *names);
    }
    for (size_t i = 0; names && section && i < statistics->count; i++) {
        *section = (struct section){.processes = 0};
        memcpy(section->name, names[i], sizeof section->name);
        for (size_t j = i; names[i][0] && j < statistics->count; j++)
            if (strcmp(names[j], section->name) == 0) {
                add_process(section, &statistics->processes[j]);
                if (j > i)
                    names[j][0] = '\0';
            }
        if (names[i][0])
            print_section(section, to);
    }
    process_connections_forget();
    free(section);
    free(names);
}
