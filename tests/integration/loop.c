/* The hot path: loop MODE COUNT does the same thing COUNT times and prints how many seconds it took. The other end is a
 * child. Modes: pingpong (send and recv), reads and sends (one of the two), readwrite, polled and epolled (a wait before each
 * receive), bulk (COUNT writes of 64 KiB),
 * files (read and write on a file and a pipe). */
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

/* The other end of reads: says COUNT bytes. */
static void say(int fd, long count) {
    for (ssize_t sent; count > 0; count -= sent)
        if ((sent = send(fd, buffer, (size_t)(count < CHUNK ? count : CHUNK), 0)) <= 0)
            fail("say");
}

static void reads(int fd, long count) {
    if (fork() == 0) {
        say(fd, count); /* to the echo */
        _exit(0);
    }
    for (long i = 0; i < count; i++)
        if (recv(fd, buffer, 1, 0) != 1)
            fail("recv");
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

int main(int argc, char **argv) {
    if (argc != 3)
        return 2;
    const char *mode = argv[1];
    long count = strtol(argv[2], NULL, 10);
    int is_bulk = !strcmp(mode, "bulk"), is_files = !strcmp(mode, "files"), polled = !strcmp(mode, "polled");
    int is_sends = !strcmp(mode, "sends");
    int fd = is_files ? -1 : connected(!is_bulk && !is_sends);
    int set = !strcmp(mode, "epolled") ? set_with(fd) : -1;
    double began = now();
    if (is_files)
        files(count);
    else if (is_bulk)
        bulk(fd, count);
    else if (!strcmp(mode, "reads"))
        reads(fd, count);
    else if (is_sends)
        sends(fd, count);
    else
        for (long i = 0; i < count; i++)
            if (set >= 0)
                ask_by_epoll(fd, set);
            else if (!strcmp(mode, "readwrite"))
                ask_by_read_and_write(fd);
            else
                ask(fd, polled);
    printf("%.6f\n", now() - began);
    close(fd);
    while (wait(NULL) > 0)
        ;
    return 0;
}
