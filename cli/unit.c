/* `netdeadline unit NAME` prints a drop-in that puts a systemd service under the library, or a unit that guards it from
 * outside. */
#include <errno.h>
#include <limits.h>
#include <string.h>

#include "cli/cli.h"
#include "cli/drop_in.h"
#include "cli/musl.h"
#include "cli/options.h"

static void print_help(FILE *to) {
    fprintf(to,
            "Usage: netdeadline unit [--guard] [OPTION VALUE]... NAME\n"
            "Prints a drop-in for the systemd service NAME that puts it under the library. The options are those of\n"
            "'netdeadline run'; what is not given is left to /etc/netdeadline.conf and the defaults.\n\n"
            "    mkdir -p /etc/systemd/system/NAME.service.d\n"
            "    netdeadline unit NAME > /etc/systemd/system/NAME.service.d/netdeadline.conf\n"
            "    systemctl daemon-reload && systemctl restart NAME\n\n"
            "'netdeadline enable NAME' does all that, and looks at what the service forbids.\n\n"
            "With --guard it prints a service of its own that guards NAME from outside, for a daemon that the library\n"
            "does not reach (static, pure Go, with privileges), or that is not to be restarted:\n\n"
            "    netdeadline unit --guard NAME > /etc/systemd/system/netdeadline-guard-NAME.service\n"
            "    systemctl daemon-reload && systemctl enable --now netdeadline-guard-NAME\n\n"
            "Exit status: 0, 2 for wrong usage, 125 if the library is missing.\n");
}

/* Needs no more of root than to look into other users' processes, also in other network namespaces, and to end their
 * connections. It stops and restarts with the service, whose restart makes a new cgroup. */
static int print_guard(const struct options *options, const char *unit) {
    char path[PATH_MAX], whole[DROP_IN_MOST_NAME + 16];
    drop_in_whole_name(unit, whole);
    const int length = (int)(strlen(whole) - strlen(".service"));
    if (library_command(path) != 0) {
        cli_warn("cannot find the path of netdeadline itself: %s", strerror(errno));
        return CLI_FAILED;
    }
    printf("# /etc/systemd/system/netdeadline-guard-%s, by netdeadline " ND_VERSION "\n"
           "[Unit]\n"
           "Description=Deadlines on the connections of %.*s, from outside\n"
           "After=%s\n"
           "PartOf=%s\n\n"
           "[Service]\n"
           "ExecStart=\"",
           whole, length, whole, whole, whole);
    drop_in_print_quoted(stdout, path);
    printf("\" guard --unit \"");
    drop_in_print_quoted(stdout, whole);
    printf("\"\n"
           "ExecReload=/bin/kill -HUP $MAINPID\n"
           "Restart=on-failure\n");
    drop_in_print_settings(stdout, options);
    printf("# What it takes to see and to end connections of other users' processes, in any network namespace.\n"
           "CapabilityBoundingSet=CAP_SYS_PTRACE CAP_DAC_READ_SEARCH CAP_NET_ADMIN CAP_SYS_ADMIN\n"
           "NoNewPrivileges=yes\n\n"
           "[Install]\n"
           "WantedBy=%s\n",
           whole);
    return CLI_OK;
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
    if (!drop_in_is_name(unit))
        return cli_usage_error(&cli_unit_command, "'%s' is not the name of a service", unit);
    if (is_guard)
        return print_guard(&options, unit);
    status = options_find_library(&options, &cli_unit_command, &library);
    if (status != CLI_OK)
        return status;
    drop_in_print(stdout, &(struct drop_in){.unit = unit, .preload = musl_preload(&library), .options = &options});
    return CLI_OK;
}

const struct cli_command cli_unit_command = {
    .name = "unit",
    .summary = "prints a systemd unit by which a service has deadlines",
    .run = run,
    .help = print_help,
};
