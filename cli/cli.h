/* What the commands of netdeadline share: their table, their exit codes, their way to complain. */
#ifndef CLI_CLI_H
#define CLI_CLI_H

#include <stdio.h>

/* run(1)-like commands end with the program's own status; these are ours, as env(1) and timeout(1) have them. */
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

/* What looking into a process takes. */
#define CLI_NEEDS_PTRACE "that takes root, or the same user and ptrace permission (sysctl kernel.yama.ptrace_scope)"

/* Prints "netdeadline: " and the message as one line to standard error. */
void cli_complain(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* Complains, points at the command's --help, and returns CLI_USAGE. */
int cli_usage_error(const char *command, const char *format, ...) __attribute__((format(printf, 2, 3)));

#endif
