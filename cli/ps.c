#include "cli/blocked_table.h"
#include "cli/cli.h"
#include "cli/process/processes.h"
#include "cli/process/stack.h"

static void print_help(FILE *to) {
    fprintf(
        to,
        "Usage: netdeadline ps [--stack] [PID...]\n"
        "Shows the processes under the library and the network calls they are blocked in; of processes without it,\n"
        "the socket calls they are blocked in.\n\n"
        "Options:\n"
        "  --stack    shows the stack of each blocked thread, which is stopped for a moment to be read\n\n"
        "Processes of other users are shown to root only.\n"
        "Exit status: 0; 2 for wrong usage, 125 if a process may not be looked at, 127 if there is no such process.\n");
}

static void print_stack(size_t row, void *arg) {
    const struct blocked_list *list = arg;
    const struct blocked *entry = &list->entries[row];
    if (entry->tid)
        stack_print(entry->pid, entry->tid, stdout);
}

/* Looks at a process that was asked for by number; complains where that cannot be done. */
static int collect_named(struct blocked_list *list, pid_t pid) {
    if (!process_exists(pid)) {
        cli_complain("there is no process %d", (int)pid);
        return CLI_NOT_FOUND;
    }
    switch (blocked_collect(list, pid, true)) {
    case BLOCK_DENIED:
        cli_complain("may not look into process %d: " CLI_NEEDS_PTRACE, (int)pid);
        return CLI_FAILED;
    case BLOCK_STRANGE:
        cli_complain("process %d has another version of the library, whose state cannot be read", (int)pid);
        return CLI_OK;
    default:
        return CLI_OK;
    }
}

static int run(int argc, char **argv) {
    enum { STACK = CLI_FIRST_OPTION };
    static const struct option options[] = {{"stack", no_argument, NULL, STACK}, CLI_HELP, CLI_END};
    struct blocked_list list = {0};
    struct table table;
    bool with_stack = false;
    int status = CLI_OK;
    while (cli_next_option(&cli_ps_command, argc, argv, options) == STACK)
        with_stack = true;
    if (!cli_are_processes(&cli_ps_command, argv + optind))
        return CLI_USAGE;
    for (int i = optind; i < argc; i++) {
        int its = collect_named(&list, process_parse(argv[i]));
        status = its != CLI_OK ? its : status;
    }
    if (optind == argc)
        blocked_collect_all(&list);
    if (with_stack && stack_start() != 0)
        with_stack = false, status = CLI_FAILED;
    blocked_sort(&list, false);
    blocked_tabulate(&list, &table);
    table_print(&table, stdout, 0, 0, with_stack ? print_stack : NULL, &list);
    if (optind == argc && list.denied)
        cli_complain("not looked into: %u, as " CLI_NEEDS_PTRACE, list.denied);
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
