#include "cli/loader.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cli/elf_file.h"

/* Whether the path is that of the system's loader. It comes from the program's file, which could name any program to be
 * executed. */
static bool is_loader(const char *path) {
    struct stat status;
    const char *name = strrchr(path, '/');
    if ((strncmp(path, "/lib", 4) != 0 && strncmp(path, "/usr/lib", 8) != 0) || strstr(path, ".."))
        return false;
    if (strncmp(name, "/ld-linux", 9) != 0 && strncmp(name, "/ld64.so", 8) != 0 && strncmp(name, "/ld.so", 6) != 0)
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

static void execute(const char *loader, const char *path, const char *preload, int to) {
    char *const arguments[] = {(char *)(uintptr_t)loader, "--list", (char *)(uintptr_t)path, NULL};
    char search[4096], preloaded[4096], *environment[3] = {NULL, NULL, NULL};
    put_variable(environment, search, sizeof search, "LD_LIBRARY_PATH", getenv("LD_LIBRARY_PATH"));
    put_variable(environment, preloaded, sizeof preloaded, "LD_PRELOAD", preload);
    dup2(to, 1);
    close(2);
    execve(loader, arguments, environment);
    _exit(127);
}

int loader_list_open(struct loader_list *list, const char *loader, const char *path, const char *preload) {
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

void loader_list_close(struct loader_list *list) {
    fclose(list->file);
    waitpid(list->child, NULL, 0);
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
    loader_list_close(&list);
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
