/* What the commands of netdeadline share: their table, their exit codes, how they read options and warn. */
#pragma once

#include <getopt.h>
#include <stdbool.h>
#include <stdio.h>

/* `run` ends with the status of the program that it executes; these are ours, as env(1) and timeout(1) have them. */
enum {
    CLI_OK = 0,
    CLI_USAGE = 2,
    CLI_FAILED = 125,
    CLI_CANNOT_EXECUTE = 126,
    CLI_NOT_FOUND = 127,
};

struct cli_command {
    const char *name;
    const char *summary;
    bool takes_program;                /* its first argument is a program, whose options are not ours */
    int (*run)(int argc, char **argv); /* argv[0] is the command's name; returns the exit status */
    void (*help)(FILE *to);
};

extern const struct cli_command cli_run_command;
extern const struct cli_command cli_check_command;
extern const struct cli_command cli_config_command;
extern const struct cli_command cli_unit_command;
extern const struct cli_command cli_ps_command;
extern const struct cli_command cli_top_command;
extern const struct cli_command cli_stats_command;
extern const struct cli_command cli_set_command;
extern const struct cli_command cli_end_command;
extern const struct cli_command cli_guard_command;
extern const struct cli_command cli_exporter_command;
extern const struct cli_command cli_enable_command;
extern const struct cli_command cli_disable_command;
extern const struct cli_command cli_status_command;

/* What looking into a process takes. */
#define CLI_NEEDS_PTRACE "that takes root, or the same user and ptrace permission (sysctl kernel.yama.ptrace_scope)"

/* A command's own options have a `val` from CLI_FIRST_OPTION on. Its table ends with CLI_HELP, CLI_END. */
enum { CLI_HELP_OPTION = 256, CLI_FIRST_OPTION };
#define CLI_HELP                                                                                                       \
    { "help", no_argument, NULL, CLI_HELP_OPTION }
#define CLI_END                                                                                                        \
    { NULL, 0, NULL, 0 }

/* Reads the next option of the command's, before or behind other arguments. Returns its `val`, with its value in
 * optarg, or -1 at the end: the arguments that are no options then begin at argv[optind]. Exits with the command's help
 * for --help and -h, and with CLI_USAGE for an option that the command lacks, that is abbreviated, or whose value is
 * missing. */
int cli_next_option(const struct cli_command *command, int argc, char **argv, const struct option *options);

/* Whether all of these arguments, the last of which is NULL, are process IDs. Warns if not. */
bool cli_are_processes(const struct cli_command *command, char *const *arguments);

/* Prints "netdeadline: " and the message as one line to standard error. */
void cli_warn(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* Warns, points at the help of the command (NULL: of netdeadline), and returns CLI_USAGE. */
int cli_usage_error(const struct cli_command *command, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Writes out what was printed. Returns `status`, or CLI_FAILED where that fails (a full disk): it must not look like
 * success. */
int cli_finish(int status);
