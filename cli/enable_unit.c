#include "cli/enable_unit.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cli/child.h"
#include "cli/drop_in.h"
#include "cli/enabled_units.h"
#include "cli/library_place.h"
#include "cli/musl.h"
#include "cli/process/processes.h"
#include "cli/replace_file.h"
#include "cli/unit_facts.h"
#include "cli/unit_sandbox.h"

enum { RELOAD_SECONDS = 60, RESTART_SECONDS = 180 };

/* A service that is being enabled. */
struct enabling {
    char unit[DROP_IN_MOST_NAME + 16];
    char path[PATH_MAX]; /* of its drop-in */
    char *facts;         /* what systemd says of it; NULL where systemd does not answer */
    struct library library;
    char copy[PATH_MAX]; /* "" where the library stays where it is */
    struct unit_needs needs;
    struct findings findings;
};

/* Whether this is the name of a unit that is no service. */
static bool is_of_other_type(const char *name) {
    static const char *const types[] = {"socket", "timer",  "target", "mount",     "slice",
                                        "scope",  "device", "path",   "automount", "swap"};
    const char *suffix = strrchr(name, '.');
    for (size_t i = 0; suffix && i < sizeof types / sizeof types[0]; i++)
        if (strcmp(suffix + 1, types[i]) == 0)
            return true;
    return false;
}

/* Runs systemctl. Returns whether it succeeded, having warned if not. */
static bool systemctl(const char *verb, char *unit, int seconds) {
    static struct child_result result;
    char *argv[] = {"systemctl", (char *)(uintptr_t)verb, unit, NULL};
    child_run(argv, 0, seconds, true, &result);
    if (result.status == 0)
        return true;
    result.output[strcspn(result.output, "\n")] = '\0';
    cli_warn("systemctl %s%s%s: %s", verb, unit ? " " : "", unit ? unit : "",
             result.status == CHILD_CUT ? "no answer in time"
             : result.size              ? result.output
                                        : "cannot be executed");
    return false;
}

/* Finds the service's own name, which may be another than the one that was given. Returns an exit status. */
static int find_unit(struct enabling *enabling, const char *name) {
    char value[256];
    drop_in_whole_name(name, enabling->unit);
    enabling->facts = unit_facts_ask(enabling->unit);
    if (enabling->facts && unit_facts_value(enabling->facts, "LoadState", value, sizeof value) &&
        strcmp(value, "loaded") != 0) {
        cli_warn("systemd says that %s is %s", enabling->unit, value);
        return CLI_NOT_FOUND;
    }
    if (enabling->facts)
        unit_facts_own_name(enabling->facts, enabling->unit);
    drop_in_path(enabling->unit, enabling->path);
    return CLI_OK;
}

/* Decides where the service will load the library from. */
static void choose_file(struct enabling *enabling) {
    const char *why = library_place_is_bad(enabling->library.file);
    if (!why)
        return;
    finding_note(&enabling->findings, "%s %s: a copy is made, %s", enabling->library.file, why, LIBRARY_COPY);
    strcpy(enabling->copy, LIBRARY_COPY);
    strcpy(enabling->library.preload, LIBRARY_COPY);
}

static void look_at_unit(struct enabling *enabling, const struct options *options) {
    struct findings *findings = &enabling->findings;
    const char *file = enabling->copy[0] ? enabling->copy : enabling->library.file;
    if (!enabling->facts) {
        finding_note(findings, "systemd does not answer here: what the unit forbids was not looked at");
        return;
    }
    unit_sandbox_check(enabling->facts, file, options, findings, &enabling->needs);
    if (enabling->needs.root[0]) {
        if (snprintf(enabling->copy, sizeof enabling->copy, "%s" LIBRARY_COPY, enabling->needs.root) >= PATH_MAX)
            finding_bad(findings, "RootDirectory= has a name that is too long");
        strcpy(enabling->library.preload, LIBRARY_COPY);
    } else
        unit_sandbox_check_programs(enabling->facts, &enabling->library, findings);
}

/* Makes the text of the drop-in, which the caller frees. */
static char *make_text(const struct enabling *enabling, const struct options *options, size_t *size) {
    char preload[2 * PATH_MAX], *text = NULL;
    const struct drop_in drop_in = {
        .unit = enabling->unit,
        .preload = preload,
        .options = options,
        .exec_path = enabling->needs.exec_path ? enabling->copy[0] ? enabling->copy : enabling->library.file : NULL,
        .copy = enabling->copy[0] ? enabling->copy : NULL,
    };
    snprintf(preload, sizeof preload, "%s%s%s", musl_preload(&enabling->library),
             enabling->needs.other_preloads[0] ? ":" : "", enabling->needs.other_preloads);
    FILE *to = open_memstream(&text, size);
    if (!to)
        return NULL;
    drop_in_print(to, &drop_in);
    if (fclose(to) != 0) {
        free(text);
        return NULL;
    }
    return text;
}

