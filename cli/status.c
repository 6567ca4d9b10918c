/* `netdeadline status`: what is put under the library, and what runs with and without it. */
#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "cli/cli.h"
#include "cli/enabled_units.h"
#include "cli/findings.h"
#include "cli/library.h"
#include "cli/preload_list.h"
#include "cli/process/array.h"
#include "cli/process/processes.h"
#include "cli/process/unit_name.h"
#include "cli/program.h"
#include "cli/replace_file.h"
#include "cli/table.h"

static void print_help(FILE *to) {
    fprintf(to,
            "Usage: netdeadline status\n"
            "Shows whether every program is put under the library (/etc/ld.so.preload), which systemd services are,\n"
            "the processes that are under it, and those that should be and are not, with the reason.\n\n"
            "Processes of other users are shown to root only.\n"
            "Exit status: 0, or 1 if something that is enabled has no effect.\n");
}

struct status {
    struct findings findings;
    char **units; /* names of services that are enabled */
    size_t count, room;
    bool everywhere;
    unsigned unseen;
    struct library library; /* as far as it is known where it is */
    struct table processes;
};

/* Reports a name in the list that the loader will not find, unless it has a $ of the loader's in it. */
static void check_line(const char *name, size_t length, struct status *status) {
    char path[PATH_MAX];
    snprintf(path, sizeof path, "%.*s", (int)length, name);
    status->everywhere = true;
    if (path[0] == '/' && !strchr(path, '$') && access(path, R_OK) != 0)
        finding_bad(&status->findings, PRELOAD_LIST " names %s, which cannot be read: %s", path, strerror(errno));
    else
        finding_good(&status->findings, "every program that starts: " PRELOAD_LIST " has %s", path);
}

static void check_list(struct status *status) {
    size_t size, length;
    char *list = file_read(PRELOAD_LIST, &size);
    for (const char *at = list; at && (at = preload_list_next(list, size, at, &length)); at += length)
        check_line(at, length, status);
    if (!status->everywhere)
        finding_note(&status->findings, "not every program: " PRELOAD_LIST " does not have the library");
    if (access("/etc/netdeadline.disable", F_OK) == 0)
        finding_bad(&status->findings,
                    "/etc/netdeadline.disable exists: every program that starts runs without the library");
    free(list);
}

static void take_unit(const char *unit, const char *path, void *arg) {
    struct status *status = arg;
    finding_good(&status->findings, "%s: %s", unit, path);
    if (array_grow(&status->units, status->count, &status->room, sizeof *status->units, 16) &&
        (status->units[status->count] = strdup(unit)))
        status->count++;
}

/* Whether the name of a unit is that of a drop-in's, which may be for all instances of a template. */
static bool is_enabled(const struct status *status, const char *unit) {
    for (size_t i = 0; i < status->count; i++) {
        const char *enabled = status->units[i], *at = strchr(enabled, '@');
        size_t head = at ? (size_t)(at - enabled) + 1 : 0;
        if (strcmp(enabled, unit) == 0 || (head && enabled[head] == '.' && strncmp(enabled, unit, head) == 0))
            return true;
    }
    return false;
}

#define WITHOUT_EXECUTION "without: its file may not be executed there (NoExecPaths=)"

/* Whether the process may not execute the library where the command knows it to be. The loader leaves nothing of it in
 * the process then, where the first part of the file is to be executed. */
static bool may_not_execute(pid_t pid, const struct library *library) {
    struct statvfs there;
    char path[PATH_MAX + 64];
    snprintf(path, sizeof path, "/proc/%d/root%s", (int)pid, library->file);
    return library->file[0] && statvfs(path, &there) == 0 && (there.f_flag & ST_NOEXEC);
}

/* Why a process is without the library, as far as its program and its mounts tell. */
static const char *why_without(pid_t pid, const struct library *library) {
    struct program program;
    char path[64];
    snprintf(path, sizeof path, "/proc/%d/exe", (int)pid);
    if (program_inspect_file(path, &program) != 0)
        return "without";
    return program.is_static               ? "without: linked statically"
           : may_not_execute(pid, library) ? WITHOUT_EXECUTION
                                           : "without: not started anew since, or it dropped LD_PRELOAD";
}

static void take_process(pid_t pid, void *arg) {
    struct status *status = arg;
    char path[64], target[8], unit[NAME_MAX + 1], name[64];
    snprintf(path, sizeof path, "/proc/%d/exe", (int)pid);
    if (pid == getpid() || (readlink(path, target, sizeof target) < 0 && errno == ENOENT))
        return; /* a thread of the kernel has no program */
    enum enabled_state state = enabled_state_of(pid);
    unit_name_of_instance(pid, unit, sizeof unit);
    bool is_expected = status->everywhere || is_enabled(status, unit);
    if (state == ENABLED_UNSEEN)
        status->unseen++;
    if (state == ENABLED_GONE || state == ENABLED_UNSEEN || (state == ENABLED_WITHOUT && !is_expected))
        return;
    process_name(pid, name, sizeof name);
    table_add_number(&status->processes, (uint64_t)pid);
    table_add(&status->processes, name);
    table_add(&status->processes, unit);
    table_add(&status->processes, state == ENABLED_WITH        ? "with"
                                  : state == ENABLED_PASSIVE   ? "with, passes through"
                                  : state == ENABLED_FORBIDDEN ? WITHOUT_EXECUTION
                                                               : why_without(pid, &status->library));
}

static int run(int argc, char **argv) {
    static const struct option options[] = {CLI_HELP, CLI_END};
    static struct status status = {.processes = {.columns = 4, .right = 1}};
    cli_next_option(&cli_status_command, argc, argv, options);
    if (optind < argc)
        return cli_usage_error(&cli_status_command, "no argument is taken");
    findings_start(&status.findings, "enabled");
    if (library_find(&status.library) != 0)
        status.library.file[0] = '\0';
    check_list(&status);
    enabled_units_each(take_unit, &status);
    if (status.count == 0)
        finding_note(&status.findings, "no systemd service");
    static const char *const heading[] = {"PID", "PROGRAM", "UNIT", "LIBRARY"};
    for (int i = 0; i < 4; i++)
        table_add(&status.processes, heading[i]);
    process_each(take_process, &status);
    putchar('\n');
    table_print(&status.processes, stdout, 0, 0, NULL, NULL);
    if (status.unseen)
        cli_warn("not looked into: %u, as " CLI_NEEDS_PTRACE, status.unseen);
    table_free(&status.processes);
    for (size_t i = 0; i < status.count; i++)
        free(status.units[i]);
    free(status.units);
    return findings_end(&status.findings);
}

const struct cli_command cli_status_command = {
    .name = "status",
    .summary = "shows what is put under the library, and what runs without it",
    .run = run,
    .help = print_help,
};
