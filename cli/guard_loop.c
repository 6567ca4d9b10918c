#include "cli/guard_loop.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cli/cli.h"
#include "cli/guard_report.h"
#include "cli/process/ending.h"

enum { MOST_POLLED = 256 };

static volatile sig_atomic_t is_stopped, is_reload_asked;

static void stop(int number) {
    (void)number;
    is_stopped = 1;
}

static void reload(int number) {
    (void)number;
    is_reload_asked = 1;
}

/* The named processes that run, so that their end is seen at once. */
static nfds_t list_named(const struct guard_targets *targets, struct pollfd *polled) {
    nfds_t count = 0;
    for (size_t i = 0; i < targets->count && count < MOST_POLLED; i++)
        if (targets->entries[i]->is_named && !process_has_ended(targets->entries[i]->pidfd))
            polled[count++] = (struct pollfd){.fd = targets->entries[i]->pidfd, .events = POLLIN};
    return count;
}

static void wait_until(const struct guard *guard, nd_time next, const sigset_t *unblocked) {
    struct pollfd polled[MOST_POLLED];
    nfds_t count = list_named(&guard->targets, polled);
    nd_time left = next - nd_now();
    if (left < 0)
        left = 0;
    const struct timespec timeout = {(time_t)(left / ND_SEC), (long)(left % ND_SEC)};
    ppoll(polled, count, &timeout, unblocked);
}

/* There is a descriptor of each process. */
static void allow_descriptors(void) {
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
        limit.rlim_cur = limit.rlim_max;
        setrlimit(RLIMIT_NOFILE, &limit);
    }
}

static void warn_refused(struct guard *guard) {
    if (guard->targets.refused == 0 || guard->has_warned_refused || guard->is_quiet)
        return;
    guard->has_warned_refused = true;
    cli_warn("some processes are not guarded: %s", strerror(guard->targets.error));
}

void guard_loop(struct guard *guard) {
    const struct sigaction ending = {.sa_handler = stop}, reloading = {.sa_handler = reload};
    sigset_t blocked, before;
    sigemptyset(&blocked);
    sigaddset(&blocked, SIGTERM);
    sigaddset(&blocked, SIGINT);
    sigaddset(&blocked, SIGHUP);
    sigprocmask(SIG_BLOCK, &blocked, &before); /* they are let in while it waits */
    sigaction(SIGTERM, &ending, NULL);
    sigaction(SIGINT, &ending, NULL);
    sigaction(SIGHUP, &reloading, NULL);
    signal(SIGPIPE, SIG_IGN);
    allow_descriptors();
    guard_start();
    while (!is_stopped && !guard_targets_are_over(&guard->targets)) {
        if (is_reload_asked) {
            is_reload_asked = 0;
            guard_reload(guard);
        }
        const nd_time next = guard_round(guard);
        warn_refused(guard);
        wait_until(guard, next, &before);
    }
}

/* Keeps standard error, and what `through` is; the others become /dev/null, or are closed. */
static void drop_descriptors(int through) {
    int null = open("/dev/null", O_RDWR | O_CLOEXEC);
    DIR *directory = opendir("/proc/self/fd");
    int fds[1024], count = 0;
    for (const struct dirent *entry; directory && (entry = readdir(directory)) && count < 1024;) {
        int fd = atoi(entry->d_name);
        if (entry->d_name[0] != '.' && fd > 2 && fd != through && fd != null && fd != dirfd(directory))
            fds[count++] = fd;
    }
    if (directory)
        closedir(directory);
    for (int i = 0; i < count; i++)
        close(fds[i]);
    dup2(null, 0);
    dup2(null, 1);
    const char *log = getenv("NETDEADLINE_LOG");
    if (!log || strcmp(log, "stderr") != 0)
        dup2(null, 2);
}

/* Guards the process `pid`, which waits until the number of this one comes through the pipe. */
static void guard_from_here(pid_t pid, int through, bool beside_library) {
    static struct guard guard;
    const struct guard_choice choice = {.pids = &pid, .pid_count = 1, .beside_library = beside_library};
    const int signals[] = {SIGHUP, SIGINT, SIGQUIT, SIGTSTP};
    const pid_t self = getpid();
    setsid();
    for (size_t i = 0; i < sizeof signals / sizeof signals[0]; i++)
        signal(signals[i], SIG_DFL);
    guard_report_start();
    drop_descriptors(through);
    guard.is_quiet = true;
    bool works = guard_targets_start(&guard.targets, &choice) == CLI_OK && chdir("/") == 0 &&
                 write(through, &self, sizeof self) == (ssize_t)sizeof self;
    close(through);
    if (works)
        guard_loop(&guard);
    _exit(0);
}

/* Where Yama lets only its parents look into a process, that one may name another, also for what it executes. */
static void let_look(pid_t pid) {
#ifdef PR_SET_PTRACER
    prctl(PR_SET_PTRACER, (unsigned long)pid, 0, 0, 0);
#else
    (void)pid;
#endif
}

/* The child between the two ends at once, so that the program never has a child that it did not make. */
int guard_this_process(bool beside_library) {
    int ends[2];
    pid_t self = getpid(), guardian = 0;
    if (pipe2(ends, O_CLOEXEC) != 0)
        return -1;
    pid_t child = fork();
    if (child == 0) {
        if (fork() == 0)
            guard_from_here(self, ends[1], beside_library);
        _exit(0);
    }
    close(ends[1]);
    ssize_t got = child > 0 ? read(ends[0], &guardian, sizeof guardian) : -1;
    close(ends[0]);
    while (child > 0 && waitpid(child, NULL, 0) < 0 && errno == EINTR)
        continue;
    if (got != (ssize_t)sizeof guardian)
        return -1;
    let_look(guardian);
    return 0;
}
