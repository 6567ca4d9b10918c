#include "cli/library.h"

#include <errno.h>
#include <link.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define LIBRARY "libnetdeadline.so"

#ifndef ND_LIBDIR
#define ND_LIBDIR "/usr/local/lib"
#endif

/* For dl_iterate_phdr: copies the path of libc's file to `out`, and ends the search there. */
static int take_libc(struct dl_phdr_info *info, size_t size, void *out) {
    (void)size;
    const char *slash = info->dlpi_name ? strrchr(info->dlpi_name, '/') : NULL;
    return slash && strncmp(slash, "/libc.so", 8) == 0 && realpath(info->dlpi_name, out);
}

/* Writes what $LIB stands for in this system's ld.so ("lib/x86_64-linux-gnu", "lib64", "lib"). It is where libc itself
 * lies. */
static int lib_directory(char *out, size_t size) {
    char real[PATH_MAX];
    if (!dl_iterate_phdr(take_libc, real))
        return -1;
    const char *start = strncmp(real, "/usr/", 5) == 0 ? real + 5 : real + 1;
    const char *end = strrchr(real, '/');
    if (strncmp(start, "lib", 3) != 0 || end <= start || (size_t)(end - start) >= size)
        return -1;
    memcpy(out, start, (size_t)(end - start));
    out[end - start] = '\0';
    return 0;
}

__attribute__((format(printf, 3, 4))) static bool put(char *out, size_t size, const char *format, ...) {
    va_list args;
    va_start(args, format);
    int written = vsnprintf(out, size, format, args);
    va_end(args);
    return written >= 0 && (size_t)written < size;
}

/* Uses the library in `directory`. Returns false where there is none. */
static bool take_in(struct library *library, const char *directory) {
    char path[PATH_MAX];
    if (!put(path, sizeof path, "%s/" LIBRARY, directory) || access(path, R_OK) != 0 || !realpath(path, library->file))
        return false;
    strcpy(library->preload, library->file);
    return true;
}

/* Uses the library in `prefix`/$LIB. Returns false where there is none. */
static bool take_under(struct library *library, const char *prefix, const char *lib) {
    char directory[PATH_MAX], real[PATH_MAX];
    if (!realpath(prefix, real) || !put(directory, sizeof directory, "%s/%s", real, lib) ||
        !take_in(library, directory))
        return false;
    return put(library->preload, sizeof library->preload, "%s/$LIB/" LIBRARY, strcmp(real, "/") == 0 ? "" : real);
}

/* Puts the prefix of ND_LIBDIR into `out`, where that is PREFIX/lib/x86_64-linux-gnu or the like. */
static bool installed_prefix(const char *lib, char *out, size_t size) {
    static const char directory[] = ND_LIBDIR;
    size_t length = strlen(lib), whole = sizeof directory - 1;
    if (whole <= length + 1 || strcmp(directory + whole - length, lib) != 0 || directory[whole - length - 1] != '/')
        return false;
    return put(out, size, "%.*s", (int)(whole - length - 1), directory);
}

int library_command(char out[PATH_MAX]) {
    const ssize_t length = readlink("/proc/self/exe", out, PATH_MAX - 1);
    out[length > 0 ? length : 0] = '\0';
    return length > 0 ? 0 : -1;
}

int library_find(struct library *library) {
    char own[PATH_MAX], lib[128], prefix[PATH_MAX];
    bool knows_lib = lib_directory(lib, sizeof lib) == 0;
    if (library_command(own) == 0) {
        char directory[PATH_MAX];
        *strrchr(own, '/') = '\0';
        if (take_in(library, own))
            return 0;
        if (put(directory, sizeof directory, "%s/..", own) && knows_lib && take_under(library, directory, lib))
            return 0;
        if (put(directory, sizeof directory, "%s/../lib", own) && take_in(library, directory))
            return 0;
    }
    if (knows_lib && installed_prefix(lib, prefix, sizeof prefix) && take_under(library, prefix, lib))
        return 0;
    return take_in(library, ND_LIBDIR) ? 0 : -1;
}

int library_take(struct library *library, const char *path) {
    struct stat status;
    if (!realpath(path, library->file) || stat(library->file, &status) != 0)
        return -1;
    if (!S_ISREG(status.st_mode)) {
        errno = EINVAL;
        return -1;
    }
    strcpy(library->preload, library->file);
    return access(library->file, R_OK);
}

bool library_is_tellable(const struct library *library) {
    return strpbrk(library->preload, ": ") == NULL;
}

int library_copies(pid_t pid, char *out, size_t size) {
    char name[64], *line = NULL;
    size_t room = 0;
    int copies = 0;
    out[0] = '\0';
    snprintf(name, sizeof name, "/proc/%d/maps", (int)pid);
    FILE *maps = fopen(name, "re");
    while (maps && getline(&line, &room, maps) > 0) {
        char *path = strchr(line, '/'), *file = strstr(line, "/" LIBRARY), *mode = strchr(line, ' ');
        if (!path || !file || !mode || mode[3] != 'x')
            continue;
        path[strcspn(path, "\n")] = '\0';
        if (copies == 0)
            snprintf(out, size, "%s", path);
        if (copies == 0 || strncmp(out, path, size - 1) != 0)
            copies++;
    }
    free(line);
    if (!maps)
        return -1;
    fclose(maps);
    return copies;
}
