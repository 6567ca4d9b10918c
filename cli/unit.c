/* `netdeadline unit NAME` prints a drop-in that puts a systemd service under the library, or a unit that guards it from
 * outside. */
#include <ctype.h>
#include <errno.h>
#include <limits.h>
#include <string.h>
#include <unistd.h>

#include "cli/cli.h"
#include "cli/options.h"

enum { MOST_UNIT_NAME = 255 };

static void print_help(FILE *to) {
    fprintf(to,
            "Usage: netdeadline unit [--guard] [OPTION VALUE]... NAME\n"
            "Prints a drop-in for the systemd service NAME that puts it under the library. The options are those of\n"
            "'netdeadline run'; what is not given is left to /etc/netdeadline.conf and the defaults.\n\n"
            "    mkdir -p /etc/systemd/system/NAME.service.d\n"
            "    netdeadline unit NAME > /etc/systemd/system/NAME.service.d/netdeadline.conf\n"
            "    systemctl daemon-reload && systemctl restart NAME\n\n"
            "With --guard it prints a service of its own that guards NAME from outside, for a daemon that the library\n"
            "does not reach (static, pure Go, with privileges), or that is not to be restarted:\n\n"
            "    netdeadline unit --guard NAME > /etc/systemd/system/netdeadline-guard-NAME.service\n"
            "    systemctl daemon-reload && systemctl enable --now netdeadline-guard-NAME\n\n"
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
        if (iscntrl((unsigned char)*value)) {
            printf("\\x%02x", (unsigned char)*value);
            continue;
        }
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

static int suffix_length(const char *unit) {
    const char *suffix = strrchr(unit, '.');
    return suffix && strcmp(suffix, ".service") == 0 ? (int)strlen(suffix) : 0;
}

static void print_head(const char *unit) {
    printf("# /etc/systemd/system/%s%s.d/netdeadline.conf, by netdeadline " ND_VERSION "\n"
           "[Service]\n"
           "# An LD_PRELOAD of the unit's own is replaced: put its libraries behind ours, with a colon between.\n",
           unit, suffix_length(unit) ? "" : ".service");
}

/* Needs no more of root than to look into other users' processes, also in other network namespaces, and to end their
 * connections. It stops and restarts with the service, whose restart makes a new cgroup. */
static int print_guard(const struct options *options, const char *unit) {
    char path[PATH_MAX];
    const int length = (int)strlen(unit) - suffix_length(unit);
    const ssize_t got = readlink("/proc/self/exe", path, sizeof path - 1);
    if (got <= 0) {
        cli_warn("cannot find the path of netdeadline itself: %s", strerror(errno));
        return CLI_FAILED;
    }
    path[got] = '\0';
    printf("# /etc/systemd/system/netdeadline-guard-%.*s.service, by netdeadline " ND_VERSION "\n"
           "[Unit]\n"
           "Description=Deadlines on the connections of %.*s, from outside\n"
           "After=%.*s.service\n"
           "PartOf=%.*s.service\n\n"
           "[Service]\n"
           "ExecStart=\"",
           length, unit, length, unit, length, unit, length, unit);
    print_quoted(path);
    printf("\" guard --unit \"");
    print_quoted(unit);
    printf("%s\"\n"
           "ExecReload=/bin/kill -HUP $MAINPID\n"
           "Restart=on-failure\n",
           suffix_length(unit) ? "" : ".service");
    print_settings(options);
    printf("# What it takes to see and to end connections of other users' processes, in any network namespace.\n"
           "CapabilityBoundingSet=CAP_SYS_PTRACE CAP_DAC_READ_SEARCH CAP_NET_ADMIN CAP_SYS_ADMIN\n"
           "NoNewPrivileges=yes\n\n"
           "[Install]\n"
           "WantedBy=%.*s.service\n",
           length, unit);
    return CLI_OK;
}

static void print_tail(void) {
    printf(
        "# The library needs no system call beyond those of the service's own network code, but to tell an expiry:\n"
        "# @file-system and @network-io of systemd.exec(5)'s SystemCallFilter= cover that; with BACKTRACE=1 also\n"
        "# process_vm_readv. A unit with RootDirectory= or RootImage= needs the library inside, one with NoExecPaths=\n"
        "# needs it under ExecPaths= (Debian's redis-server: not in /usr/local). Units that gain privileges on\n"
        "# execution (a set-uid ExecStart=) ignore LD_PRELOAD.\n");
}

enum { GUARD = OPTIONS_FIRST_OTHER };

static int take_guard(int option, void *is_guard) {
    *(bool *)is_guard |= option == GUARD;
    return CLI_OK;
}

static int run(int argc, char **argv) {
    static const struct option others[] = {{"guard", no_argument, NULL, GUARD}, CLI_END};
    struct options options;
    struct library library;
    bool is_guard = false;
    int status = options_read_with(&options, &cli_unit_command, argc, argv, others, take_guard, &is_guard);
    if (status != CLI_OK)
        return status;
    const char *unit = argv[optind];
    if (argc - optind != 1)
        return cli_usage_error(&cli_unit_command, "the name of one service is needed");
    if (!is_unit_name(unit))
        return cli_usage_error(&cli_unit_command, "'%s' is not the name of a service", unit);
    if (is_guard)
        return print_guard(&options, unit);
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
    .summary = "prints a systemd unit by which a service has deadlines",
    .run = run,
    .help = print_help,
};
