/* Calls that fail from some point of a program on: "nofile" is RLIMIT_NOFILE of 0, and CALL=ERRNO a system call that a
 * filter denies of which no hook has heard. */
#pragma once

#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include "filter.h"

#define CALL(name, number)                                                                                             \
    { #name, SYS_##number }

static const struct {
    const char *name;
    int number;
} refusable[] = {
#ifdef SYS_poll
    CALL(poll, poll),
#endif
    CALL(pselect6, pselect6),
    CALL(ppoll, ppoll),
    CALL(ioctl, ioctl),
    CALL(fcntl, fcntl),
    CALL(getsockopt, getsockopt),
    CALL(fstat, newfstatat),
    CALL(shutdown, shutdown),
    CALL(setsockopt, setsockopt),
    CALL(getpeername, getpeername),
    CALL(futex, futex),
    CALL(sigaction, rt_sigaction),
    CALL(sigprocmask, rt_sigprocmask),
    CALL(nanosleep, clock_nanosleep),
    CALL(connect, connect),
};

static void refuse(char *what) {
    char *error = strchr(what, '=');
    if (!error)
        return;
    *error++ = 0;
    for (size_t i = 0; i < sizeof refusable / sizeof *refusable; i++)
        if (!strcmp(refusable[i].name, what))
            deny_call(refusable[i].number, atoi(error));
}

/* By libc's own syscall, which no hook sees. */
static void install(void) {
    const struct sock_fprog program = finish_filter();
    long (*unseen)(long, ...) = (long (*)(long, ...))dlsym(dlopen("libc.so.6", RTLD_NOW), "syscall");
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) || unseen(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &program))
        perror("filter"), exit(2);
}

static void refuse_all(int count, char **what) {
    const struct rlimit none = {0, 0};
    int filters = 0;
    for (int i = 0; i < count; i++) {
        filters += strchr(what[i], '=') != NULL;
        if (!strcmp(what[i], "nofile"))
            setrlimit(RLIMIT_NOFILE, &none);
        else
            refuse(what[i]);
    }
    if (filters)
        install();
}
