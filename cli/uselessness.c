#include "cli/uselessness.h"

#include <stdio.h>
#include <string.h>

#include "cli/elf_file.h"
#include "cli/loader.h"
#include "cli/musl.h"

/* Whether the program makes its network calls past its libc, so that none is interposed. */
static bool is_go(const struct program *program) {
    struct elf_file file;
    if (elf_open(&file, program->path) != 0)
        return false;
    bool found = elf_has_section(&file, ".go.buildinfo") || elf_has_section(&file, ".note.go.buildid");
    elf_close(&file);
    return found;
}

/* Whether a library that can be read is of the program's class and machine. */
static bool is_of_kind(const char *file, const struct program *program) {
    struct program shared;
    return program_inspect_file(file, &shared) != 0 ||
           (shared.bits == program->bits && shared.machine == program->machine);
}

/* Whether the program's loader finds the library. An old loader makes something else of $LIB: then the library is named
 * by its path. */
static bool is_found(const struct program *program, struct library *library) {
    if (!strstr(library->preload, "$LIB"))
        return is_of_kind(library->file, program);
    if (loader_takes(program->path, library) != LOADER_IGNORES)
        return true;
    if (!is_of_kind(library->file, program))
        return false;
    strcpy(library->preload, library->file);
    return true;
}

const char *uselessness_of(const struct program *program, struct library *library) {
    static char kinds[PATH_MAX + 128];
    if (program->is_static)
        return "is linked statically, so that no library can be preloaded into it";
    if (program->is_privileged)
        return "gains privileges when executed, so that the loader ignores LD_PRELOAD";
    const bool is_for_musl = musl_is_for(program);
    const char *why = is_for_musl ? musl_uselessness_of(program, library) : NULL;
    if (why)
        return why;
    if (!is_for_musl && !is_found(program, library)) {
        snprintf(kinds, sizeof kinds,
                 strstr(library->preload, "$LIB") ? "finds no library of its kind (%d-bit) at %s"
                                                  : "is a %d-bit program of another kind than %s",
                 program->bits, strstr(library->preload, "$LIB") ? library->preload : library->file);
        return kinds;
    }
    return is_go(program) ? "is a Go program, whose network calls are raw system calls" : NULL;
}
