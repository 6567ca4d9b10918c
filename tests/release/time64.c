/* A program with 64-bit times on i386 (-D_TIME_BITS=64), whose waiting calls have names of their own in libc: each must
 * fail in time on a silent connection, and what no deadline concerns must be as libc has it. RECV=500ms. Exit status 1:
 * one was wrong. */
#include <arpa/inet.h>
#include <errno.h>
#include <limits.h>
#include <netdb.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/select.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

_Static_assert(sizeof(time_t) == 8, "times have 64 bits");

static int failed, listener;
static struct sockaddr_in at;

static double now(void) {
    struct timespec ts;
    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

static void check(const char *what, int good) {
    printf("%-28s %s\n", what, good ? "ok" : "WRONG");
    failed |= !good;
}

/* A connection whose other side says nothing. */
static int silent(void) {
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    if (connect(fd, (struct sockaddr *)&at, sizeof at) != 0) {
        perror("cannot connect");
        _exit(2);
    }
    return fd;
}

/* The call gave one ready socket after the limit, which has an error now. */
static void ended(const char *what, int fd, double began, int ready) {
    char byte;
    double took = now() - began;
    ssize_t got = recv(fd, &byte, 1, 0);
    check(what, ready == 1 && took > 0.45 && took < 6 && got == -1 && errno == ETIMEDOUT);
    close(fd);
}

static void waits(void) {
    struct timespec endless = {LLONG_MAX, 0}, day = {86400, 0};
    struct timeval day_too = {86400, 0};
    struct epoll_event event = {.events = EPOLLIN};
    fd_set set;
    int fd = silent();
    struct pollfd pollfd = {.fd = fd, .events = POLLIN};
    double began = now();
    ended("ppoll", fd, began, ppoll(&pollfd, 1, &day, NULL));

    pollfd.fd = fd = silent();
    began = now();
    ended("ppoll, endless", fd, began, ppoll(&pollfd, 1, &endless, NULL));

    fd = silent();
    FD_ZERO(&set);
    FD_SET(fd, &set);
    began = now();
    int ready = select(fd + 1, &set, NULL, NULL, &day_too);
    check("select tells what is left", day_too.tv_sec == 86399 || day_too.tv_sec < 86395);
    ended("select", fd, began, ready);

    fd = silent();
    FD_ZERO(&set);
    FD_SET(fd, &set);
    began = now();
    ended("pselect", fd, began, pselect(fd + 1, &set, NULL, NULL, &day, NULL));

    fd = silent();
    int epfd = epoll_create1(0);
    epoll_ctl(epfd, EPOLL_CTL_ADD, fd, &event);
    began = now();
    ended("epoll_pwait2", fd, began, epoll_pwait2(epfd, &event, 1, &day, NULL));
    fd = silent();
    event.events = EPOLLIN; /* it was told of more */
    epoll_ctl(epfd, EPOLL_CTL_ADD, fd, &event);
    began = now();
    ended("epoll_pwait2 by its number", fd, began, (int)syscall(SYS_epoll_pwait2, epfd, &event, 1, &day, NULL, 8));
    close(epfd);
}

static void receives(void) {
    char byte;
    struct iovec iov = {&byte, 1};
    struct mmsghdr messages = {.msg_hdr = {.msg_iov = &iov, .msg_iovlen = 1}};
    struct timespec day = {86400, 0};
    int fd = silent();
    double began = now();
    check("recvmsg", recvmsg(fd, &messages.msg_hdr, 0) == -1 && errno == ETIMEDOUT && now() - began < 6);
    close(fd);
    fd = silent();
    began = now();
    check("recvmmsg", recvmmsg(fd, &messages, 1, 0, &day) == -1 && errno == ETIMEDOUT && now() - began < 6);
    close(fd);
}

static void unchanged(void) {
    struct timeval own = {-1, -1}, set = {7, 250000};
    struct timespec bad = {0, 1000000000}, shortly = {0, 20000000};
    struct pollfd none = {.fd = -1};
    struct timeval left = {0, 20000};
    socklen_t len = sizeof own;
    int fd = silent();
    check("SO_RCVTIMEO reads back", getsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &own, &len) == 0 && len == sizeof own &&
                                        own.tv_sec == 0 && own.tv_usec == 0);
    check("SO_RCVTIMEO set", setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &set, sizeof set) == 0);
    check("SO_RCVTIMEO as set", getsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &own, &len) == 0 && own.tv_sec == 7 &&
                                    own.tv_usec >= 250000 && own.tv_usec < 270000);
    double began = now();
    char byte;
    check("RECV is the shorter", recv(fd, &byte, 1, 0) == -1 && errno == ETIMEDOUT && now() - began < 6);
    close(fd);
    fd = silent();
    set = (struct timeval){0, 100000};
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &set, sizeof set);
    began = now();
    check("its own is the shorter", recv(fd, &byte, 1, 0) == -1 && errno == EAGAIN && now() - began < 0.45);
    close(fd);
    check("a bad timeout", ppoll(&none, 1, &bad, NULL) == -1 && errno == EINVAL);
    check("ppoll's end", ppoll(&none, 1, &shortly, NULL) == 0 && shortly.tv_nsec == 20000000);
    check("select's end", select(0, NULL, NULL, NULL, &left) == 0 && left.tv_sec == 0 && left.tv_usec == 0);
}

/* What libc adds for programs with 64-bit times comes through. */
static void timestamps(void) {
    int on = 1, fd = socket(AF_INET, SOCK_DGRAM, 0);
    struct sockaddr_in self = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof self;
    bind(fd, (struct sockaddr *)&self, len);
    getsockname(fd, (struct sockaddr *)&self, &len);
    setsockopt(fd, SOL_SOCKET, SO_TIMESTAMP, &on, sizeof on);
    sendto(fd, "x", 1, 0, (struct sockaddr *)&self, len);
    char byte, control[256];
    struct iovec iov = {&byte, 1};
    struct msghdr msg = {.msg_iov = &iov, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof control};
    ssize_t got = recvmsg(fd, &msg, 0);
    struct cmsghdr *cmsg = CMSG_FIRSTHDR(&msg);
    struct timeval when = {0, 0};
    if (cmsg && cmsg->cmsg_type == SCM_TIMESTAMP && cmsg->cmsg_len >= CMSG_LEN(sizeof when))
        memcpy(&when, CMSG_DATA(cmsg), sizeof when);
    check("a timestamp", got == 1 && when.tv_sec > 1600000000 && when.tv_sec <= time(NULL));
    close(fd);
}

int main(void) {
    socklen_t len = sizeof at;
    setvbuf(stdout, NULL, _IOLBF, 0);
    at = (struct sockaddr_in){.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    listener = socket(AF_INET, SOCK_STREAM, 0);
    if (bind(listener, (struct sockaddr *)&at, len) != 0 || listen(listener, 32) != 0) {
        perror("cannot serve");
        return 2;
    }
    getsockname(listener, (struct sockaddr *)&at, &len);
    waits();
    receives();
    unchanged();
    timestamps();
    return failed;
}
