#include "cli/enabled_units.h"

#include <dirent.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "cli/library.h"
#include "cli/process/block.h"
#include "cli/replace_file.h"

static const char *const unit_directories[] = {"/etc/systemd/system", "/run/systemd/system",
                                               "/usr/local/lib/systemd/system", "/usr/lib/systemd/system",
                                               "/lib/systemd/system"};

struct visiting {
    const char *library; /* what a file must name */
    void (*visit)(const char *unit, const char *path, void *arg);
    void *arg;
};

static bool ends_with(const char *text, const char *end) {
    size_t length = strlen(text), rest = strlen(end);
    return length > rest && strcmp(text + length - rest, end) == 0;
}

/* Whether a line of the file, which is no comment, preloads the library. */
static bool names_library(const char *path, const char *library) {
    size_t size;
    char *text = file_read(path, &size), *rest = NULL;
    bool found = false;
    for (char *line = text ? strtok_r(text, "\n", &rest) : NULL; line && !found; line = strtok_r(NULL, "\n", &rest)) {
        line += strspn(line, " \t");
        const char *preload = *line != '#' && *line != ';' ? strstr(line, "LD_PRELOAD=") : NULL;
        found = preload && strstr(preload, library);
    }
    free(text);
    return found;
}

static void take_file(const struct visiting *visiting, const char *unit, const char *path) {
    if (names_library(path, visiting->library))
        visiting->visit(unit, path, visiting->arg);
}

static void take_drop_ins(const struct visiting *visiting, const char *directory, const char *name) {
    char path[PATH_MAX], unit[NAME_MAX + 1];
    snprintf(unit, sizeof unit, "%.*s", (int)(strlen(name) - strlen(".d")), name);
    DIR *entries = opendir(directory);
    for (const struct dirent *entry; entries && (entry = readdir(entries));)
        if (ends_with(entry->d_name, ".conf") &&
            snprintf(path, sizeof path, "%s/%s", directory, entry->d_name) < (int)sizeof path)
            take_file(visiting, unit, path);
    if (entries)
        closedir(entries);
}

static void take_directory(const struct visiting *visiting, const char *directory) {
    char path[PATH_MAX];
    DIR *entries = opendir(directory);
    for (const struct dirent *entry; entries && (entry = readdir(entries));) {
        if (snprintf(path, sizeof path, "%s/%s", directory, entry->d_name) >= (int)sizeof path)
            continue;
        if (ends_with(entry->d_name, ".service.d"))
            take_drop_ins(visiting, path, entry->d_name);
        else if (ends_with(entry->d_name, ".service"))
            take_file(visiting, entry->d_name, path);
    }
    if (entries)
        closedir(entries);
}

static void each_that_names(const char *library, void (*visit)(const char *, const char *, void *), void *arg) {
    const struct visiting visiting = {library, visit, arg};
    struct stat seen, status;
    bool has_seen = false;
    for (size_t i = 0; i < sizeof unit_directories / sizeof unit_directories[0]; i++) {
        bool exists = stat(unit_directories[i], &status) == 0;
        if (!exists || (has_seen && status.st_ino == seen.st_ino && status.st_dev == seen.st_dev))
            continue; /* /lib is /usr/lib */
        take_directory(&visiting, unit_directories[i]);
        seen = status, has_seen = true;
    }
}

void enabled_units_each(void (*visit)(const char *unit, const char *path, void *arg), void *arg) {
    each_that_names("libnetdeadline.so", visit, arg);
}

static void note(const char *unit, const char *path, void *found) {
    (void)unit;
    (void)path;
    *(bool *)found = true;
}

bool enabled_units_name(const char *library) {
    bool found = false;
    each_that_names(library, note, &found);
    return found;
}

enum enabled_state enabled_state_of(pid_t pid) {
    static struct block block;
    char path[PATH_MAX];
    switch (block_open(&block, pid, false)) {
    case BLOCK_FOUND:
    case BLOCK_STRANGE:
        return ENABLED_WITH;
    case BLOCK_PASSIVE:
        return library_copies(pid, path, sizeof path) > 0 ? ENABLED_PASSIVE : ENABLED_FORBIDDEN;
    case BLOCK_NONE:
        return ENABLED_WITHOUT;
    case BLOCK_DENIED:
        return ENABLED_UNSEEN;
    default:
        return ENABLED_GONE;
    }
}
