/* Runs a program in a kernel that is older than this one: deny WHAT... -- PROGRAM ARGUMENT... Each WHAT is the name of
 * a system call, which then fails with ENOSYS, or of a socket option, which cannot be set or read any more
 * (ENOPROTOOPT). */
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "filter.h"

#define CALL(name)                                                                                                     \
    { #name, SYS_##name, -1, -1 }
#define OPTION(level, name)                                                                                            \
    { #name, 0, level, name }

static const struct {
    const char *name;
    int call, level, option;
} known[] = {
    CALL(accept4),
    CALL(recvmmsg),
    CALL(sendmmsg),
    CALL(getrandom),
    CALL(dup3),
    CALL(close_range),
    CALL(splice),
    CALL(process_vm_readv),
    CALL(prlimit64),
    CALL(membarrier),
    CALL(statx),
    CALL(rseq),
    CALL(clone3),
#ifdef SYS_epoll_pwait2
    CALL(epoll_pwait2),
#endif
#ifdef SYS_pidfd_getfd
    CALL(pidfd_getfd),
    CALL(pidfd_open),
#endif
    OPTION(IPPROTO_TCP, TCP_USER_TIMEOUT),
    OPTION(IPPROTO_TCP, TCP_SYNCNT),
    OPTION(IPPROTO_TCP, TCP_INFO),
    OPTION(SOL_SOCKET, SO_DOMAIN),
    OPTION(SOL_SOCKET, SO_PROTOCOL),
    OPTION(IPPROTO_TCP, TCP_KEEPIDLE),
};

static void deny_option(int call, int level, int option) {
    load(offsetof(struct seccomp_data, nr));
    unless_equal_skip((unsigned)call, 5);
    load(offsetof(struct seccomp_data, args[1]));
    unless_equal_skip((unsigned)level, 3);
    load(offsetof(struct seccomp_data, args[2]));
    unless_equal_skip((unsigned)option, 1);
    fail_with(ENOPROTOOPT);
}

static int deny(const char *name) {
    for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
        if (strcmp(known[i].name, name))
            continue;
        if (known[i].level < 0) {
            deny_call(known[i].call, ENOSYS);
        } else {
            deny_option(SYS_setsockopt, known[i].level, known[i].option);
            deny_option(SYS_getsockopt, known[i].level, known[i].option);
        }
        return 0;
    }
    fprintf(stderr, "deny: %s is not known\n", name);
    return -1;
}

int main(int argc, char **argv) {
    int i = 1;
    for (; i < argc && strcmp(argv[i], "--"); i++)
        if (deny(argv[i]))
            return 2;
    const struct sock_fprog program = finish_filter();
    if (i + 1 >= argc || prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) || prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program))
        return 2;
    execvp(argv[i + 1], argv + i + 1);
    perror(argv[i + 1]);
    return 127;
}
