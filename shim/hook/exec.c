/* execve and its kin, posix_spawn, system, popen: the other program may be without the library (static, set-uid, a
 * clean environment), and would get errors from timers that it knows nothing of. */
#include <stdarg.h>
#include <unistd.h>

#include "shim/hook/hook.h"
#include "shim/next.h"
#include "shim/raw.h"
#include "shim/socket/hand_on.h"

static int failed(int result) {
    nd_hand_on_failed();
    return result;
}

int nd_hook_execve(const char *path, char *const argv[], char *const envp[]) {
    nd_hand_on_exec();
    return failed(nd_real.execve(path, argv, envp));
}

int nd_hook_execv(const char *path, char *const argv[]) {
    nd_hand_on_exec();
    return failed(nd_real.execv(path, argv));
}

int nd_hook_execvp(const char *file, char *const argv[]) {
    nd_hand_on_exec();
    return failed(nd_real.execvp(file, argv));
}

int nd_hook_execvpe(const char *file, char *const argv[], char *const envp[]) {
    nd_hand_on_exec();
    return failed(nd_real.execvpe(file, argv, envp));
}

/* The functions that take their arguments one by one. They are counted, and then are an array on the stack, as in
 * libc. */
static size_t count_arguments(const char *first, va_list rest) {
    size_t count = first ? 1 : 0;
    while (first && va_arg(rest, const char *))
        count++;
    return count;
}

static void take_arguments(char **argv, size_t count, const char *first, va_list rest) {
    argv[0] = (char *)(uintptr_t)first;
    for (size_t i = 1; i <= count; i++)
        argv[i] = va_arg(rest, char *);
}

#define ARGUMENTS(argv, first)                                                                                         \
    va_list rest;                                                                                                      \
    va_start(rest, first);                                                                                             \
    const size_t argv##_count = count_arguments(first, rest);                                                          \
    va_end(rest);                                                                                                      \
    char **const argv = __builtin_alloca((argv##_count + 1) * sizeof *argv); /* NOLINT: libc's frame has it, too */    \
    va_start(rest, first);                                                                                             \
    take_arguments(argv, argv##_count, first, rest)

/* libc's make the system call themselves; a wrapper that has them has those for arrays, too. */
int nd_hook_execl(const char *path, const char *arg, ...) {
    ARGUMENTS(argv, arg);
    va_end(rest);
    nd_hand_on_exec();
    return failed(nd_next_is(execl) ? nd_real.execv(path, argv) : (int)ND_RAW3(execve, path, argv, environ));
}

int nd_hook_execle(const char *path, const char *arg, ...) {
    ARGUMENTS(argv, arg);
    char *const *const envp = va_arg(rest, char *const *);
    va_end(rest);
    nd_hand_on_exec();
    return failed(nd_next_is(execle) ? nd_real.execve(path, argv, envp) : (int)ND_RAW3(execve, path, argv, envp));
}

int nd_hook_execlp(const char *file, const char *arg, ...) {
    ARGUMENTS(argv, arg);
    va_end(rest);
    return nd_hook_execvp(file, argv);
}

int nd_hook_execveat(int fd, const char *path, char *const argv[], char *const envp[], int flags) {
    nd_hand_on_exec();
    return failed(nd_real.execveat(fd, path, argv, envp, flags));
}

int nd_hook_fexecve(int fd, char *const argv[], char *const envp[]) {
    nd_hand_on_exec();
    return failed(nd_real.fexecve(fd, argv, envp));
}

int nd_hook_posix_spawn(pid_t *pid, const char *path, const void *actions, const void *attributes, char *const argv[],
                        char *const envp[]) {
    nd_hand_on_spawn(true);
    return nd_real.posix_spawn(pid, path, actions, attributes, argv, envp);
}

int nd_hook_posix_spawnp(pid_t *pid, const char *file, const void *actions, const void *attributes, char *const argv[],
                         char *const envp[]) {
    nd_hand_on_spawn(true);
    return nd_real.posix_spawnp(pid, file, actions, attributes, argv, envp);
}

int nd_hook_system(const char *command) {
    if (command)
        nd_hand_on_spawn(false);
    return nd_real.system(command);
}

FILE *nd_hook_popen(const char *command, const char *type) {
    nd_hand_on_spawn(true);
    return nd_real.popen(command, type);
}
