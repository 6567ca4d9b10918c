#include "cli/process/stop.h"

#include <errno.h>
#include <stdint.h>
#include <sys/ptrace.h>
#include <sys/wait.h>
#include <time.h>

/* How long a thread may take to stop. It is looked at again after pauses of 20 us and more. */
enum { FIRST_PAUSE = 20000, LONGEST_PAUSE = 1000000, MOST_WAIT = 1000000000 };

static int await_stop(pid_t tid) {
    struct timespec pause = {0, FIRST_PAUSE};
    for (long waited = 0; waited < MOST_WAIT; waited += pause.tv_nsec) {
        int status = 0;
        pid_t got = waitpid(tid, &status, __WALL | WNOHANG);
        if (got == tid && WIFSTOPPED(status))
            return status >> 16 == PTRACE_EVENT_STOP ? 0 : WSTOPSIG(status);
        if (got != 0) {
            errno = ESRCH;
            return -1;
        }
        nanosleep(&pause, NULL);
        pause.tv_nsec = pause.tv_nsec < LONGEST_PAUSE / 2 ? 2 * pause.tv_nsec : LONGEST_PAUSE;
    }
    errno = ETIMEDOUT;
    return -1;
}

int thread_stop_begin(pid_t tid) {
    if (ptrace(PTRACE_SEIZE, tid, NULL, NULL) != 0)
        return -1;
    if (ptrace(PTRACE_INTERRUPT, tid, NULL, NULL) == 0)
        return 0;
    const int error = errno;
    ptrace(PTRACE_DETACH, tid, NULL, NULL);
    errno = error;
    return -1;
}

int thread_stop_end(pid_t tid) {
    const int number = await_stop(tid);
    if (number < 0) {
        const int error = errno;
        ptrace(PTRACE_DETACH, tid, NULL, NULL);
        errno = error;
    }
    return number;
}

int thread_stop(pid_t tid) {
    return thread_stop_begin(tid) == 0 ? thread_stop_end(tid) : -1;
}

void thread_go_on(pid_t tid, int signal) {
    ptrace(PTRACE_DETACH, tid, NULL, (void *)(intptr_t)signal);
}
