#include "cli/loader.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cli/elf_file.h"

bool loader_is_musl(const char *interpreter) {
    const char *name = strrchr(interpreter, '/');
    return name && strncmp(name, "/ld-musl-", 9) == 0;
}

/* Whether the path is that of the system's loader. It comes from the program's file, which could name any program to be
 * executed. */
static bool is_loader(const char *path) {
    struct stat status;
    const char *name = strrchr(path, '/');
    if ((strncmp(path, "/lib", 4) != 0 && strncmp(path, "/usr/lib", 8) != 0) || strstr(path, ".."))
        return false;
    if (strncmp(name, "/ld-linux", 9) != 0 && strncmp(name, "/ld64.so", 8) != 0 && strncmp(name, "/ld.so", 6) != 0 &&
        !loader_is_musl(path))
        return false;
    return stat(path, &status) == 0 && status.st_uid == 0 && !(status.st_mode & (S_IWGRP | S_IWOTH));
}

/* Puts NAME=VALUE into `environment` where there is a value and room for it. */
static void put_variable(char **environment, char *text, size_t size, const char *name, const char *value) {
    if (!value || snprintf(text, size, "%s=%s", name, value) >= (int)size)
        return;
    while (*environment)
        environment++;
    *environment = text;
}

/* Without a path the loader is given no argument, and says on descriptor 2 what it is. */
static void execute(const char *loader, const char *path, const char *preload, int to) {
    char *const arguments[] = {(char *)(uintptr_t)loader, path ? "--list" : NULL, (char *)(uintptr_t)path, NULL};
    char search[4096], preloaded[4096], *environment[3] = {NULL, NULL, NULL};
    put_variable(environment, search, sizeof search, "LD_LIBRARY_PATH", getenv("LD_LIBRARY_PATH"));
    put_variable(environment, preloaded, sizeof preloaded, "LD_PRELOAD", preload);
    dup2(to, path ? 1 : 2);
    close(path ? 2 : 1);
    execve(loader, arguments, environment);
    _exit(127);
}

static int ask_loader(struct loader_list *list, const char *loader, const char *path, const char *preload) {
    int ends[2];
    if (!is_loader(loader) || pipe(ends) != 0)
        return -1;
    list->child = fork();
    if (list->child == 0)
        execute(loader, path, preload, ends[1]);
    close(ends[1]);
    list->file = list->child > 0 ? fdopen(ends[0], "r") : NULL;
    if (list->file)
        return 0;
    close(ends[0]);
    if (list->child > 0)
        waitpid(list->child, NULL, 0);
    return -1;
}

int loader_list_open(struct loader_list *list, const char *loader, const char *path, const char *preload) {
    return ask_loader(list, loader, path, preload);
}

bool loader_list_close(struct loader_list *list) {
    int status = -1;
    fclose(list->file);
    return waitpid(list->child, &status, 0) == list->child && WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

/* Whether the loader would start the program without the library. */
static bool would_start(const char *loader, const char *path) {
    struct loader_list list;
    char line[4096];
    if (loader_list_open(&list, loader, path, NULL) != 0)
        return false;
    while (fgets(line, sizeof line, list.file)) { /* read to its end: the loader must not end by SIGPIPE */
    }
    return loader_list_close(&list);
}

static enum loader_answer ask(const char *loader, const char *path, const struct library *library) {
    const char *name = strrchr(library->file, '/');
    enum loader_answer answer = LOADER_IGNORES;
    struct loader_list list;
    char line[4096];
    int lines = 0;
    if (loader_list_open(&list, loader, path, library->preload) != 0)
        return LOADER_UNKNOWN;
    for (; fgets(line, sizeof line, list.file); lines++)
        if (name && strstr(line, name))
            answer = LOADER_TAKES;
    const bool starts = loader_list_close(&list);
    if (answer == LOADER_TAKES && !starts && loader_is_musl(loader) && would_start(loader, path))
        return LOADER_ENDS;
    return lines > 0 ? answer : LOADER_UNKNOWN;
}

enum loader_answer loader_takes(const char *path, const struct library *library) {
    struct elf_file file;
    if (elf_open(&file, path) != 0)
        return LOADER_UNKNOWN;
    const char *loader = elf_interpreter(&file);
    enum loader_answer answer = loader ? ask(loader, path, library) : LOADER_UNKNOWN;
    elf_close(&file);
    return answer;
}

bool loader_musl_version(const char *loader, char *out, size_t size) {
    static const char before[] = "Version ";
    struct loader_list list;
    char line[256];
    out[0] = '\0';
    if (!loader_is_musl(loader) || ask_loader(&list, loader, NULL, NULL) != 0)
        return false;
    while (fgets(line, sizeof line, list.file))
        if (strncmp(line, before, sizeof before - 1) == 0)
            snprintf(out, size, "%.*s", (int)strspn(line + sizeof before - 1, "0123456789."), line + sizeof before - 1);
    loader_list_close(&list);
    return out[0] != '\0';
}
