#include "cli/child.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { CANNOT_EXECUTE = 255 }; /* no program that is run here ends with it */

static int64_t milliseconds(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static void execute(char *const argv[], uid_t user, bool errors, int to) {
    int null = open("/dev/null", O_RDWR | O_CLOEXEC);
    setpgid(0, 0);
    dup2(null, 0);
    dup2(to, 1);
    dup2(errors ? to : null, 2);
    if (user && (setgroups(0, NULL) != 0 || setgid((gid_t)user) != 0 || setuid(user) != 0))
        _exit(CANNOT_EXECUTE);
    execvp(argv[0], argv);
    _exit(CANNOT_EXECUTE);
}

/* Reads until the end of the output, or the time. Returns whether the end came. */
static bool collect(int from, int64_t until, struct child_result *result) {
    char piece[4096];
    for (;;) {
        struct pollfd ready = {.fd = from, .events = POLLIN};
        int64_t left = until - milliseconds();
        if (left <= 0)
            return false;
        int found = poll(&ready, 1, (int)left);
        if (found < 0 && errno != EINTR)
            return false;
        if (found <= 0)
            continue;
        ssize_t got = read(from, piece, sizeof piece);
        if (got <= 0)
            return got == 0;
        size_t room = CHILD_OUTPUT - 1 - result->size, kept = (size_t)got < room ? (size_t)got : room;
        memcpy(result->output + result->size, piece, kept);
        result->size += kept;
    }
}

void child_run(char *const argv[], uid_t user, int seconds, bool errors, struct child_result *result) {
    int ends[2], status = 0;
    *result = (struct child_result){.status = CHILD_NOT_RUN};
    if (pipe(ends) != 0) /* pipe2 is younger than the oldest kernel */
        return;
    fcntl(ends[0], F_SETFD, FD_CLOEXEC);
    fcntl(ends[1], F_SETFD, FD_CLOEXEC);
    pid_t child = fork();
    if (child == 0)
        execute(argv, user, errors, ends[1]);
    close(ends[1]);
    bool has_ended = child > 0 && collect(ends[0], milliseconds() + (int64_t)seconds * 1000, result);
    close(ends[0]);
    if (child <= 0)
        return;
    if (!has_ended) { /* it may not have come to its setpgid */
        kill(-child, SIGKILL);
        kill(child, SIGKILL);
    }
    while (waitpid(child, &status, 0) < 0 && errno == EINTR)
        ;
    result->output[result->size] = '\0';
    if (!has_ended)
        result->status = CHILD_CUT;
    else if (WIFSIGNALED(status))
        result->status = 128 + WTERMSIG(status);
    else if (WEXITSTATUS(status) != CANNOT_EXECUTE)
        result->status = WEXITSTATUS(status);
}
