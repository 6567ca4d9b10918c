#include "cli/check_process.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/check_guard.h"
#include "cli/cli.h"
#include "cli/findings.h"
#include "cli/library.h"
#include "cli/process/block.h"
#include "cli/program.h"
#include "cli/statistics.h"
#include "shim/settings/environment.h"
#include "shim/settings/setting_value.h"
#include "shim/settings/settings.h"

enum { MOST_VARIABLES = 64 };

static FILE *open_file(const char *pid, const char *name) {
    char path[64];
    snprintf(path, sizeof path, "/proc/%s/%s", pid, name);
    return fopen(path, "re");
}

static int seccomp_mode(const char *pid) {
    FILE *status = open_file(pid, "status");
    char line[256];
    int mode = 0;
    while (status && fgets(line, sizeof line, status))
        if (strncmp(line, "Seccomp:", 8) == 0)
            mode = atoi(line + 8);
    if (status)
        fclose(status);
    return mode;
}

static bool uses_io_uring(const char *pid) {
    char path[64], target[32];
    bool found = false;
    snprintf(path, sizeof path, "/proc/%s/fd", pid);
    DIR *directory = opendir(path);
    for (const struct dirent *entry; directory && (entry = readdir(directory));) {
        ssize_t length = readlinkat(dirfd(directory), entry->d_name, target, sizeof target);
        found |= length == 21 && memcmp(target, "anon_inode:[io_uring]", 21) == 0;
    }
    if (directory)
        closedir(directory);
    return found;
}

/* Reports the settings that are in force in the process and are not the defaults. */
static void list_settings(struct findings *findings, const struct block *block) {
    struct nd_settings defaults;
    unsigned count;
    struct nd_live_row *rows = block_settings(block, &count);
    nd_settings_defaults(&defaults);
    for (unsigned i = 0; rows && i < count; i++) {
        char text[64];
        const struct nd_setting *setting = nd_setting_find(rows[i].name, strnlen(rows[i].name, sizeof rows[i].name));
        struct nd_setting_value usual = setting ? nd_setting_value_get(setting, &defaults) : rows[i].now;
        if (!setting || (usual.value == rows[i].now.value && usual.window == rows[i].now.window) ||
            !statistics_setting(&rows[i], text, sizeof text))
            continue;
        finding_note(findings, "%s=%s is in force (by default %s)", setting->name, text, setting->default_text);
        if (setting->kind == ND_SETTING_MODE && rows[i].now.value == ND_MODE_OFF)
            finding_bad(findings, "MODE is off: nothing is bounded");
    }
    free(rows);
}

/* Reports what the library's state block in the process's memory says. */
static void check_block(struct findings *findings, pid_t pid) {
    static struct block block;
    switch (block_open(&block, pid, false)) {
    case BLOCK_FOUND:
        finding_good(findings, "the library is at work in it (version %.15s)", block.state.library);
        list_settings(findings, &block);
        break;
    case BLOCK_PASSIVE:
        finding_bad(findings, "the library passes through in it: by MODE=off, ONLY or SKIP, or "
                              "/etc/netdeadline.disable, when it started");
        break;
    case BLOCK_STRANGE:
        finding_note(findings, "it is another version of the library, whose state cannot be read");
        break;
    case BLOCK_DENIED:
        finding_note(findings, "its memory may not be read: " CLI_NEEDS_PTRACE);
        break;
    case BLOCK_NONE:
    case BLOCK_GONE:
        finding_bad(findings, "the library's state was not found in its memory");
        break;
    }
}

static void take_warning(const char *text, void *findings) {
    finding_note(findings, "%s", text);
}

/* Reports each setting of the environment that the process was started with, and what is wrong with it. */
static void check_settings(struct findings *findings, const char *pid) {
    FILE *file = open_file(pid, "environ");
    char *variables[MOST_VARIABLES + 1] = {NULL}, *variable = NULL;
    size_t room = 0;
    int count = 0;
    struct nd_settings settings;
    while (file && count < MOST_VARIABLES && getdelim(&variable, &room, '\0', file) > 0) {
        if (strncmp(variable, "NETDEADLINE_", 12) != 0)
            continue;
        finding_note(findings, "started with %.300s", variable);
        variables[count++] = variable;
        variable = NULL;
        room = 0;
    }
    nd_settings_defaults(&settings);
    nd_settings_from_environment(&settings, variables, take_warning, findings);
    for (int i = 0; i < count; i++)
        free(variables[i]);
    free(variable);
    if (file)
        fclose(file);
}

int check_process(const char *pid) {
    struct findings findings;
    struct program program;
    char path[64], target[4096], library[4096];
    snprintf(path, sizeof path, "/proc/%s/exe", pid);
    ssize_t length = readlink(path, target, sizeof target - 1);
    if (length < 0 && errno != ENOENT) {
        cli_warn("cannot look at process %s: %s", pid, strerror(errno));
        return CLI_FAILED;
    }
    if (strlen(pid) > 10 || length < 0) {
        cli_warn("there is no process %s", pid);
        return CLI_NOT_FOUND;
    }
    target[length] = '\0';
    findings_start(&findings, target);
    int copies = library_copies((pid_t)strtol(pid, NULL, 10), library, sizeof library);
    if (copies < 0)
        finding_bad(&findings, "its memory map cannot be read: %s", strerror(errno));
    else if (copies == 0)
        finding_bad(&findings, "it has not loaded the library");
    else
        finding_good(&findings, "it has loaded %s", library);
    if (copies > 1)
        finding_note(&findings, "another copy of the library is loaded too; the first in its search order works");
    if (copies == 0 && program_inspect_file(path, &program) == 0 && program.is_static)
        finding_note(&findings, "it is linked statically: no library can be preloaded into it");
    if (copies == 0)
        check_guard(&findings);
    if (copies > 0)
        check_block(&findings, (pid_t)atoi(pid));
    if (seccomp_mode(pid))
        finding_note(&findings,
                     "its system calls are filtered (seccomp): where it installed the filter itself, nothing is "
                     "bounded since");
    if (uses_io_uring(pid))
        finding_note(&findings, "it uses io_uring, whose requests are not reached");
    if (copies > 0)
        check_settings(&findings, pid);
    return findings_end(&findings);
}
