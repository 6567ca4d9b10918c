/* The options that stand for settings: --recv 30s. `run` and `unit` take them. */
#pragma once

#include <stdio.h>

#include "cli/cli.h"
#include "cli/library.h"
#include "shim/settings/live.h"

struct options {
    const char *library;              /* --library; NULL: find it */
    const char *values[ND_LIVE_ROWS]; /* by nd_setting_table: the value of each setting's variable, or NULL */
};

/* Reads the options of argv, whose first word is the command: the other arguments then begin at argv[optind]. The
 * values have been checked, and stay valid as long as argv does. Returns an exit status, having warned. */
int options_read(struct options *options, const struct cli_command *command, int argc, char **argv);

/* The same for a command that has options of its own, too. Their `val`s begin at OPTIONS_FIRST_OTHER, and `others` ends
 * with CLI_END; take(val, arg) is called for each, and returns an exit status. */
enum { OPTIONS_MOST_OTHERS = 8, OPTIONS_FIRST_OTHER = CLI_FIRST_OPTION + ND_LIVE_ROWS + 1 };
int options_read_with(struct options *options, const struct cli_command *command, int argc, char **argv,
                      const struct option *others, int (*take)(int option, void *arg), void *arg);

/* Sets the variables of this command's own environment, which the program inherits. Returns an exit status. */
int options_set_variables(const struct options *options);

/* Finds the library: the one that --library names, or else the one that belongs to this command. Returns an exit
 * status, having warned. */
int options_find_library(const struct options *options, const struct cli_command *command, struct library *library);

/* Prints the part of a command's help that is about these options. */
void options_print_help(FILE *to);
