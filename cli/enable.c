/* `netdeadline enable` and `netdeadline disable`. */
#include "cli/cli.h"
#include "cli/enable_system.h"
#include "cli/enable_unit.h"
#include "cli/options.h"

enum { SYSTEM = OPTIONS_FIRST_OTHER, NOW, FORCE, NO_TRIAL };

static void print_enable_help(FILE *to) {
    fprintf(
        to,
        "Usage: netdeadline enable [OPTION VALUE]... UNIT\n"
        "       netdeadline enable --system [OPTION VALUE]...\n"
        "Puts the systemd service UNIT under the library, from its next start on, by a drop-in; or, with --system,\n"
        "every program that starts from now on, by a line in /etc/ld.so.preload. What the unit forbids is looked\n"
        "at beforehand, and before the line is written, programs of this host are tried with it where nobody else\n"
        "sees it. Running it again is harmless: what was given last holds.\n\n"
        "  --now                          restarts the service, if it runs\n"
        "  --system                       every program; MODE is observe unless --mode says otherwise, and the\n"
        "                                 options are written to /etc/netdeadline.conf\n"
        "  --no-trial                     writes the line without having tried it\n"
        "  --force                        although something is in the way\n");
    options_print_help(to);
    fprintf(to,
            "\nExit status: 0; 1 if something is in the way, so that nothing was changed; 2 for wrong usage; 125 if\n"
            "something cannot be written or the library is missing, 127 if there is no such service.\n");
}

static void print_disable_help(FILE *to) {
    fprintf(to, "Usage: netdeadline disable [--now] UNIT\n"
                "       netdeadline disable --system\n"
                "Takes back what 'netdeadline enable' did. What runs keeps the library until it is started anew.\n\n"
                "  --now                          restarts the service, if it runs under the library\n"
                "  --system                       takes the library out of /etc/ld.so.preload\n\n"
                "Exit status: 0; 2 for wrong usage, 125 if something cannot be written.\n");
}

struct asked {
    bool system, now, force, no_trial;
};

static int take(int option, void *arg) {
    struct asked *asked = arg;
    asked->system |= option == SYSTEM;
    asked->now |= option == NOW;
    asked->force |= option == FORCE;
    asked->no_trial |= option == NO_TRIAL;
    return CLI_OK;
}

/* Checks that there is either a service or --system. */
static int check_usage(const struct cli_command *command, const struct asked *asked, int names) {
    if (asked->system && names > 0)
        return cli_usage_error(command, "--system is about every program, not about one service");
    if (!asked->system && names != 1)
        return cli_usage_error(command, "the name of one service is needed, or --system");
    if (asked->system && asked->now)
        return cli_usage_error(command, "--now is about a service");
    if (!asked->system && asked->no_trial)
        return cli_usage_error(command, "--no-trial is about --system");
    return CLI_OK;
}

static int run_enable(int argc, char **argv) {
    static const struct option others[] = {{"system", no_argument, NULL, SYSTEM},
                                           {"now", no_argument, NULL, NOW},
                                           {"force", no_argument, NULL, FORCE},
                                           {"no-trial", no_argument, NULL, NO_TRIAL},
                                           CLI_END};
    struct asked asked = {.system = false};
    struct options options;
    struct library library;
    int status = options_read_with(&options, &cli_enable_command, argc, argv, others, take, &asked);
    if (status == CLI_OK)
        status = check_usage(&cli_enable_command, &asked, argc - optind);
    if (status == CLI_OK)
        status = options_find_library(&options, &cli_enable_command, &library);
    if (status != CLI_OK)
        return status;
    if (asked.system)
        return enable_system(&library, &options, !asked.no_trial, asked.force);
    return enable_unit(argv[optind], &library, &options, asked.now, asked.force);
}

static int run_disable(int argc, char **argv) {
    static const struct option options[] = {
        {"system", no_argument, NULL, SYSTEM}, {"now", no_argument, NULL, NOW}, CLI_HELP, CLI_END};
    struct asked asked = {.system = false};
    for (int option; (option = cli_next_option(&cli_disable_command, argc, argv, options)) >= 0;)
        take(option, &asked);
    int status = check_usage(&cli_disable_command, &asked, argc - optind);
    if (status != CLI_OK)
        return status;
    return asked.system ? disable_system() : disable_unit(argv[optind], asked.now);
}

const struct cli_command cli_enable_command = {
    .name = "enable",
    .summary = "puts a systemd service, or every program, under the library",
    .run = run_enable,
    .help = print_enable_help,
};

const struct cli_command cli_disable_command = {
    .name = "disable",
    .summary = "takes a service, or every program, out again",
    .run = run_disable,
    .help = print_disable_help,
};
