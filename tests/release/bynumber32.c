/* i386: the calls that only it has by number - all socket calls behind one (socketcall), select with its arguments in
 * memory, and those with 64-bit times - are bounded as libc's functions are, and otherwise as the kernel has them.
 * RECV, SEND, CONNECT and ACCEPT of 500ms. Exit status 1: one was wrong. */
#include <arpa/inet.h>
#include <errno.h>
#include <linux/net.h>
#include <poll.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/select.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#define SOCKETCALL(call, ...) syscall(SYS_socketcall, call, ((long[]){__VA_ARGS__}))
#define P(pointer) (long)(pointer)

struct time64 {
    int64_t sec, nsec;
};

static int failed, listener;
static struct sockaddr_in at;

static double now(void) {
    struct timespec ts;
    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

static void check(const char *what, int good) {
    printf("%-32s %s\n", what, good ? "ok" : "WRONG");
    failed |= !good;
}

static int in_time(double began) {
    return now() - began > 0.45 && now() - began < 6;
}

static void expired(const char *what, double began, long result) {
    check(what, result == -1 && errno == ETIMEDOUT && in_time(began));
}

static int serve(int backlog, struct sockaddr_in *name) {
    socklen_t len = sizeof *name;
    int fd = (int)SOCKETCALL(SYS_SOCKET, AF_INET, SOCK_STREAM, 0);
    *name = (struct sockaddr_in){.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    if (SOCKETCALL(SYS_BIND, fd, P(name), len) != 0 || SOCKETCALL(SYS_LISTEN, fd, backlog) != 0 ||
        SOCKETCALL(SYS_GETSOCKNAME, fd, P(name), P(&len)) != 0) {
        perror("cannot serve");
        _exit(2);
    }
    return fd;
}

/* A connection whose other side says nothing. */
static int silent(void) {
    int fd = (int)SOCKETCALL(SYS_SOCKET, AF_INET, SOCK_STREAM, 0);
    if (SOCKETCALL(SYS_CONNECT, fd, P(&at), sizeof at) != 0) {
        perror("cannot connect");
        _exit(2);
    }
    return fd;
}

static void receive(const char *what, long call, long a, long b, long c, long d, long e) {
    int fd = silent();
    double began = now();
    expired(what, began, SOCKETCALL(call, fd, a, b, c, d, e));
    close(fd);
}

static void transmit(const char *what, long call, long a, long b, long c, long d, long e) {
    int fd = silent();
    long sent;
    double began = now();
    do
        sent = SOCKETCALL(call, fd, a, b, c, d, e);
    while (sent > 0);
    expired(what, began, sent);
    close(fd);
}

static void transfers(void) {
    static char bytes[1 << 16];
    struct iovec iov = {bytes, sizeof bytes};
    struct mmsghdr messages = {.msg_hdr = {.msg_iov = &iov, .msg_iovlen = 1}};
    receive("recv", SYS_RECV, P(bytes), sizeof bytes, 0, 0, 0);
    receive("recvfrom", SYS_RECVFROM, P(bytes), sizeof bytes, 0, 0, 0);
    receive("recvmsg", SYS_RECVMSG, P(&messages), 0, 0, 0, 0);
    receive("recvmmsg", SYS_RECVMMSG, P(&messages), 1, 0, 0, 0);
    transmit("send", SYS_SEND, P(bytes), sizeof bytes, 0, 0, 0);
    transmit("sendto", SYS_SENDTO, P(bytes), sizeof bytes, 0, 0, 0);
    transmit("sendmsg", SYS_SENDMSG, P(&messages), 0, 0, 0, 0);
    transmit("sendmmsg", SYS_SENDMMSG, P(&messages), 1, 0, 0, 0);
}

static void connections(void) {
    struct sockaddr_in full;
    int full_listener = serve(0, &full), first = (int)SOCKETCALL(SYS_SOCKET, AF_INET, SOCK_STREAM, 0);
    SOCKETCALL(SYS_CONNECT, first, P(&full), sizeof full);
    usleep(100000);
    int fd = (int)SOCKETCALL(SYS_SOCKET, AF_INET, SOCK_STREAM, 0);
    double began = now();
    expired("connect", began, SOCKETCALL(SYS_CONNECT, fd, P(&full), sizeof full));
    close(fd);
    int accepted = (int)SOCKETCALL(SYS_ACCEPT4, full_listener, 0, 0, SOCK_CLOEXEC);
    check("accept4", accepted > first);
    began = now();
    expired("accept", began, SOCKETCALL(SYS_ACCEPT, full_listener, 0, 0));
    close(full_listener);
    close(accepted);
    close(first);
}

/* The call gave one ready socket after the limit, which has an error now. */
static void ended(const char *what, int fd, double began, long ready) {
    char byte;
    int timely = in_time(began);
    long got = SOCKETCALL(SYS_RECV, fd, P(&byte), 1, 0);
    check(what, ready == 1 && timely && got == -1 && errno == ETIMEDOUT);
    close(fd);
}

static void waits(void) {
    struct time64 day = {86400, 0}, shortly = {0, 20000000}, refused = {0, 1000000000};
    fd_set set;
    char byte;
    struct iovec iov = {&byte, 1};
    struct mmsghdr messages = {.msg_hdr = {.msg_iov = &iov, .msg_iovlen = 1}};
    int fd = silent();
    struct pollfd pollfd = {.fd = fd, .events = POLLIN};
    double began = now();
    ended("ppoll_time64", fd, began, syscall(SYS_ppoll_time64, &pollfd, 1, &day, NULL, 8));
    check("it tells what is left", day.sec == 86399 || (day.sec < 86399 && day.sec > 86390));

    fd = silent();
    FD_ZERO(&set);
    FD_SET(fd, &set);
    began = now();
    ended("pselect6_time64", fd, began, syscall(SYS_pselect6_time64, fd + 1, &set, NULL, NULL, NULL, NULL));

    fd = silent();
    FD_ZERO(&set);
    FD_SET(fd, &set);
    began = now();
    ended("select", fd, began, syscall(SYS_select, ((long[]){fd + 1, P(&set), 0, 0, 0})));

    fd = silent();
    began = now();
    expired("recvmmsg_time64", began, syscall(SYS_recvmmsg_time64, fd, &messages, 1, 0, NULL));
    close(fd);

    pollfd.fd = -1;
    check("ppoll_time64's end",
          syscall(SYS_ppoll_time64, &pollfd, 1, &shortly, NULL, 8) == 0 && shortly.sec == 0 && shortly.nsec == 0);
    check("a bad timeout", syscall(SYS_ppoll_time64, &pollfd, 1, &refused, NULL, 8) == -1 && errno == EINVAL);
    check("a wild timeout", syscall(SYS_ppoll_time64, &pollfd, 1, 8, NULL, 8) == -1 && errno == EFAULT);
    check("a wild mask", syscall(SYS_pselect6_time64, 0, NULL, NULL, NULL, &shortly, 8) == -1 && errno == EFAULT);
    check("a mask of another size", syscall(SYS_ppoll_time64, &pollfd, 1, &shortly, &set, 7) == -1 && errno == EINVAL);
}

static void unchanged(void) {
    int ends[2], type = 0;
    socklen_t len = sizeof type;
    char text[4] = "";
    check("socketpair", SOCKETCALL(SYS_SOCKETPAIR, AF_UNIX, SOCK_STREAM, 0, P(ends)) == 0);
    check("send, recv", SOCKETCALL(SYS_SEND, ends[0], P("abc"), 3, 0) == 3 &&
                            SOCKETCALL(SYS_RECV, ends[1], P(text), 4, 0) == 3 && memcmp(text, "abc", 3) == 0);
    check("getsockopt",
          SOCKETCALL(SYS_GETSOCKOPT, ends[0], SOL_SOCKET, SO_TYPE, P(&type), P(&len)) == 0 && type == SOCK_STREAM);
    check("shutdown",
          SOCKETCALL(SYS_SHUTDOWN, ends[0], SHUT_WR) == 0 && SOCKETCALL(SYS_RECV, ends[1], P(text), 4, 0) == 0);
    check("no such call", syscall(SYS_socketcall, 0, 0) == -1 && errno == EINVAL);
    check("no such call either", syscall(SYS_socketcall, 21, text) == -1 && errno == EINVAL);
    check("wild arguments", syscall(SYS_socketcall, SYS_SOCKET, 8) == -1 && errno == EFAULT);
    check("an error", SOCKETCALL(SYS_LISTEN, -1, 1) == -1 && errno == EBADF);
}

int main(void) {
    setvbuf(stdout, NULL, _IOLBF, 0);
    listener = serve(64, &at);
    unchanged();
    transfers();
    connections();
    waits();
    return failed;
}
