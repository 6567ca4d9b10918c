#include "cli/enable_system.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cli/config_block.h"
#include "cli/enabled_units.h"
#include "cli/library_place.h"
#include "cli/musl.h"
#include "cli/preload_list.h"
#include "cli/replace_file.h"
#include "cli/trial.h"
#include "shim/settings/rules.h"

static const char *const advice = "put it in a directory of the system: the package, or make install PREFIX=/usr";

/* Reads a file, which counts as empty where it is not there. Returns NULL with a warning. */
static char *read_or_empty(const char *path, size_t *size) {
    char *text = file_read(path, size);
    if (!text && errno == ENOENT) {
        *size = 0;
        text = calloc(1, 1);
    }
    if (!text)
        cli_warn("cannot read %s: %s", path, strerror(errno));
    return text;
}

/* A service that was enabled takes MODE from the file where its drop-in sets none, and would no longer be bounded. */
static void note_service(const char *unit, const char *path, void *findings) {
    size_t size;
    char *text = file_read(path, &size);
    if (text && !strstr(text, "NETDEADLINE_MODE="))
        finding_note(findings, "%s takes this MODE, too, from its next start on: %s sets none", unit, path);
    free(text);
}

/* Makes the lines of the configuration: what was asked for, and MODE = observe where nobody has said otherwise. Returns
 * false with a warning where the administrator's own line would go before one of ours. */
static bool make_lines(const char *config, const struct options *options, char *lines, size_t size,
                       struct findings *findings) {
    size_t used = 0;
    lines[0] = '\0';
    for (size_t i = 0; i < nd_setting_count && used < size; i++) {
        const char *name = nd_setting_table[i].name, *value = options->values[i];
        unsigned other = config_block_other_line(config, name);
        bool is_mode = strcmp(name, "MODE") == 0;
        if (is_mode && !value && other)
            finding_note(findings, "MODE is what " ND_RULES_FILE " says in line %u", other);
        if (is_mode && !value && !other)
            value = "observe";
        if (value && other) {
            cli_warn(ND_RULES_FILE ":%u sets %s already: change it there", other, name);
            return false;
        }
        if (value)
            used += (size_t)snprintf(lines + used, size - used, "%s = %s\n", name, value);
        if (value)
            finding_good(findings, "%s = %s", name, value);
        if (is_mode && value && strcmp(value, "enforce") != 0)
            enabled_units_each(note_service, findings);
    }
    return used < size;
}

/* Writes a file where that changes it. Returns whether it is as it should be. */
static bool put_file(const char *path, const char *old, size_t old_size, const char *text, size_t size,
                     struct findings *findings) {
    if (old_size == size && memcmp(old, text, size) == 0) {
        finding_good(findings, "%s is as it should be already", path);
        return true;
    }
    bool is_done = size > 0 || old_size == 0 ? file_replace(path, text, size, 0644) == 0 : unlink(path) == 0;
    if (!is_done)
        file_cannot_write(path);
    else if (size == 0)
        finding_good(findings, "removed, as it is empty now: %s", path);
    else
        finding_good(findings, "written: %s", path);
    return is_done;
}

/* Writes the settings into the configuration, or takes them out of it (NULL). */
static int put_settings(const struct options *options, struct findings *findings) {
    char lines[8192] = "";
    size_t size, new_size;
    int status = CLI_FAILED;
    char *config = read_or_empty(ND_RULES_FILE, &size);
    if (!config)
        return status;
    if (!options || make_lines(config, options, lines, sizeof lines, findings)) {
        char *text = config_block_put(config, size, lines, &new_size);
        if (text && (size != new_size || memcmp(text, config, size) != 0 || options) &&
            !put_file(ND_RULES_FILE, config, size, text, new_size, findings))
            status = CLI_FAILED;
        else if (text)
            status = CLI_OK;
        free(text);
    }
    free(config);
    return status;
}

static void check_place(const struct library *library, struct findings *findings) {
    const char *why = library_place_is_bad(library->file);
    if (why)
        finding_bad(findings, "%s %s: %s", library->file, why, advice);
    else if (strncmp(library->file, "/usr/lib", 8) != 0 && strncmp(library->file, "/lib", 4) != 0)
        finding_note(findings, "%s is not where services may always execute files (NoExecPaths=): %s", library->file,
                     advice);
    if (musl_is_here())
        finding_note(findings, "musl's loader does not read " PRELOAD_LIST ": its programs are not reached");
    if (access("/etc/netdeadline.disable", F_OK) == 0)
        finding_note(findings, "/etc/netdeadline.disable exists: programs start as without the library");
}

