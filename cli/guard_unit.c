#include "cli/guard_unit.h"

#include <dirent.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>

enum { MOST_DEPTH = 10 };

struct search {
    const char *unit;
    char *out;
    size_t size;
    int depth; /* of what was found */
};

/* systemd puts '_' before a name that the cgroup file system may take for one of its own files, as cpu.service. */
static bool is_named(const char *directory, const char *unit) {
    return strcmp(directory, unit) == 0 || (directory[0] == '_' && strcmp(directory + 1, unit) == 0);
}

/* Looks below `directory`, which is so deep, for what is nearer than that. */
static void look_below(struct search *search, const char *directory, int depth) {
    char path[PATH_MAX];
    DIR *entries = depth < search->depth ? opendir(directory) : NULL;
    for (const struct dirent *entry; entries && (entry = readdir(entries));) {
        if (entry->d_type != DT_DIR || entry->d_name[0] == '.' || depth >= search->depth ||
            snprintf(path, sizeof path, "%s/%s", directory, entry->d_name) >= (int)sizeof path)
            continue;
        if (!is_named(entry->d_name, search->unit))
            look_below(search, path, depth + 1);
        else if (snprintf(search->out, search->size, "%s", path) < (int)search->size)
            search->depth = depth;
    }
    if (entries)
        closedir(entries);
}

bool guard_unit_find(const char *root, const char *unit, char *out, size_t size) {
    struct search search = {unit, out, size, MOST_DEPTH};
    look_below(&search, root, 0);
    return search.depth < MOST_DEPTH;
}
