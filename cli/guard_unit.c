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

/* Looks below `directory`, which is so deep, for what is nearer than that. */
static void look_below(struct search *search, const char *directory, int depth) {
    char path[PATH_MAX];
    DIR *entries = depth < search->depth ? opendir(directory) : NULL;
    for (const struct dirent *entry; entries && (entry = readdir(entries));) {
        if (entry->d_type != DT_DIR || entry->d_name[0] == '.' || depth >= search->depth ||
            snprintf(path, sizeof path, "%s/%s", directory, entry->d_name) >= (int)sizeof path)
            continue;
        if (strcmp(entry->d_name, search->unit) != 0)
            look_below(search, path, depth + 1);
        else if (snprintf(search->out, search->size, "%s", path) < (int)search->size)
            search->depth = depth;
    }
    if (entries)
        closedir(entries);
}

bool guard_unit_find(const char *unit, char *out, size_t size) {
    struct search search = {unit, out, size, MOST_DEPTH};
    look_below(&search, GUARD_CGROUPS, 0);
    return search.depth < MOST_DEPTH;
}
