/* The hot path: loop MODE COUNT does the same thing COUNT times and prints how many seconds it took. The other end is a
 * child. Modes: pingpong (send and recv), reads and sends (one of the two), readwrite, polled and epolled (a wait
 * before each receive), toggled (an event loop that asks for room when it has something to say, and then for the
 * answer, as redis-benchmark does), bulk (COUNT writes of 64 KiB), files (read and write on a file and a pipe), served
 * (a server's side: accepts COUNT connections, and puts each into an epoll set, answers a question, and closes it). */
#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { MESSAGE = 64, CHUNK = 65536 };

static char buffer[CHUNK];

static void fail(const char *what) {
    perror(what);
    _exit(1);
}

static double now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static int listener_at(struct sockaddr_in *address) {
    socklen_t len = sizeof *address;
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    *address = (struct sockaddr_in){.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    if (bind(fd, (struct sockaddr *)address, len) || listen(fd, 1) || getsockname(fd, (struct sockaddr *)address, &len))
        fail("listen");
    return fd;
}

static void serve(int listener, int echo) {
    int fd = accept(listener, NULL, NULL), on = 1;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    for (ssize_t got; (got = recv(fd, buffer, sizeof buffer, 0)) > 0;)
        if (echo && send(fd, buffer, (size_t)got, 0) != got)
            fail("echo");
    send(fd, "", 1, 0); /* everything has arrived */
    _exit(0);
}

static int connected(int echo) {
    struct sockaddr_in address;
    int listener = listener_at(&address), fd, on = 1;
    if (fork() == 0)
        serve(listener, echo);
    close(listener);
    fd = socket(AF_INET, SOCK_STREAM, 0);
    if (connect(fd, (struct sockaddr *)&address, sizeof address))
        fail("connect");
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    return fd;
}

static void ask_by_read_and_write(int fd) {
    if (write(fd, buffer, MESSAGE) != MESSAGE || read(fd, buffer, MESSAGE) != MESSAGE)
        fail("ask");
}

static void ask(int fd, int polled) {
    struct pollfd answer = {.fd = fd, .events = POLLIN};
    if (send(fd, buffer, MESSAGE, 0) != MESSAGE || (polled && poll(&answer, 1, -1) != 1) ||
        recv(fd, buffer, MESSAGE, MSG_WAITALL) != MESSAGE)
        fail("ask");
}

/* Waits in a set with a hundred idle ends of connections besides. */
static int set_with(int fd) {
    struct epoll_event event = {.events = EPOLLIN, .data.fd = fd};
    int set = epoll_create1(0), pair[2];
    if (set < 0 || epoll_ctl(set, EPOLL_CTL_ADD, fd, &event))
        fail("epoll");
    for (int i = 0; i < 100; i++)
        if (socketpair(AF_UNIX, SOCK_STREAM, 0, pair) || epoll_ctl(set, EPOLL_CTL_ADD, pair[0], &event))
            fail("epoll");
    return set;
}

static void ask_by_epoll(int fd, int set) {
    struct epoll_event event;
    if (send(fd, buffer, MESSAGE, 0) != MESSAGE || epoll_wait(set, &event, 1, -1) != 1 ||
        recv(fd, buffer, MESSAGE, MSG_DONTWAIT) != MESSAGE)
        fail("ask");
}

static void control(int set, int op, int fd, uint32_t events) {
    struct epoll_event event = {.events = events, .data.fd = fd};
    if (epoll_ctl(set, op, fd, &event))
        fail("epoll_ctl");
}

static void ask_by_toggling(int fd, int set) {
    struct epoll_event event;
    control(set, EPOLL_CTL_MOD, fd, EPOLLIN | EPOLLOUT);
    if (epoll_wait(set, &event, 1, -1) != 1 || send(fd, buffer, MESSAGE, 0) != MESSAGE)
        fail("send");
    control(set, EPOLL_CTL_MOD, fd, EPOLLIN);
    if (epoll_wait(set, &event, 1, -1) != 1 || recv(fd, buffer, MESSAGE, MSG_DONTWAIT) != MESSAGE)
        fail("recv");
    control(set, EPOLL_CTL_DEL, fd, 0);
    control(set, EPOLL_CTL_ADD, fd, EPOLLIN);
}

static void ask_once(const struct sockaddr_in *address) {
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    if (connect(fd, (const struct sockaddr *)address, sizeof *address) || send(fd, buffer, MESSAGE, 0) != MESSAGE ||
        recv(fd, buffer, 1, MSG_WAITALL) != 1)
        fail("ask");
    close(fd);
}

/* Connections come with their question (TCP_DEFER_ACCEPT), so that each takes the same calls. */
static void served(long count) {
    struct sockaddr_in address;
    int listener = listener_at(&address), set = epoll_create1(0), seconds = 5;
    setsockopt(listener, IPPROTO_TCP, TCP_DEFER_ACCEPT, &seconds, sizeof seconds);
    if (fork() == 0) {
        for (long i = 0; i < count; i++)
            ask_once(&address);
        _exit(0);
    }
    for (long i = 0; i < count; i++) {
        int fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (fd < 0)
            fail("accept");
        control(set, EPOLL_CTL_ADD, fd, EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET);
        if (recv(fd, buffer, sizeof buffer, 0) != MESSAGE || send(fd, buffer, 1, 0) != 1)
            fail("answer");
        close(fd);
    }
}

/* One byte at a time of what the other end says. This one asks for it itself: a connection that a child has, too, is one
 * that is handed on, and costs more. */
static void reads(int fd, long count) {
    for (long asked; count > 0; count -= asked) {
        asked = count < CHUNK ? count : CHUNK;
        if (send(fd, buffer, (size_t)asked, 0) != asked)
            fail("send");
        usleep(100000); /* a receive that waits costs more */
        for (long i = 0; i < asked; i++)
            if (recv(fd, buffer, 1, 0) != 1)
                fail("recv");
    }
}

static void sends(int fd, long count) {
    for (long i = 0; i < count; i++)
        if (send(fd, buffer, MESSAGE, 0) != MESSAGE)
            fail("send");
}

static void bulk(int fd, long count) {
    for (long i = 0; i < count; i++)
        for (ssize_t sent = 0, more; sent < CHUNK; sent += more)
            if ((more = write(fd, buffer + sent, (size_t)(CHUNK - sent))) <= 0)
                fail("write");
    shutdown(fd, SHUT_WR);
    recv(fd, buffer, 1, 0);
}

static void files(long count) {
    int ends[2], file = open("/dev/zero", O_RDWR);
    if (pipe(ends))
        fail("pipe");
    for (long i = 0; i < count; i++)
        if (read(file, buffer, 64) != 64 || write(file, buffer, 64) != 64 || write(ends[1], buffer, 64) != 64 ||
            read(ends[0], buffer, 64) != 64)
            fail("files");
}

/* One round with the other end, by the modes that have rounds. */
static void round_of(const char *mode, int fd, int set) {
    if (!strcmp(mode, "toggled"))
        ask_by_toggling(fd, set);
    else if (set >= 0)
        ask_by_epoll(fd, set);
    else if (!strcmp(mode, "readwrite"))
        ask_by_read_and_write(fd);
    else
        ask(fd, !strcmp(mode, "polled"));
}

static void run(const char *mode, long count) {
    int is_bulk = !strcmp(mode, "bulk"), is_sends = !strcmp(mode, "sends");
    int fd = connected(!is_bulk && !is_sends);
    int set = !strcmp(mode, "epolled") || !strcmp(mode, "toggled") ? set_with(fd) : -1;
    double began = now();
    if (is_bulk)
        bulk(fd, count);
    else if (!strcmp(mode, "reads"))
        reads(fd, count);
    else if (is_sends)
        sends(fd, count);
    else
        for (long i = 0; i < count; i++)
            round_of(mode, fd, set);
    printf("%.6f\n", now() - began);
    close(fd);
}

int main(int argc, char **argv) {
    if (argc != 3)
        return 2;
    const char *mode = argv[1];
    long count = strtol(argv[2], NULL, 10);
    double began = now();
    if (!strcmp(mode, "files"))
        files(count);
    else if (!strcmp(mode, "served"))
        served(count);
    else
        run(mode, count);
    if (!strcmp(mode, "files") || !strcmp(mode, "served"))
        printf("%.6f\n", now() - began);
    while (wait(NULL) > 0)
        ;
    return 0;
}
