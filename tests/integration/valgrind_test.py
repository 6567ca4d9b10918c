"""Users of valgrind's tools read reports of their own programs, not of the library."""

import re
import subprocess

import pytest

import programs
from faults import tcp

PROGRAM = """
#include <arpa/inet.h>
#include <netdb.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/select.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

/* More than half of the distance from 0, where valgrind loads it. */
__attribute__((used)) static const char large[700 << 10] = {1};

static const char *host, *port;
static pthread_barrier_t together;

static void wait_for(int fd, int how) {
    struct pollfd p = {.fd = fd, .events = POLLIN};
    struct timespec long_time = {9, 0};
    fd_set in;
    FD_ZERO(&in);
    FD_SET(fd, &in);
    if (how % 4 == 0) poll(&p, 1, -1);
    if (how % 4 == 1) select(fd + 1, &in, NULL, NULL, NULL);
    if (how % 4 == 2) ppoll(&p, 1, &long_time, NULL);
    if (how % 4 == 3) {
        struct epoll_event e = {.events = EPOLLIN};
        int set = epoll_create1(0);
        epoll_ctl(set, EPOLL_CTL_ADD, fd, &e);
        epoll_wait(set, &e, 1, -1);
        close(set);
    }
}

static void *work(void *n) {
    pthread_barrier_wait(&together);
    for (int i = (int)(long)n; i < (int)(long)n + 8; i++) {
        char text[8], control[64];
        struct addrinfo hints = {.ai_family = AF_INET, .ai_socktype = SOCK_STREAM}, *list;
        if (getaddrinfo(i % 2 ? host : "localhost", port, &hints, &list)) exit(3);
        int fd = socket(AF_INET, SOCK_STREAM, 0);
        if (connect(fd, list->ai_addr, list->ai_addrlen)) exit(4);
        freeaddrinfo(list);
        char *heap = malloc(2 * sizeof(struct iovec) + 4); /* with bytes around it that nobody has written */
        struct iovec *parts = (struct iovec *)heap;
        parts[0] = (struct iovec){"he", 2};
        parts[1] = (struct iovec){"llo", 3};
        struct msghdr message = {.msg_iov = parts, .msg_iovlen = 2};
        if ((i % 3 ? sendmsg(fd, &message, 0) : writev(fd, parts, 2)) != 5) exit(5);
        wait_for(fd, i);
        parts[0] = (struct iovec){text, sizeof text};
        message = (struct msghdr){.msg_iov = parts, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof control};
        ssize_t got = i % 3 == 0 ? recvmsg(fd, &message, 0) : i % 3 == 1 ? recv(fd, text, sizeof text, 0) : readv(fd, parts, 1);
        if (got <= 0) exit(6);
        free(heap);
        close(fd);
    }
    return NULL;
}

int main(int argc, char **argv) {
    pthread_t threads[4];
    host = argv[1];
    port = argv[2];
    pthread_barrier_init(&together, NULL, 4);
    for (long i = 0; i < 4; i++) pthread_create(&threads[i], NULL, work, (void *)i);
    for (int i = 0; i < 4; i++) pthread_join(threads[i], NULL);
    puts("fine");
    return argc > 3;
}
"""


@pytest.mark.skipif(bool(programs.RUNTIME), reason="valgrind does not run the sanitizers")
@pytest.mark.parametrize("limits", [{}, {"RECV": "30s", "SEND": "30s", "IDLE": "30s", "CONNECT": "30s"}], ids=["defaults", "limits"])
@pytest.mark.parametrize("tool", ["memcheck", "helgrind", "drd"])
def test_nothing_of_ours_is_reported(net, tmp_path, tool, limits):
    net.names({"echo.test": ["127.0.0.1"]})
    server = net.serve(tcp.echo)
    (tmp_path / "p.c").write_text(PROGRAM)
    subprocess.run(["gcc", "-g", "-D_GNU_SOURCE", "-w", "-o", tmp_path / "p", tmp_path / "p.c", "-pthread"], check=True)
    result = net.run([programs.need("valgrind"), "-q", f"--tool={tool}", tmp_path / "p", "echo.test", server.port], patience=60, **limits)
    assert (result.status, result.out) == (0, b"fine\n"), result
    ours = [line for line in result.err.decode().splitlines() if re.search(r"libnetdeadline|\bnd_|sigprocmask", line)]
    assert not ours, "\n".join(ours[:20])
