/* `netdeadline guard`: bounds the connections of processes that the library does not reach, from outside. */
#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/cli.h"
#include "cli/guard_loop.h"
#include "cli/guard_report.h"
#include "cli/guard_unit.h"
#include "cli/options.h"
#include "cli/process/processes.h"

static void print_help(FILE *to) {
    fprintf(to, "Usage: netdeadline guard [OPTION VALUE]... PID...\n"
                "       netdeadline guard [OPTION VALUE]... --cgroup PATH|--unit NAME|--all\n"
                "Ends connections of running processes, and of those that they start, when a limit says so: from\n"
                "outside, so that the program may be static, in pure Go, or of any libc. Limits on lookups, TLS\n"
                "handshakes and accept have no effect there.\n\n"
                "  --cgroup PATH                  guards all that lives in this directory of the cgroup file system\n"
                "  --unit NAME                    guards a systemd service, whenever it starts\n"
                "  --all                          guards all processes that are not under the library\n");
    options_print_help(to);
    fprintf(to, "\nAn option that is not given leaves the environment's NETDEADLINE_ variable in force, or else the\n"
                "config file, or the default in brackets; but LOG is stderr. SIGHUP reads the file again.\n"
                "Exit status: 0 when the processes have ended, or by SIGINT or SIGTERM; 2 for wrong usage; 125 if a\n"
                "process may not be guarded, 127 if there is no such process.\n");
}

enum { CGROUP = OPTIONS_FIRST_OTHER, UNIT, ALL, MOST_PIDS = 256 };

struct asked {
    const char *cgroup, *unit;
    bool all;
};

static int take(int option, void *arg) {
    struct asked *asked = arg;
    if (option == CGROUP)
        asked->cgroup = optarg;
    else if (option == UNIT)
        asked->unit = optarg;
    else
        asked->all = true;
    return CLI_OK;
}

static const char *const suffixes[] = {".service", ".slice", ".scope", ".socket", ".mount", ".swap"};

/* An instance's name may have dots in it. */
static bool has_suffix(const char *unit) {
    const char *suffix = strrchr(unit, '.');
    for (size_t i = 0; suffix && i < sizeof suffixes / sizeof suffixes[0]; i++)
        if (strcmp(suffix, suffixes[i]) == 0)
            return true;
    return false;
}

/* Makes the unit's whole name. Returns an exit status, having warned. */
static int name_unit(const char *name, char out[NAME_MAX + 1]) {
    if (strchr(name, '/') || !name[0] ||
        snprintf(out, NAME_MAX + 1, "%s%s", name, has_suffix(name) ? "" : ".service") > NAME_MAX)
        return cli_usage_error(&cli_guard_command, "'%s' is not the name of a unit", name);
    return CLI_OK;
}

/* Finds the cgroup that is meant. Returns an exit status, having warned. */
static int find_cgroup(const struct asked *asked, char out[PATH_MAX]) {
    char path[PATH_MAX];
    bool is_relative = strncmp(asked->cgroup, GUARD_CGROUPS "/", sizeof GUARD_CGROUPS) != 0;
    if (snprintf(path, sizeof path, "%s%s%s/cgroup.procs", is_relative ? GUARD_CGROUPS : "",
                 is_relative && asked->cgroup[0] != '/' ? "/" : "", asked->cgroup) >= (int)sizeof path ||
        access(path, R_OK) != 0) {
        cli_warn("cannot read the processes of the cgroup '%s': %s", asked->cgroup, strerror(errno));
        return CLI_NOT_FOUND;
    }
    *strrchr(path, '/') = '\0';
    snprintf(out, PATH_MAX, "%s", path);
    return CLI_OK;
}

/* Who guards wants to see what becomes of it, unless it is said otherwise. */
static void default_log(void) {
    const struct guard_policy *policy = guard_policy_of(getpid());
    if (policy && policy->settings.log == ND_LOG_OFF && !getenv("NETDEADLINE_LOG"))
        setenv("NETDEADLINE_LOG", "stderr", 1);
    guard_policies_forget();
}

static int run(int argc, char **argv) {
    static const struct option others[] = {{"cgroup", required_argument, NULL, CGROUP},
                                           {"unit", required_argument, NULL, UNIT},
                                           {"all", no_argument, NULL, ALL},
                                           CLI_END};
    static struct guard guard;
    static char cgroup[PATH_MAX], unit[NAME_MAX + 1];
    struct asked asked = {0};
    struct options options;
    pid_t pids[MOST_PIDS];
    struct guard_choice choice = {.pids = pids};
    int status = options_read_with(&options, &cli_guard_command, argc, argv, others, take, &asked);
    if (status != CLI_OK)
        return status;
    if ((asked.cgroup != NULL) + (asked.unit != NULL) + asked.all + (optind < argc) != 1)
        return cli_usage_error(&cli_guard_command, "processes, or one of --cgroup, --unit and --all are needed");
    if (!cli_are_processes(&cli_guard_command, argv + optind))
        return CLI_USAGE;
    if (argc - optind > MOST_PIDS)
        return cli_usage_error(&cli_guard_command, "too many processes");
    for (; optind < argc; optind++)
        pids[choice.pid_count++] = process_parse(argv[optind]);
    if (asked.cgroup) {
        status = find_cgroup(&asked, cgroup);
        choice.cgroup = cgroup;
    } else if (asked.unit) {
        status = name_unit(asked.unit, unit);
        choice.unit = unit;
    }
    choice.all = asked.all;
    if (status == CLI_OK)
        status = options_set_variables(&options);
    if (status != CLI_OK)
        return status;
    guard_report_start();
    default_log();
    status = guard_targets_start(&guard.targets, &choice);
    if (status == CLI_OK)
        guard_loop(&guard);
    return status;
}

const struct cli_command cli_guard_command = {
    .name = "guard",
    .summary = "ends overdue connections of running processes, from outside",
    .run = run,
    .help = print_help,
};
