/* Runs a program in a kernel that is older than this one: deny WHAT... -- PROGRAM ARGUMENT... Each WHAT is the name of
 * a system call, which then fails with ENOSYS, or of a socket option, which cannot be set or read any more
 * (ENOPROTOOPT). */
#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

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
    OPTION(IPPROTO_TCP, TCP_USER_TIMEOUT),
    OPTION(IPPROTO_TCP, TCP_SYNCNT),
    OPTION(IPPROTO_TCP, TCP_INFO),
    OPTION(SOL_SOCKET, SO_DOMAIN),
    OPTION(SOL_SOCKET, SO_PROTOCOL),
    OPTION(IPPROTO_TCP, TCP_KEEPIDLE),
};

static struct sock_filter filter[256];
static unsigned short length;

static void add(struct sock_filter instruction) {
    filter[length++] = instruction;
}

static void load(size_t offset) {
    add((struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS, (unsigned)offset));
}

/* The next instruction only if the word is `value`, else `skip` more are left out. */
static void unless_equal_skip(unsigned value, unsigned char skip) {
    add((struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, value, 0, skip));
}

static void fail_with(int error) {
    add((struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | (unsigned)error));
}

static void deny_call(int call) {
    load(offsetof(struct seccomp_data, nr));
    unless_equal_skip((unsigned)call, 1);
    fail_with(ENOSYS);
}

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
            deny_call(known[i].call);
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
    add((struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW));
    struct sock_fprog program = {length, filter};
    if (i + 1 >= argc || prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) || prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program))
        return 2;
    execvp(argv[i + 1], argv + i + 1);
    perror(argv[i + 1]);
    return 127;
}
