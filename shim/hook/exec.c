/* execve and its kin, posix_spawn: the other program may be without the library (static, set-uid, a clean environment),
 * and would get errors from timers that it knows nothing of. */
#include "shim/hook/hook.h"
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

int nd_hook_fexecve(int fd, char *const argv[], char *const envp[]) {
    nd_hand_on_exec();
    return failed(nd_real.fexecve(fd, argv, envp));
}

int nd_hook_posix_spawn(pid_t *pid, const char *path, const void *actions, const void *attributes, char *const argv[],
                        char *const envp[]) {
    nd_hand_on_spawn();
    return nd_real.posix_spawn(pid, path, actions, attributes, argv, envp);
}

int nd_hook_posix_spawnp(pid_t *pid, const char *file, const void *actions, const void *attributes, char *const argv[],
                         char *const envp[]) {
    nd_hand_on_spawn();
    return nd_real.posix_spawnp(pid, file, actions, attributes, argv, envp);
}