static int make_directory(const char *path) {
    char directory[PATH_MAX];
    snprintf(directory, sizeof directory, "%s", path);
    *strrchr(directory, '/') = '\0';
    return mkdir(directory, 0755) == 0 || errno == EEXIST ? 0 : -1;
}

/* Writes the drop-in where it is not there already. Returns an exit status. */
static int write_drop_in(struct enabling *enabling, const char *text, size_t size) {
    const char *path = enabling->path;
    size_t old_size;
    if (make_directory(path) != 0)
        return file_cannot_write(path);
    file_lock_directory(path);
    char *old = file_read(path, &old_size);
    bool is_foreign = old && !drop_in_is_ours(old), is_same = old && old_size == size && memcmp(old, text, size) == 0;
    bool is_unreadable = !old && errno != ENOENT;
    free(old);
    if (is_unreadable)
        return file_cannot_write(path);
    if (is_foreign) {
        cli_warn("%s was not written by netdeadline, and is left as it is", path);
        return CLI_FAILED;
    }
    if (is_same)
        finding_good(&enabling->findings, "%s is as it should be already", path);
    else if (file_replace(path, text, size, 0644) != 0)
        return file_cannot_write(path);
    else
        finding_good(&enabling->findings, "%s %s", old ? "rewritten:" : "written:", path);
    return CLI_OK;
}

/* The process that systemd takes for the service's main one, or 0. */
static pid_t main_process(const char *facts) {
    char value[32];
    return facts && unit_facts_value(facts, "MainPID", value, sizeof value) ? process_parse(value) : 0;
}

/* What systemd has started may not have executed the program yet: it sets up the sandbox first. */
static void report_process(struct findings *findings, const char *unit) {
    enum { TRIES = 40, PAUSE_US = 50000 };
    enum enabled_state state = ENABLED_WITHOUT;
    pid_t pid = 0;
    for (int i = 0; i < TRIES && state == ENABLED_WITHOUT; i++) {
        if (i > 0)
            usleep(PAUSE_US);
        char *facts = unit_facts_ask(unit);
        pid = main_process(facts);
        free(facts);
        state = pid ? enabled_state_of(pid) : ENABLED_GONE;
    }
    if (!pid)
        finding_note(findings, "the service is not running");
    else if (state == ENABLED_WITH)
        finding_good(findings, "restarted: process %d has the library", (int)pid);
    else
        finding_bad(findings, "restarted: process %d is without the library: netdeadline check %d", (int)pid, (int)pid);
}

/* Whether a service without a drop-in of its own is put under the library by another file: an instance by that of its
 * template. */
static bool is_enabled_elsewhere(struct findings *findings, const char *unit) {
    char environment[4096] = "", files[2 * PATH_MAX] = "";
    char *facts = unit_facts_ask(unit);
    if (facts) {
        unit_facts_value(facts, "Environment", environment, sizeof environment);
        unit_facts_value(facts, "DropInPaths", files, sizeof files);
    }
    free(facts);
    if (!strstr(environment, "libnetdeadline.so"))
        return false;
    finding_note(findings, "it stays under the library by another file: %s", files[0] ? files : "its own");
    return true;
}

/* Restarts the instances of a template, or tells how. */
static int activate_template(struct findings *findings, const char *unit, bool now) {
    char instances[DROP_IN_MOST_NAME + 17];
    snprintf(instances, sizeof instances, "%.*s@*.service", (int)(strchr(unit, '@') - unit), unit);
    if (!now)
        finding_note(findings, "instances that run go on as they are until their next restart: systemctl restart '%s'",
                     instances);
    else if (!systemctl("restart", instances, RESTART_SECONDS))
        return CLI_FAILED;
    else
        finding_good(findings, "the instances that ran were restarted");
    return CLI_OK;
}

/* Has systemd read the change, and restarts the service or tells what a restart will do. */
static int activate(struct findings *findings, char *unit, const char *facts, bool now, bool with) {
    pid_t pid = main_process(facts);
    if (!facts) {
        finding_note(findings,
                     "systemd was not told, as it does not answer here: the change counts from its next start");
        return CLI_OK;
    }
    if (!systemctl("daemon-reload", NULL, RELOAD_SECONDS))
        return CLI_FAILED;
    const bool is_elsewhere = !with && is_enabled_elsewhere(findings, unit);
    if (unit_facts_is_template(unit))
        return activate_template(findings, unit, now);
    if (now && pid) {
        if (!systemctl("restart", unit, RESTART_SECONDS))
            return CLI_FAILED;
        if (with)
            report_process(findings, unit);
        else
            finding_good(findings, is_elsewhere ? "restarted" : "restarted without the library");
    } else if (pid && with)
        finding_note(findings,
                     "process %d goes on as it is; the next restart puts it under the library: systemctl restart %s",
                     (int)pid, unit);
    else if (pid && enabled_state_of(pid) == ENABLED_WITHOUT)
        finding_good(findings, "process %d runs without the library", (int)pid);
    else if (pid)
        finding_note(findings,
                     "process %d keeps the library until the next restart: systemctl restart %s; until then "
                     "`netdeadline set %d MODE=off` keeps it from ending anything",
                     (int)pid, unit, (int)pid);
    else if (!is_elsewhere)
        finding_note(findings, "the service does not run; its next start is %s the library",
                     with ? "under" : "without");
    return CLI_OK;
}

