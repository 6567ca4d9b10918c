#include "cli/trial.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cli/child.h"
#include "cli/preload_list.h"

enum { SECONDS = 20, NOBODY = 65534, MOST_WORDS = 8 };

#define SHELL_WITH_LIBRARY                                                                                             \
    "while read -r line; do case $line in */libnetdeadline.so*) exit 0 ;; esac; done </proc/self/maps; exit 1"

/* What is tried where it is installed: what a host cannot be reached or repaired without, what checks itself most
 * strictly, and what runs other people's code. */
static const struct attempt {
    const char *what;
    bool as_nobody; /* so that executing it gains privileges */
    const char *words[MOST_WORDS];
} attempts[] = {
    {"the shell", false, {"/bin/sh", "-c", "echo $(/bin/echo a | /bin/cat)"}},
    {"bash", false, {"bash", "-c", "echo $(/bin/echo a | /bin/cat)"}},
    {"ls", false, {"ls", "/"}},
    {"su (set-uid)", true, {"su", "--version"}},
    {"mount (set-uid)", true, {"mount", "--version"}},
    {"passwd (set-uid)", true, {"passwd", "--help"}},
    {"sudo (set-uid)", true, {"sudo", "--version"}},
    {"getent", false, {"getent", "passwd", "root"}},
    {"getent hosts", false, {"getent", "hosts", "localhost"}},
    {"sshd", false, {"sshd", "-t"}},
    {"ssh", false, {"ssh", "-V"}},
    {"login", false, {"agetty", "--version"}},
    {"systemd", false, {"/lib/systemd/systemd", "--version"}},
    {"systemctl", false, {"systemctl", "--version"}},
    {"udevadm", false, {"udevadm", "--version"}},
    {"systemd-tmpfiles", false, {"systemd-tmpfiles", "--version"}},
    {"dpkg", false, {"dpkg", "--version"}},
    {"apt-get", false, {"apt-get", "--version"}},
    {"rpm", false, {"rpm", "--version"}},
    {"cron", false, {"crontab", "-V"}},
    {"python3",
     false,
     {"/usr/bin/python3", "-c", "import socket, ssl, threading; socket.getaddrinfo('127.0.0.1', 80)"}},
    {"perl", false, {"perl", "-MSocket", "-e", "print inet_ntoa(inet_aton('127.0.0.1'))"}},
    {"java", false, {"java", "-version"}},
    {"node", false, {"node", "--version"}},
    {"a 32-bit loader", false, {"/lib/ld-linux.so.2", "/lib/i386-linux-gnu/libc.so.6"}},
    {"a 32-bit loader", false, {"/lib/ld-linux.so.2", "/lib/libc.so.6"}},
};

enum { ATTEMPTS = sizeof attempts / sizeof attempts[0] };

static void attempt(const struct attempt *attempt, struct child_result *result) {
    char *argv[MOST_WORDS + 1] = {NULL};
    for (int i = 0; i < MOST_WORDS && attempt->words[i]; i++)
        argv[i] = (char *)(uintptr_t)attempt->words[i];
    child_run(argv, attempt->as_nobody ? NOBODY : 0, SECONDS, true, result);
}

static bool differs(const struct child_result *a, const struct child_result *b) {
    return a->status != b->status || a->size != b->size || memcmp(a->output, b->output, a->size) != 0;
}

/* Reports what became of a program. What fails without the line, or never says the same twice, tells nothing. */
static void compare(const struct attempt *tried, const struct child_result *without, const struct child_result *with,
                    struct findings *findings) {
    const char *said = with->output;
    const char *loader = strstr(said, "libnetdeadline");
    while (loader && loader > said && loader[-1] != '\n')
        loader--;
    said = loader ? loader : said;
    if (with->status == without->status && !loader)
        finding_note(findings, "%s says something else with the library: %.*s", tried->what, (int)strcspn(said, "\n"),
                     said);
    else if (with->status == CHILD_CUT)
        finding_bad(findings, "%s hangs with the library", tried->what);
    else
        finding_bad(findings, "%s ends with %d instead of %d with the library: %.*s", tried->what, with->status,
                    without->status, (int)strcspn(said, "\n"), said);
}

static void try_shell(struct findings *findings) {
    static struct child_result result;
    char *argv[] = {"/bin/sh", "-c", SHELL_WITH_LIBRARY, NULL};
    child_run(argv, 0, SECONDS, true, &result);
    if (result.status != 0)
        finding_bad(findings, "the shell does not have the library: %.*s", (int)strcspn(result.output, "\n"),
                    result.size ? result.output : "status other than 0");
}

void trial_shell(struct findings *findings) {
    try_shell(findings);
}

/* Writes the text to a file in a file system that only this process and its children see, and mounts it over the list. */
static bool mount_list(const char *text, size_t size) {
    static const char directory[] = "/tmp", file[] = "/tmp/ld.so.preload";
    if (mount("none", directory, "tmpfs", 0, "mode=755") != 0)
        return false;
    int fd = open(file, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
    bool is_written = fd >= 0 && write(fd, text, size) == (ssize_t)size && fchmod(fd, 0644) == 0;
    if (fd >= 0)
        close(fd);
    bool is_mounted = is_written && mount(file, PRELOAD_LIST, NULL, MS_BIND, NULL) == 0;
    umount2(directory, MNT_DETACH);
    return is_mounted;
}

/* Enters the namespace and tries everything there. Each program is run without the line first, so that what it lacks in
 * there is not held against the library. */
static int try_all(const char *text, size_t size) {
    static struct child_result without[ATTEMPTS], with;
    struct findings findings = {0};
    int tried = 0;
    if (unshare(CLONE_NEWNS) != 0 || mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) != 0) {
        finding_bad(&findings, "no private mount namespace can be made for a trial: %s; --no-trial does without",
                    strerror(errno));
        return 1;
    }
    for (int i = 0; i < ATTEMPTS; i++)
        attempt(&attempts[i], &without[i]);
    if (!mount_list(text, size)) {
        finding_bad(&findings, "cannot mount a file over " PRELOAD_LIST " for a trial: %s; --no-trial does without",
                    strerror(errno));
        return 1;
    }
    try_shell(&findings);
    for (int i = 0; i < ATTEMPTS; i++) {
        if (without[i].status < 0)
            continue;
        attempt(&attempts[i], &with);
        tried++;
        if (differs(&without[i], &with))
            compare(&attempts[i], &without[i], &with, &findings);
    }
    if (findings.bad == 0)
        finding_good(&findings, "%d programs of this host were tried with the line, in a mount namespace of their own",
                     tried);
    return findings.bad > 0;
}

void trial_run(const char *text, size_t size, struct findings *findings) {
    int status = 1;
    fflush(NULL);
    pid_t child = fork();
    if (child == 0) {
        status = try_all(text, size);
        fflush(stdout);
        _exit(status);
    }
    while (child > 0 && waitpid(child, &status, 0) < 0 && errno == EINTR)
        ;
    findings->bad += child < 0 || status != 0;
}
