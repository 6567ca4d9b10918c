#include "cli/config_section.h"

#include <fcntl.h>
#include <limits.h>
#include <linux/openat2.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "cli/process/processes.h"
#include "shim/settings/rules.h"

/* glibc 2.32; 437 on every machine. */
#ifndef SYS_openat2
#define SYS_openat2 437
#endif

enum { MOST_BYTES = 1 << 20 };

int config_section_in(int fd, unsigned number, char *out, size_t size) {
    FILE *file = fdopen(dup(fd), "r");
    char line[ND_RULES_MOST_LINE + 1];
    unsigned at = 0;
    long bytes = 0;
    snprintf(out, size, "file");
    while (file && at < number && bytes < MOST_BYTES && fgets(line, sizeof line, file)) {
        size_t length = strlen(line);
        bytes += (long)length;
        bool is_whole = length > 0 && line[length - 1] == '\n';
        const char *begin = line + strspn(line, " \t"), *end = strchr(begin, ']');
        if (*begin == '[' && end)
            snprintf(out, size, "%.*s", (int)(end - begin + 1), begin);
        for (int c = 0; !is_whole && c != EOF && c != '\n' && bytes < MOST_BYTES; bytes++)
            c = getc(file);
        at++;
    }
    if (file)
        fclose(file);
    return at == number && number > 0 ? 0 : -1;
}

/* The file that a guard was given on its command line. */
static void find_option(pid_t pid, char out[PATH_MAX]) {
    static const char option[] = "--config";
    const size_t length = sizeof option - 1;
    char path[64], program[64], *argument = NULL;
    size_t room = 0;
    bool is_next = false;
    process_raw_name(pid, program, sizeof program);
    snprintf(path, sizeof path, "/proc/%d/cmdline", (int)pid);
    FILE *file = strcmp(program, "netdeadline") == 0 ? fopen(path, "re") : NULL;
    for (int i = 0; file && getdelim(&argument, &room, '\0', file) > 0; i++) {
        if (is_next || (strncmp(argument, option, length) == 0 && argument[length] == '='))
            snprintf(out, PATH_MAX, "%s", is_next ? argument : argument + length + 1);
        is_next = strcmp(argument, option) == 0;
        if (i == 1 && strcmp(argument, "guard") != 0)
            break;
    }
    free(argument);
    if (file)
        fclose(file);
}

/* The path that the process was told, or the usual one. */
static void find_path(pid_t pid, char out[PATH_MAX]) {
    static const char name[] = "NETDEADLINE_CONFIG=";
    char path[64], *variable = NULL;
    size_t room = 0;
    snprintf(path, sizeof path, "/proc/%d/environ", (int)pid);
    FILE *file = fopen(path, "re");
    snprintf(out, PATH_MAX, ND_RULES_FILE);
    while (file && getdelim(&variable, &room, '\0', file) > 0)
        if (strncmp(variable, name, sizeof name - 1) == 0 && variable[sizeof name - 1])
            snprintf(out, PATH_MAX, "%s", variable + sizeof name - 1);
    free(variable);
    if (file)
        fclose(file);
    find_option(pid, out);
}

/* Opens the path below the process's root. No link leads out of that (Linux 5.6). */
static int open_below_root(pid_t pid, const char *path) {
    char root[64];
    struct open_how how = {.flags = O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY,
                           .resolve = RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS};
    snprintf(root, sizeof root, "/proc/%d/root", (int)pid);
    int directory = open(root, O_PATH | O_DIRECTORY | O_CLOEXEC);
    int fd = directory >= 0 ? (int)syscall(SYS_openat2, directory, path, &how, sizeof how) : -1;
    if (directory >= 0)
        close(directory);
    return fd;
}

/* When the process was started, by the clock that files have their times from. */
static double started_at(pid_t pid) {
    struct timespec now, booted;
    clock_gettime(CLOCK_REALTIME, &now);
    clock_gettime(CLOCK_BOOTTIME, &booted);
    const double boot = (double)(now.tv_sec - booted.tv_sec) + (double)(now.tv_nsec - booted.tv_nsec) / 1e9;
    return boot + (double)process_identity(pid).started / (double)sysconf(_SC_CLK_TCK);
}

/* Whether the process itself could read the file, and has read this version of it. It reads it a moment after its
 * start. */
static bool is_its_own(pid_t pid, int fd) {
    const double moment = 1;
    char path[64];
    struct stat file, process;
    snprintf(path, sizeof path, "/proc/%d", (int)pid);
    if (fstat(fd, &file) != 0 || stat(path, &process) != 0 || !S_ISREG(file.st_mode))
        return false;
    bool is_readable = file.st_mode & S_IROTH || file.st_uid == process.st_uid;
    return is_readable && (double)file.st_mtim.tv_sec <= started_at(pid) + moment;
}

void config_section_of(pid_t pid, struct nd_set_where set, char *out, size_t size) {
    static const char *const others[] = {
        [ND_SET_BY_DEFAULT] = "default", [ND_SET_BY_ENVIRONMENT] = "environment", [ND_SET_BY_COMMAND] = "set"};
    char path[PATH_MAX];
    if (set.by != ND_SET_BY_FILE) {
        snprintf(out, size, "%s", set.by < sizeof others / sizeof others[0] ? others[set.by] : "?");
        return;
    }
    find_path(pid, path);
    int fd = path[0] == '/' ? open_below_root(pid, path) : -1;
    if (fd < 0 || !is_its_own(pid, fd) || config_section_in(fd, set.line, out, size) != 0)
        snprintf(out, size, "line %u", (unsigned)set.line);
    if (fd >= 0)
        close(fd);
}