/* The list has to exist, to be mounted over. An empty one is as good as none. Returns whether this made it. */
static bool make_list(void) {
    int fd = open(PRELOAD_LIST, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
    if (fd >= 0) {
        fchmod(fd, 0644);
        close(fd);
    }
    return fd >= 0;
}

/* The list as it is, and as it is to be. */
struct change {
    char *list, *with;
    size_t size, new_size;
};

/* Whether the list is what it was when this began: programs may have been tried for a minute. */
static bool is_unchanged(const struct change *change) {
    size_t size;
    char *now = read_or_empty(PRELOAD_LIST, &size);
    bool is_same = now && size == change->size && memcmp(now, change->list, size) == 0;
    free(now);
    if (!is_same)
        cli_warn(PRELOAD_LIST " was changed by somebody else meanwhile, and is left as it is");
    return is_same;
}

/* Writes the settings, then the list, and looks once more whether what held in a namespace holds outside of it. Takes both
 * back where something fails. */
static int write_line(const struct change *change, const struct options *options, bool force,
                      struct findings *findings) {
    if (!is_unchanged(change) || put_settings(options, findings) != CLI_OK)
        return CLI_FAILED;
    if (!put_file(PRELOAD_LIST, change->list, change->size, change->with, change->new_size, findings)) {
        put_settings(NULL, findings);
        return CLI_FAILED;
    }
    findings->bad = 0;
    trial_shell(findings);
    if (findings->bad == 0 || force)
        return CLI_OK;
    put_file(PRELOAD_LIST, change->with, change->new_size, change->list, change->size, findings);
    put_settings(NULL, findings);
    cli_warn("the line was taken out again");
    return 1;
}

/* Adds the line to the list, which does not have it. Returns an exit status. */
static int add_line(const struct change *change, const struct options *options, bool trial, bool force,
                    struct findings *findings) {
    bool made = make_list();
    if (!made && errno != EEXIST)
        return file_cannot_write(PRELOAD_LIST);
    if (trial)
        trial_run(change->with, change->new_size, findings);
    int status = 1;
    if (findings->bad > 0 && !force)
        cli_warn("nothing was changed; --force writes the line all the same");
    else
        status = write_line(change, options, force, findings);
    if (status != CLI_OK && made)
        unlink(PRELOAD_LIST);
    return status;
}

static int write_list(const struct library *library, const struct options *options, bool trial, bool force,
                      struct findings *findings) {
    struct change change = {.with = NULL};
    size_t length;
    int status = CLI_FAILED;
    char *list = read_or_empty(PRELOAD_LIST, &change.size);
    if (!list)
        return status;
    change.list = list;
    const char *there = preload_list_next(change.list, change.size, change.list, &length);
    if (there) {
        finding_good(findings, PRELOAD_LIST " has %.*s already", (int)length, there);
        if (length != strlen(library->preload) || strncmp(there, library->preload, length) != 0)
            finding_note(findings, "that is another name than this command's, %s: disable it first to change it",
                         library->preload);
        status = put_settings(options, findings);
    } else if ((change.with = preload_list_with(change.list, change.size, library->preload, &change.new_size)))
        status = add_line(&change, options, trial, force, findings);
    free(list);
    free(change.with);
    return status;
}

int enable_system(const struct library *library, const struct options *options, bool trial, bool force) {
    struct findings findings;
    file_lock_directory(PRELOAD_LIST);
    findings_start(&findings, "every program");
    check_place(library, &findings);
    if (findings.bad > 0 && !force) {
        cli_warn("nothing was changed");
        return 1;
    }
    findings.bad = 0;
    int status = write_list(library, options, trial, force, &findings);
    if (status == CLI_OK)
        finding_note(&findings,
                     "programs that start from now on have the library; `netdeadline status` tells which run "
                     "without, `netdeadline disable --system` takes it out again");
    return status;
}

/* Overwrites our names with blanks by one write, which takes neither room on the disk nor another file. */
static int blank_names(char *text, size_t size) {
    size_t length;
    for (const char *ours = text; (ours = preload_list_next(text, size, ours, &length)); ours += length)
        memset(text + (ours - text), ' ', length);
    int fd = open(PRELOAD_LIST, O_WRONLY | O_CLOEXEC);
    int result = fd >= 0 && pwrite(fd, text, size, 0) == (ssize_t)size ? 0 : -1;
    if (fd >= 0)
        close(fd);
    return result;
}

/* Removes the file where nothing else is in it, else replaces it. Where that fails, because the disk is full, the names
 * are overwritten. Returns how much is left of the list, or -1. */
static ssize_t take_names_out(char *list, size_t size) {
    char *rest = malloc(size + 1);
    if (!rest)
        return blank_names(list, size) == 0 ? (ssize_t)size : -1;
    size_t kept = preload_list_remove(memcpy(rest, list, size + 1), size);
    int result = kept == 0 ? unlink(PRELOAD_LIST) : file_replace(PRELOAD_LIST, rest, kept, 0644), error = errno;
    free(rest);
    if (result != 0 && blank_names(list, size) == 0)
        return (ssize_t)size;
    errno = error;
    return result == 0 ? (ssize_t)kept : -1;
}

/* Takes the library out of the list. Returns an exit status. */
static int clear_list(struct findings *findings) {
    size_t size, length;
    char *list = file_read(PRELOAD_LIST, &size);
    if (!list && errno != ENOENT) {
        cli_warn("cannot read " PRELOAD_LIST ": %s", strerror(errno));
        return CLI_FAILED;
    }
    if (!list || !preload_list_next(list, size, list, &length)) {
        free(list);
        findings_start(findings, "every program");
        finding_good(findings, PRELOAD_LIST " does not have the library");
        return CLI_OK;
    }
    ssize_t left = take_names_out(list, size);
    free(list);
    if (left < 0)
        return file_cannot_write(PRELOAD_LIST);
    findings_start(findings, "every program");
    finding_good(findings, "%s " PRELOAD_LIST, left == 0 ? "removed, as nothing else was in it:" : "taken out of");
    return CLI_OK;
}

int disable_system(void) {
    struct findings findings;
    int status = clear_list(&findings); /* first of all: whatever fails behind it, no program is reached any more */
    if (status != CLI_OK)
        return status;
    status = put_settings(NULL, &findings);
    finding_note(&findings, "what runs already keeps the library until it is started anew: `netdeadline status`");
    return status;
}
