#include <unistd.h>

#include "cli/block_error.h"
#include "cli/blocked_table.h"
#include "cli/cli.h"
#include "cli/connections_table.h"
#include "cli/process/processes.h"
#include "cli/process/stack.h"

static void print_help(FILE *to) {
    fprintf(
        to,
        "Usage: netdeadline ps [--stack|--connections] [PID...]\n"
        "Shows the processes under the library and the network calls they are blocked in; of processes without it,\n"
        "the socket calls they are blocked in, and the connections that are connecting, owe a reply or have not\n"
        "acknowledged anything for a second.\n\n"
        "Options:\n"
        "  --stack        shows the stack of each blocked thread, which is stopped for a moment to be read,\n"
        "                 and of Python programs their own frames\n"
        "  --connections  shows every TCP connection of the processes, and what it waits for\n\n"
        "Processes of other users are shown to root only.\n"
        "Exit status: 0; 2 for wrong usage, 125 if a process may not be looked at, 127 if there is no such process.\n");
}

static void print_stack(size_t row, void *arg) {
    const struct blocked_list *list = arg;
    const struct blocked *entry = &list->entries[row];
    if (entry->tid)
        stack_print(entry->pid, entry->tid, stdout);
}

/* Looks at a process that was asked for by number. What keeps its library from being read does not keep its system
 * calls from being seen, but for a lack of permission. */
static int collect_named(struct blocked_list *list, pid_t pid) {
    int status = block_process_error(pid);
    if (status != CLI_OK)
        return status;
    enum block_found found = blocked_collect(list, pid, true);
    if (found == BLOCK_DENIED || found == BLOCK_STRANGE)
        status = block_error(pid, found);
    return found == BLOCK_DENIED ? status : CLI_OK;
}

/* The name of the package on hosts of this one's family, where that is known. */
static const char *package_of_libunwind(void) {
    if (access("/etc/debian_version", F_OK) == 0)
        return " (the package libunwind8)";
    if (access("/etc/redhat-release", F_OK) == 0)
        return " (the package libunwind)";
    return "";
}

/* What is added to the table of connections. */
struct connections {
    struct table table;
    unsigned denied;
};

static void add_connections(pid_t pid, void *arg) {
    struct connections *connections = arg;
    if (connections_table_add(&connections->table, pid) != 0 && process_exists(pid))
        connections->denied++;
}

static int add_named_connections(struct table *table, pid_t pid) {
    int status = block_process_error(pid);
    if (status == CLI_OK && connections_table_add(table, pid) != 0 && process_exists(pid))
        status = block_error(pid, BLOCK_DENIED);
    return status;
}

static int show_connections(char *const *pids) {
    struct connections connections = {.denied = 0};
    int status = CLI_OK;
    connections_table_start(&connections.table);
    if (!*pids)
        process_each(add_connections, &connections);
    for (; *pids; pids++) {
        int its = add_named_connections(&connections.table, process_parse(*pids));
        status = its != CLI_OK ? its : status;
    }
    table_print(&connections.table, stdout, 0, 0, NULL, NULL);
    if (connections.denied)
        cli_warn("not looked into: %u, as " CLI_NEEDS_PTRACE, connections.denied);
    table_free(&connections.table);
    return status;
}

static int run(int argc, char **argv) {
    enum { STACK = CLI_FIRST_OPTION, CONNECTIONS };
    static const struct option options[] = {
        {"stack", no_argument, NULL, STACK}, {"connections", no_argument, NULL, CONNECTIONS}, CLI_HELP, CLI_END};
    struct blocked_list list = {0};
    struct table table;
    bool with_stack = false, connections = false;
    int status = CLI_OK;
    for (int option; (option = cli_next_option(&cli_ps_command, argc, argv, options)) >= 0;) {
        with_stack |= option == STACK;
        connections |= option == CONNECTIONS;
    }
    if (!cli_are_processes(&cli_ps_command, argv + optind))
        return CLI_USAGE;
    if (with_stack && connections)
        return cli_usage_error(&cli_ps_command, "--stack is about calls, --connections about connections");
    if (connections)
        return show_connections(argv + optind);
    for (int i = optind; i < argc; i++) {
        int its = collect_named(&list, process_parse(argv[i]));
        status = its != CLI_OK ? its : status;
    }
    if (optind == argc)
        blocked_collect_all(&list);
    if (with_stack && stack_start() != 0) {
        cli_warn("--stack needs libunwind with its ptrace part%s, which is not installed here, but for Python's frames",
                 package_of_libunwind());
        status = CLI_FAILED;
    }
    blocked_sort(&list, false);
    blocked_tabulate(&list, false, &table);
    table_print(&table, stdout, 0, 0, with_stack ? print_stack : NULL, &list);
    if (optind == argc && list.denied)
        cli_warn("not looked into: %u, as " CLI_NEEDS_PTRACE, list.denied);
    table_free(&table);
    blocked_free(&list);
    return status;
}

const struct cli_command cli_ps_command = {
    .name = "ps",
    .summary = "shows the network calls that processes are blocked in",
    .run = run,
    .help = print_help,
};
