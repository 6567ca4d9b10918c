#include "cli/preload.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/elf_file.h"
#include "cli/musl.h"

#define SEPARATORS ": "

/* Whether a library of this name, or at this path, is a runtime that has to come first. */
static bool is_runtime(const char *path, size_t length) {
    static const char *const names[] = {"libasan.so", "libhwasan.so", "libclang_rt.asan", "libclang_rt.hwasan"};
    const char *slash = memrchr(path, '/', length);
    const char *file = slash ? slash + 1 : path;
    size_t rest = length - (size_t)(file - path);
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        if (rest >= strlen(names[i]) && strncmp(file, names[i], strlen(names[i])) == 0)
            return true;
    return false;
}

static void take_runtime(const char *needed, void *arg) {
    char *name = arg;
    if (name[0] == '\0' && strlen(needed) <= NAME_MAX && !strpbrk(needed, SEPARATORS) &&
        is_runtime(needed, strlen(needed)))
        strcpy(name, needed);
}

bool preload_runtime_of(const char *path, char name[NAME_MAX + 1]) {
    struct elf_file file;
    name[0] = '\0';
    if (elf_open(&file, path) != 0)
        return false;
    elf_each_needed(&file, take_runtime, name);
    elf_close(&file);
    return name[0] != '\0';
}

/* Whether `list` names the library already. */
static bool stands_in(const struct library *library, const char *list) {
    while (*list) {
        list += strspn(list, SEPARATORS);
        size_t length = strcspn(list, SEPARATORS);
        const char *const same[] = {library->preload, library->file};
        for (int i = 0; i < 2; i++)
            if (strlen(same[i]) == length && strncmp(same[i], list, length) == 0)
                return true;
        list += length;
    }
    return false;
}

/* What follows the last runtime in `list`. */
static const char *behind_runtimes(const char *list) {
    const char *behind = list;
    for (const char *at = list; *at;) {
        size_t length = strcspn(at, SEPARATORS);
        if (is_runtime(at, length))
            behind = at + length;
        at += length;
        at += strspn(at, SEPARATORS);
    }
    return behind;
}

int preload_set(const struct library *library, const char *runtime) {
    const char *list = getenv("LD_PRELOAD");
    list = list ? list : "";
    const char *told = musl_preload(library);
    if (!library->preload[0] || stands_in(library, list))
        return 0;
    const char *rest = behind_runtimes(list);
    bool has_runtime = rest > list;
    if (has_runtime || !runtime)
        runtime = "";
    size_t before = (size_t)(rest - list), size = strlen(runtime) + strlen(list) + strlen(told) + 3;
    char *joined = malloc(size);
    if (!joined)
        return -1;
    rest += strspn(rest, SEPARATORS);
    snprintf(joined, size, "%.*s%s%s%s%s%s", (int)before, list, runtime, has_runtime || runtime[0] ? ":" : "", told,
             *rest ? ":" : "", rest);
    int result = setenv("LD_PRELOAD", joined, 1);
    free(joined);
    return result == 0 ? runtime[0] != '\0' : -1;
}
