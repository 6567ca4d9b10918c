#include "cli/executes.h"

#include <stddef.h>
#include <string.h>

#include "cli/elf_file.h"

static void note_call(const char *name, void *arg) {
    static const char *const calls[] = {"execl",        "execle",  "execlp",  "execv",    "execve",
                                        "execvp",       "execvpe", "fexecve", "execveat", "posix_spawn",
                                        "posix_spawnp", "system",  "popen",   "wordexp"};
    for (size_t i = 0; i < sizeof calls / sizeof calls[0]; i++)
        *(bool *)arg |= strcmp(name, calls[i]) == 0;
}

static void note_library(const char *name, void *arg) {
    static const char *const interpreters[] = {"libpython", "libperl", "libruby", "libnode",
                                               "libjli",    "libphp",  "liblua"};
    for (size_t i = 0; i < sizeof interpreters / sizeof interpreters[0]; i++)
        *(bool *)arg |= strncmp(name, interpreters[i], strlen(interpreters[i])) == 0;
}

bool executes_others(const char *path) {
    struct elf_file file;
    bool found = false;
    if (elf_open(&file, path) != 0)
        return false;
    elf_each_import(&file, note_call, &found);
    elf_each_needed(&file, note_library, &found);
    elf_close(&file);
    return found;
}