static void report_limits(struct findings *findings, const struct options *options) {
    for (size_t i = 0; i < nd_setting_count; i++)
        if (options->values[i])
            finding_good(findings, "%s = %s", nd_setting_table[i].name, options->values[i]);
    finding_note(findings, "what is not said here is left to /etc/netdeadline.conf and the defaults");
}

static int enable_found(struct enabling *enabling, const struct options *options, bool now, bool force) {
    struct findings *findings = &enabling->findings;
    size_t size;
    findings_start(findings, enabling->unit);
    choose_file(enabling);
    look_at_unit(enabling, options);
    if (findings->bad > 0 && !force) {
        cli_warn("nothing was changed; --force enables %s all the same", enabling->unit);
        return 1;
    }
    findings->bad = 0;
    if (enabling->copy[0] && library_copy(enabling->library.file, enabling->copy) != 0)
        return file_cannot_write(enabling->copy);
    char *text = make_text(enabling, options, &size);
    if (!text)
        return file_cannot_write(enabling->path);
    int status = write_drop_in(enabling, text, size);
    free(text);
    if (status != CLI_OK)
        return status;
    report_limits(findings, options);
    status = activate(findings, enabling->unit, enabling->facts, now, true);
    return status == CLI_OK ? findings_end(findings) : status;
}

int enable_unit(const char *name, const struct library *library, const struct options *options, bool now, bool force) {
    static struct enabling enabling;
    int status = CLI_OK;
    if (!drop_in_is_name(name) || is_of_other_type(name)) {
        cli_warn("'%s' is not the name of a service", name);
        return CLI_USAGE;
    }
    status = find_unit(&enabling, name);
    if (status == CLI_OK) {
        enabling.library = *library;
        status = enable_found(&enabling, options, now, force);
    }
    free(enabling.facts);
    return status;
}

/* Removes the drop-in of a service. Returns whether it is gone: 1, 0 where there was none, -1 with a warning. */
static int remove_drop_in(const char *unit, char path[PATH_MAX], char copy[PATH_MAX]) {
    size_t size;
    drop_in_path(unit, path);
    char *text = file_read(path, &size);
    if (!text && errno == ENOENT)
        return 0;
    if (text && !drop_in_is_ours(text)) {
        cli_warn("%s was not written by netdeadline, and is left as it is", path);
        free(text);
        return -1;
    }
    if (text)
        drop_in_copy(text, copy);
    free(text);
    if (unlink(path) != 0) {
        file_cannot_write(path);
        return -1;
    }
    char directory[PATH_MAX];
    snprintf(directory, sizeof directory, "%.*s", (int)(strrchr(path, '/') - path), path);
    rmdir(directory); /* others may have drop-ins there */
    return 1;
}

int disable_unit(const char *name, bool now) {
    char unit[DROP_IN_MOST_NAME + 16], given[sizeof unit], path[PATH_MAX], copy[PATH_MAX] = "";
    struct findings findings;
    if (!drop_in_is_name(name)) {
        cli_warn("'%s' is not the name of a service", name);
        return CLI_USAGE;
    }
    drop_in_whole_name(name, unit);
    int removed = remove_drop_in(unit, path, copy); /* first of all: nothing that fails behind it matters then */
    char *facts = removed >= 0 ? unit_facts_ask(unit) : NULL;
    strcpy(given, unit);
    if (removed == 0 && facts)
        unit_facts_own_name(facts, unit);
    if (strcmp(given, unit) != 0) /* it was given by another of its names */
        removed = remove_drop_in(unit, path, copy);
    int status = removed < 0 ? CLI_FAILED : CLI_OK;
    if (status == CLI_OK) {
        findings_start(&findings, unit);
        if (removed)
            finding_good(&findings, "removed: %s", path);
        else
            finding_good(&findings, "%s is not there", path);
        if (copy[0] && !enabled_units_name(copy))
            library_remove_copy(copy);
        bool is_without = facts && enabled_state_of(main_process(facts)) == ENABLED_WITHOUT;
        status = activate(&findings, unit, facts, now && !is_without, false);
    }
    free(facts);
    return status;
}
