/* i386 on kernels before 4.3, whose socket calls have one number together: the raw calls that are made before libc's
 * have been bound. A filter stands for that kernel. Linked with shim/raw.o. Exit status 1: one was wrong. */
#include <errno.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "shim/raw.h"

static int failed;

static void check(const char *what, int good) {
    printf("%-28s %s\n", what, good ? "ok" : "WRONG");
    failed |= !good;
}

static void deny(void) {
    struct sock_filter filter[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JGE | BPF_K, SYS_socket, 0, 2),
        BPF_JUMP(BPF_JMP | BPF_JGT | BPF_K, SYS_shutdown, 1, 0),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | ENOSYS),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    struct sock_fprog program = {.len = sizeof filter / sizeof filter[0], .filter = filter};
    prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
    if (prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) != 0) {
        perror("no filter");
        _exit(2);
    }
}

int main(void) {
    int ends[2], on = 1, type = 0;
    socklen_t len = sizeof type;
    char buffer[8] = "";
    struct sockaddr_un name = {.sun_family = AF_UNIX};
    deny();
    check("socketpair", ND_RAW6(socketpair, AF_UNIX, SOCK_STREAM, 0, ends, 0, 0) == 0);
    check("sendto", ND_RAW6(sendto, ends[0], "abc", 3, 0, 0, 0) == 3);
    check("recvfrom", ND_RAW6(recvfrom, ends[1], buffer, 8, 0, 0, 0) == 3 && memcmp(buffer, "abc", 3) == 0);
    check("setsockopt", ND_RAW6(setsockopt, ends[0], SOL_SOCKET, SO_PASSCRED, &on, sizeof on, 0) == 0);
    check("getsockopt", ND_RAW6(getsockopt, ends[0], SOL_SOCKET, SO_TYPE, &type, &len, 0) == 0 && type == SOCK_STREAM);
    int listener = (int)ND_RAW3(socket, AF_UNIX, SOCK_STREAM, 0), fd = (int)ND_RAW3(socket, AF_UNIX, SOCK_STREAM, 0);
    check("socket", listener >= 0 && fd > listener);
    socklen_t name_len = sizeof name;
    check("bind", ND_RAW3(bind, listener, &name, sizeof(sa_family_t)) == 0); /* a name of the kernel's choice */
    check("getsockname", ND_RAW3(getsockname, listener, &name, &name_len) == 0 && name_len > sizeof(sa_family_t));
    check("listen", ND_RAW3(listen, listener, 1, 0) == 0);
    check("connect", ND_RAW3(connect, fd, &name, name_len) == 0);
    check("accept4", ND_RAW6(accept4, listener, 0, 0, SOCK_CLOEXEC, 0, 0) > fd);
    check("shutdown", ND_RAW3(shutdown, fd, SHUT_RDWR, 0) == 0);
    check("another call that is missing", nd_raw_syscall(9999, 0, 0, 0, 0, 0, 0) == -1 && errno == ENOSYS);
    check("an error", ND_RAW3(listen, -1, 1, 0) == -1 && errno == EBADF);
    return failed;
}
