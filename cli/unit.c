/* `netdeadline unit NAME` prints a drop-in that puts a systemd service under the library. */
#include <ctype.h>
#include <string.h>

#include "cli/cli.h"
#include "cli/options.h"

enum { MOST_UNIT_NAME = 255 };

static void print_help(FILE *to) {
    fprintf(to,
            "Usage: netdeadline unit [OPTION VALUE]... NAME\n"
            "Prints a drop-in for the systemd service NAME that puts it under the library. The options are those of\n"
            "'netdeadline run'; what is not given is left to /etc/netdeadline.conf and the defaults.\n\n"
            "    mkdir -p /etc/systemd/system/NAME.service.d\n"
            "    netdeadline unit NAME > /etc/systemd/system/NAME.service.d/netdeadline.conf\n"
            "    systemctl daemon-reload && systemctl restart NAME\n\n"
            "Exit status: 0, 2 for wrong usage, 125 if the library is missing.\n");
}

static bool is_unit_name(const char *name) {
    size_t length = strlen(name);
    for (size_t i = 0; i < length; i++)
        if (!isalnum((unsigned char)name[i]) && !strchr(":-_.\\@", name[i]))
            return false;
    return length > 0 && length <= MOST_UNIT_NAME && name[0] != '.';
}

/* Prints a value for inside double quotes, where systemd reads C escapes, and `%` as a specifier. */
static void print_quoted(const char *value) {
    for (; *value; value++) {
        if (*value == '"' || *value == '\\')
            putchar('\\');
        else if (*value == '%')
            putchar('%');
        putchar(*value);
    }
}

static void print_variable(const char *name, const char *value) {
    printf("Environment=\"%s=", name);
    print_quoted(value);
    printf("\"\n");
}

static void print_settings(const struct options *options) {
    char name[64];
    for (size_t i = 0; i < nd_setting_count; i++)
        if (options->values[i]) {
            snprintf(name, sizeof name, "NETDEADLINE_%s", nd_setting_table[i].name);
            print_variable(name, options->values[i]);
        }
}

static void print_head(const char *unit) {
    const char *suffix = strrchr(unit, '.');
    bool is_whole = suffix && strcmp(suffix, ".service") == 0;
    printf("# /etc/systemd/system/%s%s.d/netdeadline.conf, by netdeadline " ND_VERSION "\n"
           "[Service]\n"
           "# An LD_PRELOAD of the unit's own is replaced: put its libraries behind ours, with a colon between.\n",
           unit, is_whole ? "" : ".service");
}

static void print_tail(void) {
    printf(
        "# The library needs no system call beyond those of the service's own network code, but to tell an expiry:\n"
        "# @file-system and @network-io of systemd.exec(5)'s SystemCallFilter= cover that; with BACKTRACE=1 also\n"
        "# process_vm_readv. A unit with RootDirectory= or RootImage= needs the library inside, one with NoExecPaths=\n"
        "# needs it under ExecPaths= (Debian's redis-server: not in /usr/local). Units that gain privileges on\n"
        "# execution (a set-uid ExecStart=) ignore LD_PRELOAD.\n");
}

static int run(int argc, char **argv) {
    struct options options;
    struct library library;
    int status = options_read(&options, &cli_unit_command, argc, argv);
    if (status != CLI_OK)
        return status;
    const char *unit = argv[optind];
    if (argc - optind != 1)
        return cli_usage_error(&cli_unit_command, "the name of one service is needed");
    if (!is_unit_name(unit))
        return cli_usage_error(&cli_unit_command, "'%s' is not the name of a service", unit);
    status = options_find_library(&options, &cli_unit_command, &library);
    if (status != CLI_OK)
        return status;
    print_head(unit);
    print_variable("LD_PRELOAD", library.preload);
    print_settings(&options);
    print_tail();
    return CLI_OK;
}

const struct cli_command cli_unit_command = {
    .name = "unit",
    .summary = "prints a drop-in that puts a systemd service under the library",
    .run = run,
    .help = print_help,
};
