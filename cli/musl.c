#include "cli/musl.h"

#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cli/elf_file.h"
#include "cli/loader.h"

#define LIBRARY "libnetdeadline.so"

#if defined(__x86_64__)
#define MUSL_MACHINE "x86_64"
#elif defined(__aarch64__)
#define MUSL_MACHINE "aarch64"
#else
#define MUSL_MACHINE "none" /* the library serves no programs of musl there */
#endif

bool musl_is_for(const struct program *program) {
    struct elf_file file;
    if (elf_open(&file, program->path) != 0)
        return false;
    const char *loader = elf_interpreter(&file);
    bool found = loader && loader_is_musl(loader);
    elf_close(&file);
    return found;
}

bool musl_is_here(void) {
    return access("/lib/ld-musl-" MUSL_MACHINE ".so.1", R_OK) == 0;
}

/* Where musl's loader looks for a name without a slash: what its list names, by lines or colons, or else its default. */
static void read_directories(char *out, size_t size) {
    FILE *list = fopen("/etc/ld-musl-" MUSL_MACHINE ".path", "re");
    if (!list) {
        snprintf(out, size, "/lib:/usr/local/lib:/usr/lib");
        return;
    }
    out[fread(out, 1, size - 1, list)] = '\0';
    fclose(list);
}

const char *musl_library_name(const struct library *library) {
    char directories[4096], path[PATH_MAX];
    struct stat own, found;
    if (!strstr(library->preload, "$LIB") || !musl_is_here() || stat(library->file, &own) != 0)
        return NULL;
    read_directories(directories, sizeof directories);
    for (char *at = strtok(directories, ":\n"); at; at = strtok(NULL, ":\n")) {
        snprintf(path, sizeof path, "%s/" LIBRARY, at);
        if (stat(path, &found) == 0) /* the first that is there is the one that is taken */
            return found.st_dev == own.st_dev && found.st_ino == own.st_ino ? LIBRARY : NULL;
    }
    return NULL;
}

const char *musl_preload(const struct library *library) {
    static char both[PATH_MAX + sizeof LIBRARY + 1];
    const char *name = musl_library_name(library);
    snprintf(both, sizeof both, "%s%s%s", library->preload, name ? ":" : "", name ? name : "");
    return both;
}

const char *musl_uselessness_of(const struct program *program, struct library *library) {
    struct library by_path = *library;
    struct program file;
    if (program->bits == 32)
        return "is a 32-bit program of musl, for which the library is not made";
    if (program_inspect_file(library->file, &file) == 0 &&
        (file.bits != program->bits || file.machine != program->machine))
        return "is linked with musl for another machine than the library";
    strcpy(by_path.preload, library->file);
    if (loader_takes(program->path, &by_path) == LOADER_ENDS) {
        library->preload[0] = '\0';
        return "is linked with a musl that lacks functions the library needs";
    }
    if (strstr(library->preload, "$LIB") && !musl_library_name(library))
        strcpy(library->preload, library->file);
    return NULL;
}
