#include <string.h>

#include "cli/cli.h"

#ifndef ND_VERSION
#define ND_VERSION "unknown"
#endif

static const struct cli_command *const commands[] = {
    &cli_run_command,  &cli_check_command,  &cli_ps_command,      &cli_top_command,      &cli_stats_command,
    &cli_set_command,  &cli_end_command,    &cli_guard_command,   &cli_exporter_command, &cli_config_command,
    &cli_unit_command, &cli_enable_command, &cli_disable_command, &cli_status_command};

enum { COMMANDS = sizeof commands / sizeof commands[0] };

static void print_help(FILE *to) {
    fprintf(to, "Usage: netdeadline COMMAND [OPTION...]\n"
                "Puts a deadline on every network call of an unmodified program.\n\n"
                "Commands:\n");
    for (int i = 0; i < COMMANDS; i++)
        fprintf(to, "  %-10s %s\n", commands[i]->name, commands[i]->summary);
    fprintf(to, "\n'netdeadline COMMAND --help' tells more.\n");
}

static const struct cli_command *find_command(const char *name) {
    for (int i = 0; i < COMMANDS; i++)
        if (strcmp(commands[i]->name, name) == 0)
            return commands[i];
    return NULL;
}

static int help(int argc, char **argv) {
    const struct cli_command *command = argc > 2 ? find_command(argv[2]) : NULL;
    if (argc > 2 && !command)
        return cli_usage_error(NULL, "there is no command '%s'", argv[2]);
    if (command)
        command->help(stdout);
    else
        print_help(stdout);
    return cli_finish(CLI_OK);
}

int main(int argc, char **argv) {
    if (argc < 2) {
        print_help(stderr);
        return CLI_USAGE;
    }
    if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0 || strcmp(argv[1], "help") == 0)
        return help(argc, argv);
    if (strcmp(argv[1], "--version") == 0) {
        printf("netdeadline %s\n", ND_VERSION);
        return cli_finish(CLI_OK);
    }
    const struct cli_command *command = find_command(argv[1]);
    if (!command)
        return cli_usage_error(NULL, "there is no %s '%s'", argv[1][0] == '-' ? "option" : "command", argv[1]);
    return cli_finish(command->run(argc - 1, argv + 1));
}
