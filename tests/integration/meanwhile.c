/* One thread is in a call on a connection, or makes it afterwards, and another does something that closes the
 * descriptor elsewhere, or installs a seccomp filter. Usage: meanwhile WHEN EVENT CALL PORT [DESCRIPTOR]; prints what
 * the call gave. WHEN is during or before. */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/select.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#define MANY (12 << 20)
#define LONGEST 6000
#define PARTS 96 /* of what writev and sendmsg send */

static int fd, file, epoll;
static const char *call;
static char *buffer;
static char result[100];

static int is(const char *word, const char *other) {
    return !strcmp(word, other);
}

static long make_call(void) {
    struct iovec parts[PARTS], few = {buffer, 12};
    struct msghdr msg = {.msg_iov = parts, .msg_iovlen = PARTS}, in = {.msg_iov = &few, .msg_iovlen = 1};
    struct pollfd pollfd = {fd, POLLIN, 0};
    struct epoll_event event;
    struct timeval time = {LONGEST / 1000, 0};
    fd_set set;
    for (int i = 0; i < PARTS; i++)
        parts[i] = (struct iovec){buffer + (size_t)i * (MANY / PARTS), MANY / PARTS};
    if (is(call, "send"))
        return send(fd, buffer, MANY, 0);
    if (is(call, "write"))
        return write(fd, buffer, MANY);
    if (is(call, "writev"))
        return writev(fd, parts, PARTS);
    if (is(call, "sendmsg"))
        return sendmsg(fd, &msg, 0);
    if (is(call, "sendfile"))
        return sendfile(fd, file, NULL, MANY);
    if (is(call, "recv"))
        return recv(fd, buffer, 12, 0);
    if (is(call, "read"))
        return read(fd, buffer, 12);
    if (is(call, "recvmsg"))
        return recvmsg(fd, &in, 0);
    if (is(call, "waitall"))
        return recv(fd, buffer, 12, MSG_WAITALL);
    if (is(call, "poll"))
        return poll(&pollfd, 1, LONGEST);
    if (is(call, "epoll"))
        return epoll_wait(epoll, &event, 1, LONGEST);
    FD_ZERO(&set);
    FD_SET(fd, &set);
    return select(fd + 1, &set, NULL, NULL, &time);
}

static void *work(void *none) {
    const long got = make_call();
    snprintf(result, sizeof result, "%s %ld %s\n", call, got, got < 0 ? strerrorname_np(errno) : "");
    return none;
}

/* A worker's filter: no questions about sockets, files or other processes. What is not allowed kills. */
static void install_filter(int in_all_threads) {
    static const int denied[] = {SYS_getsockopt, SYS_setsockopt, SYS_fstat,   SYS_newfstatat, SYS_getpeername,
                                 SYS_fcntl,      SYS_socket,     SYS_connect, SYS_getpid,     SYS_process_vm_readv,
                                 SYS_shutdown,   SYS_ioctl};
    struct sock_filter filter[40] = {BPF_STMT(BPF_LD | BPF_W | BPF_ABS, 0)};
    unsigned short n = 1;
    for (size_t i = 0; in_all_threads && i < sizeof denied / sizeof *denied; i++) {
        filter[n++] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (unsigned)denied[i], 0, 1);
        filter[n++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS);
    }
    filter[n++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW);
    struct sock_fprog program = {n, filter};
    prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
    if (syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, in_all_threads ? SECCOMP_FILTER_FLAG_TSYNC : 0, &program))
        perror("seccomp");
}

static void close_all(void) {
    for (int i = 3; i < 64; i++)
        close(i);
    close(fd);
    close(epoll);
}

static void replace_all(void) {
    dup2(file, fd);
    dup3(file, epoll, O_CLOEXEC);
    fcntl(fd, F_DUPFD, fd);
    read(fd, buffer, 1);
}

static int close_in_child(void *none) {
    (void)none;
    close_all();
    _exit(0);
}

static void in_vforked_child(void (*act)(void)) {
    const pid_t child = vfork();
    if (child == 0) {
        act();
        execl("/bin/true", "true", NULL);
        _exit(1);
    }
    waitpid(child, NULL, 0);
}

static void install_harmless_filter(void) {
    install_filter(0);
}

static void clone_child(void) {
    static char stack[1 << 16] __attribute__((aligned(16)));
    const pid_t child = clone(close_in_child, stack + sizeof stack, CLONE_VM | CLONE_VFORK | SIGCHLD, NULL);
    waitpid(child, NULL, 0);
}

static void *leave_table(void *how) {
    const char *event = how;
    if (is(event, "unshare"))
        unshare(CLONE_FILES);
    else if (is(event, "sysunshare"))
        syscall(SYS_unshare, CLONE_FILES);
    else
        close_range(3, ~0U, CLOSE_RANGE_UNSHARE);
    close_all();
    const int sockets[] = {socket(AF_INET, SOCK_STREAM, 0), socket(AF_INET, SOCK_STREAM, 0)};
    close(sockets[0]);
    close(sockets[1]);
    return NULL;
}

static void make_happen(char *event) {
    pthread_t thread;
    if (is(event, "vfork")) {
        in_vforked_child(close_all);
    } else if (is(event, "vfork-dup")) {
        in_vforked_child(replace_all);
    } else if (is(event, "vfork-filter")) {
        in_vforked_child(install_harmless_filter);
    } else if (is(event, "clone")) {
        clone_child();
    } else if (is(event, "filter") || is(event, "filter-all")) {
        install_filter(is(event, "filter-all"));
    } else if (!is(event, "nothing")) {
        pthread_create(&thread, NULL, leave_table, event);
        pthread_join(thread, NULL);
    }
}

static int move_to(int from, int to) {
    const struct rlimit most = {(rlim_t)to + 1, (rlim_t)to + 1};
    if (setrlimit(RLIMIT_NOFILE, &most) || dup2(from, to) != to) {
        perror("the descriptor");
        exit(77);
    }
    close(from);
    return to;
}

int main(int argc, char **argv) {
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    if (argc < 5)
        return 2;
    call = argv[3];
    to.sin_port = htons((unsigned short)atoi(argv[4]));
    buffer = calloc(1, MANY);
    file = memfd_create("zeros", 0);
    fd = socket(AF_INET, SOCK_STREAM, 0);
    if (ftruncate(file, MANY) || connect(fd, (struct sockaddr *)&to, sizeof to))
        return perror("connect"), 1;
    if (argc > 5)
        fd = move_to(fd, atoi(argv[5]));
    struct epoll_event event = {.events = EPOLLIN};
    epoll = epoll_create1(0);
    epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event);
    send(fd, call, 4, 0);
    pthread_t thread;
    if (is(argv[1], "during")) {
        pthread_create(&thread, NULL, work, NULL);
        usleep(300000);
        make_happen(argv[2]);
        pthread_join(thread, NULL);
    } else {
        make_happen(argv[2]);
        work(NULL);
    }
    if (write(1, result, strlen(result)) < 0)
        return 1;
    _exit(0);
}
