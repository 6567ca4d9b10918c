/* What a program sees of calls that no deadline concerns: the same lines with and without the library. same PORT, where
 * a server echoes. Each line is a call, what it gave, and errno. */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/errqueue.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <pthread.h>
#include <pty.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

static char buffer[100000];
static volatile sig_atomic_t pipes;
static struct sockaddr_in echo;

#define TELL(call)                                                                                                     \
    do {                                                                                                               \
        errno = 77;                                                                                                    \
        long result_ = (long)(call);                                                                                   \
        printf("%s = %ld, errno %d\n", #call, result_, errno);                                                         \
        fflush(stdout);                                                                                                \
    } while (0)

static int connected(void) {
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    if (connect(fd, (struct sockaddr *)&echo, sizeof echo))
        perror("connect"), exit(1);
    return fd;
}

/* Until `count` bytes lie there. */
static void await(int fd, int count) {
    for (int there = 0, tries = 0; there < count && tries < 500; tries++, usleep(10000))
        ioctl(fd, FIONREAD, &there);
}

static struct msghdr *message(size_t first, size_t second, void *control, size_t room) {
    static struct iovec parts[2];
    static struct msghdr header;
    parts[0] = (struct iovec){buffer, first};
    parts[1] = (struct iovec){buffer + 50000, second};
    header = (struct msghdr){.msg_iov = parts, .msg_iovlen = 2, .msg_control = control, .msg_controllen = room};
    return &header;
}

static void flags_of_receiving(void) {
    int fd = connected();
    TELL(send(fd, "hello world", 11, 0));
    await(fd, 11);
    TELL(recv(fd, buffer, 0, 0));
    TELL(recv(fd, buffer, 5, MSG_PEEK));
    TELL(recv(fd, buffer, 11, MSG_PEEK | MSG_WAITALL));
    TELL(recv(fd, NULL, 6, MSG_TRUNC)); /* thrown away */
    TELL(recv(fd, buffer, 5, MSG_WAITALL));
    printf("%.5s\n", buffer);
    TELL(recv(fd, buffer, 5, MSG_DONTWAIT));
    TELL(recv(fd, buffer, 5, MSG_OOB));
    TELL(read(fd, buffer, 0));
    TELL(write(fd, buffer, 0));
    TELL(send(fd, buffer, 0, 0));
    TELL(writev(fd, message(0, 0, NULL, 0)->msg_iov, 2));
    TELL(readv(fd, message(0, 0, NULL, 0)->msg_iov, 2));
    TELL(sendmsg(fd, message(3, 4, NULL, 0), 0));
    await(fd, 7);
    TELL(recvmsg(fd, message(2, 100, buffer, 0), 0));
    TELL(message(0, 0, NULL, 0)->msg_flags);
    TELL(send(fd, "!", 1, MSG_OOB));
    TELL(send(fd, buffer, 1, 0x7000000));
    TELL(recv(fd, buffer, 1, MSG_ERRQUEUE));
    TELL(shutdown(fd, SHUT_WR));
    TELL(send(fd, "x", 1, MSG_NOSIGNAL));
    TELL(close(fd));
    TELL(recv(fd, buffer, 1, 0));
    TELL(close(fd));
}

static void on_pipe(int number) {
    (void)number;
    pipes++;
}

/* A broken connection and a broken pipe raise what they always raised, once for each call. */
static void signals_of_sending(void) {
    int fd = connected(), ends[2];
    struct linger reset = {1, 0};
    signal(SIGPIPE, on_pipe);
    TELL(shutdown(fd, SHUT_WR));
    TELL(send(fd, "x", 1, 0));
    TELL(write(fd, "x", 1));
    TELL(sendmsg(fd, message(1, 1, NULL, 0), 0));
    TELL(writev(fd, message(1, 1, NULL, 0)->msg_iov, 2));
    TELL(send(fd, "x", 1, MSG_NOSIGNAL));
    printf("pipe signals %d\n", (int)pipes);
    setsockopt(fd, SOL_SOCKET, SO_LINGER, &reset, sizeof reset);
    TELL(close(fd));
    TELL(pipe(ends) + close(ends[0]));
    TELL(write(ends[1], "x", 1));
    close(ends[1]);
    TELL(socketpair(AF_UNIX, SOCK_STREAM, 0, ends) + close(ends[0]));
    TELL(write(ends[1], "x", 1));
    TELL(read(ends[1], buffer, 1));
    close(ends[1]);
    printf("pipe signals %d\n", (int)pipes);
}

/* Descriptors in a message, of a pair and of datagrams with more than there is room for. */
static void ancillary(void) {
    int pair[2], fd = dup(1), got = -1;
    union {
        char bytes[CMSG_SPACE(sizeof(int))];
        struct cmsghdr align;
    } control;
    socketpair(AF_UNIX, SOCK_DGRAM, 0, pair);
    struct msghdr *header = message(3, 3, control.bytes, sizeof control.bytes);
    *CMSG_FIRSTHDR(header) =
        (struct cmsghdr){.cmsg_len = CMSG_LEN(sizeof fd), .cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS};
    memcpy(CMSG_DATA(CMSG_FIRSTHDR(header)), &fd, sizeof fd);
    TELL(sendmsg(pair[0], header, 0));
    memset(&control, 0, sizeof control);
    header = message(2, 2, control.bytes, sizeof control.bytes);
    TELL(recvmsg(pair[1], header, 0));
    printf("truncated %d, control %zu\n", !!(header->msg_flags & MSG_TRUNC), (size_t)header->msg_controllen);
    memcpy(&got, CMSG_DATA(CMSG_FIRSTHDR(header)), sizeof got);
    TELL(fcntl(got, F_GETFD));
    close(got), close(fd), close(pair[0]), close(pair[1]);
}

static void errors_of_datagrams(void) {
    int fd = socket(AF_INET, SOCK_DGRAM, 0), on = 1;
    char control[200];
    struct sockaddr_in nobody = {
        .sin_family = AF_INET, .sin_port = htons(9), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    setsockopt(fd, IPPROTO_IP, IP_RECVERR, &on, sizeof on);
    TELL(connect(fd, (struct sockaddr *)&nobody, sizeof nobody));
    TELL(send(fd, "x", 1, 0));
    usleep(50000);
    TELL(recv(fd, buffer, 10, 0));
    TELL(recvmsg(fd, message(10, 10, control, sizeof control), MSG_ERRQUEUE) >= 0);
    TELL(recvmsg(fd, message(10, 10, control, sizeof control), MSG_ERRQUEUE));
    close(fd);
}

/* No network: files, terminals, eventfds. */
static void others(void) {
    int master, slave, event = eventfd(3, EFD_NONBLOCK);
    uint64_t count = 0;
    char name[] = "/tmp/sameXXXXXX";
    int file = mkstemp(name);
    unlink(name);
    TELL(write(file, "hello", 5));
    TELL(lseek(file, 0, SEEK_SET));
    TELL(read(file, buffer, 100));
    TELL(read(file, buffer, 100));
    TELL(read(event, &count, 8));
    TELL(read(event, &count, 8));
    TELL(read(event, &count, 4));
    TELL(recv(file, buffer, 1, 0));
    TELL(openpty(&master, &slave, NULL, NULL, NULL));
    TELL(write(master, "line\n", 5));
    TELL(read(slave, buffer, 100));
    close(file), close(event), close(master), close(slave);
}

static void children(char *self, char *port) {
    char *arguments[] = {self, port, "child", NULL};
    extern char **environ;
    pid_t child;
    int status = -1, fd = connected();
    TELL(posix_spawn(&child, self, NULL, NULL, arguments, environ));
    TELL(waitpid(child, &status, 0) == child && status == 0);
    child = vfork();
    if (child == 0) {
        close(fd);
        execv(self, arguments);
        _exit(1);
    }
    TELL(waitpid(child, &status, 0) == child && status == 0);
    child = fork();
    if (child == 0)
        _exit(write(fd, "child", 5) != 5);
    TELL(waitpid(child, &status, 0) == child && status == 0);
    TELL(recv(fd, buffer, 5, MSG_WAITALL));
    close(fd);
}

int main(int argc, char **argv) {
    if (argc < 2)
        return 2;
    echo = (struct sockaddr_in){.sin_family = AF_INET, .sin_port = htons((uint16_t)atoi(argv[1]))};
    echo.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (argc > 2) {
        int fd = connected();
        return write(fd, "x", 1) != 1 || read(fd, buffer, 1) != 1;
    }
    flags_of_receiving();
    signals_of_sending();
    ancillary();
    errors_of_datagrams();
    others();
    children(argv[0], argv[1]);
    return 0;
}
