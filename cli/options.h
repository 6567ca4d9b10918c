/* The options that stand for settings: --recv 30s. `run` and `unit` take them. */
#ifndef CLI_OPTIONS_H
#define CLI_OPTIONS_H

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

/* Finds the library: the one that --library names, or else the one that belongs to this command. Returns an exit
 * status, having warned. */
int options_find_library(const struct options *options, const struct cli_command *command, struct library *library);

/* Prints the part of a command's help that is about these options. */
void options_print_help(FILE *to);

#endif
