#include "cli/cli.h"

#include <limits.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "cli/process/processes.h"

static void warn(const char *format, va_list args) {
    char text[1024];
    vsnprintf(text, sizeof text, format, args);
    fprintf(stderr, "netdeadline: %s\n", text);
}

void cli_warn(const char *format, ...) {
    va_list args;
    va_start(args, format);
    warn(format, args);
    va_end(args);
}

int cli_usage_error(const struct cli_command *command, const char *format, ...) {
    va_list args;
    va_start(args, format);
    warn(format, args);
    va_end(args);
    fprintf(stderr, "Try 'netdeadline %s%s--help'.\n", command ? command->name : "", command ? " " : "");
    return CLI_USAGE;
}

int cli_finish(int status) {
    if (fflush(stdout) != 0 || ferror(stdout)) {
        cli_warn("cannot write the output");
        return CLI_FAILED;
    }
    return status;
}

/* The word of the option that getopt_long has just read: the last, or the one before its value. */
static const char *typed_option(char **argv) {
    return argv[optarg && optarg == argv[optind - 1] ? optind - 2 : optind - 1];
}

/* getopt_long also takes the beginning of an option's name. What is unique today need not be so in the next version. */
static bool is_abbreviated(const char *typed, const char *name) {
    return strcspn(typed + 2, "=") != strlen(name);
}

int cli_next_option(const struct cli_command *command, int argc, char **argv, const struct option *options) {
    int index = -1;
    opterr = 0;
    int option = getopt_long(argc, argv, command->takes_program ? "+:h" : ":h", options, &index);
    if (option == ':')
        exit(cli_usage_error(command, "%s needs a value", argv[optind - 1]));
    if (option == '?' && optopt > 0 && optopt <= UCHAR_MAX) /* a letter, which may be one of several in its word */
        exit(cli_usage_error(command, "there is no option '-%c'", optopt));
    if (option == '?' || (index >= 0 && is_abbreviated(typed_option(argv), options[index].name)))
        exit(cli_usage_error(command, "there is no option '%s'", typed_option(argv)));
    if (option == CLI_HELP_OPTION || option == 'h') {
        command->help(stdout);
        exit(cli_finish(CLI_OK));
    }
    return option;
}

bool cli_are_processes(const struct cli_command *command, char *const *arguments) {
    for (; *arguments; arguments++)
        if (!process_parse(*arguments)) {
            cli_usage_error(command, "'%s' is no process ID", *arguments);
            return false;
        }
    return true;
}
