#include "cli/block_error.h"
#include "cli/cli.h"
#include "cli/metrics.h"
#include "cli/process/processes.h"
#include "cli/statistics.h"
#include "shim/report/operations.h"

static void print_help(FILE *to) {
    fprintf(
        to,
        "Usage: netdeadline stats [--json|--prometheus [--by-pid]|--config|--histogram CALL] [PID...]\n"
        "Shows what the library has counted in processes: calls that waited under a limit, how many a deadline ended\n"
        "or, in MODE=observe, would have ended, the longest, and a limit that would suit.\n\n"
        "Options:\n"
        "  --json         prints one JSON object\n"
        "  --prometheus   prints Prometheus' text format, by program and service\n"
        "  --by-pid       ... and by process\n"
        "  --config       prints the limits that would suit as sections for netdeadline.conf\n"
        "  --histogram CALL\n"
        "                 draws how long the waits of this call took, with the limit that is set and the suggested "
        "one\n"
        "\n"
        "Exit status: 0; 2 for wrong usage, 125 if a process has no library or may not be looked at, 127 if there is\n"
        "no such process.\n");
}

static int collect_named(struct statistics *statistics, pid_t pid) {
    int status = block_process_error(pid);
    if (status != CLI_OK)
        return status;
    enum block_found found = statistics_collect(statistics, pid, true);
    return found == BLOCK_GONE ? CLI_OK : block_error(pid, found);
}

static void collect_one(pid_t pid, void *arg) {
    statistics_collect(arg, pid, false);
}

/* A look of its own: what ended processes have counted is not there any more. */
static void print_prometheus(struct statistics *statistics, bool by_process) {
    struct metrics metrics = {.by_process = by_process};
    statistics_look_at_connections(statistics);
    metrics_take(&metrics, statistics);
    metrics_print(&metrics, stdout);
    metrics_free(&metrics);
}

/* What is to be printed. */
struct asked {
    enum { TABLE, JSON = CLI_FIRST_OPTION, PROMETHEUS, CONFIG, HISTOGRAM, BY_PID } what;
    const char *operation; /* of the histogram */
    bool by_process;
};

static int read_options(struct asked *asked, int argc, char **argv) {
    static const struct option options[] = {{"json", no_argument, NULL, JSON},
                                            {"prometheus", no_argument, NULL, PROMETHEUS},
                                            {"config", no_argument, NULL, CONFIG},
                                            {"histogram", required_argument, NULL, HISTOGRAM},
                                            {"by-pid", no_argument, NULL, BY_PID},
                                            CLI_HELP,
                                            CLI_END};
    for (int option; (option = cli_next_option(&cli_stats_command, argc, argv, options)) >= 0;) {
        asked->by_process |= option == BY_PID;
        asked->operation = option == HISTOGRAM ? optarg : asked->operation;
        if (option != BY_PID)
            asked->what = (unsigned)option;
    }
    if (asked->by_process && asked->what != PROMETHEUS)
        return cli_usage_error(&cli_stats_command, "--by-pid goes with --prometheus");
    if (asked->what == HISTOGRAM && nd_operation_find(asked->operation) == ND_OPERATION_NONE)
        return cli_usage_error(&cli_stats_command, "'%s' is no call that is counted", asked->operation);
    return cli_are_processes(&cli_stats_command, argv + optind) ? CLI_OK : CLI_USAGE;
}

static void print(const struct asked *asked, struct statistics *statistics) {
    if (asked->what == JSON)
        statistics_print_json(statistics, stdout);
    else if (asked->what == PROMETHEUS)
        print_prometheus(statistics, asked->by_process);
    else if (asked->what == CONFIG)
        statistics_print_config(statistics, stdout);
    else if (asked->what == TABLE)
        statistics_print_table(statistics, stdout);
    else if (!statistics_print_histogram(statistics, asked->operation, stdout))
        cli_warn("nothing was counted of %s", asked->operation);
}

static int run(int argc, char **argv) {
    struct statistics statistics = {0};
    struct asked asked = {.what = TABLE};
    int status = read_options(&asked, argc, argv);
    if (status != CLI_OK)
        return status;
    for (int i = optind; i < argc; i++) {
        int its = collect_named(&statistics, process_parse(argv[i]));
        status = its != CLI_OK ? its : status;
    }
    if (optind == argc)
        process_each(collect_one, &statistics);
    if (asked.what != HISTOGRAM || status == CLI_OK || statistics.count > 0)
        print(&asked, &statistics);
    if (optind == argc && statistics.denied)
        cli_warn("not looked into: %u, as " CLI_NEEDS_PTRACE, statistics.denied);
    statistics_free(&statistics);
    return status;
}

const struct cli_command cli_stats_command = {
    .name = "stats",
    .summary = "shows what was counted: waits, expiries, limits that would suit",
    .run = run,
    .help = print_help,
};
