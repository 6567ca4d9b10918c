#include "cli/block_error.h"
#include "cli/cli.h"
#include "cli/process/processes.h"
#include "cli/statistics.h"
#include "shim/report/operations.h"

static void print_help(FILE *to) {
    fprintf(
        to,
        "Usage: netdeadline stats [--json|--prometheus|--config|--histogram CALL] [PID...]\n"
        "Shows what the library has counted in processes: calls that waited under a limit, how many a deadline ended\n"
        "or, in MODE=observe, would have ended, the longest, and a limit that would suit.\n\n"
        "Options:\n"
        "  --json         prints one JSON object\n"
        "  --prometheus   prints Prometheus' text format, for node-exporter's textfile collector\n"
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

static int run(int argc, char **argv) {
    enum { JSON = CLI_FIRST_OPTION, PROMETHEUS, CONFIG, HISTOGRAM };
    static const struct option options[] = {{"json", no_argument, NULL, JSON},
                                            {"prometheus", no_argument, NULL, PROMETHEUS},
                                            {"config", no_argument, NULL, CONFIG},
                                            {"histogram", required_argument, NULL, HISTOGRAM},
                                            CLI_HELP,
                                            CLI_END};
    void (*print)(const struct statistics *, FILE *) = statistics_print_table;
    struct statistics statistics = {0};
    const char *operation = NULL;
    int status = CLI_OK;
    for (int option; (option = cli_next_option(&cli_stats_command, argc, argv, options)) >= 0;) {
        operation = option == HISTOGRAM ? optarg : NULL;
        print = option == JSON     ? statistics_print_json
                : option == CONFIG ? statistics_print_config
                                   : statistics_print_prometheus;
    }
    if (operation && nd_operation_find(operation) == ND_OPERATION_NONE)
        return cli_usage_error(&cli_stats_command, "'%s' is no call that is counted", operation);
    if (!cli_are_processes(&cli_stats_command, argv + optind))
        return CLI_USAGE;
    for (int i = optind; i < argc; i++) {
        int its = collect_named(&statistics, process_parse(argv[i]));
        status = its != CLI_OK ? its : status;
    }
    if (optind == argc)
        process_each(collect_one, &statistics);
    if (!operation)
        print(&statistics, stdout);
    else if (!statistics_print_histogram(&statistics, operation, stdout) && status == CLI_OK)
        cli_warn("nothing was counted of %s", operation);
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
