/* A handler runs every 5 ms and talks on a connection of its own while the main program is inside the same calls and in
 * lookups: every byte must be the right one. Usage: handlers NAME SECONDS, where NAME is 127.0.0.1 */
#include <arpa/inet.h>
#include <errno.h>
#include <netdb.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/select.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

static struct sockaddr_in at = {.sin_family = AF_INET};
static int listener, in_handler[2], in_main[2], epfd;
static volatile sig_atomic_t ran, wrong;

static void make_pair(int *fds) {
    fds[0] = socket(AF_INET, SOCK_STREAM, 0);
    if (connect(fds[0], (struct sockaddr *)&at, sizeof at) || (fds[1] = accept(listener, NULL, NULL)) < 0)
        exit(3);
}

static int ready(int fd, int ms) {
    struct pollfd one = {.fd = fd, .events = POLLIN};
    int count;
    while ((count = poll(&one, 1, ms)) < 0 && errno == EINTR)
        ;
    return count == 1 && one.revents == POLLIN;
}

/* One byte there and one back: 0 when they are the right ones. The handler waits only for what it sent itself. */
static int talk(const int *fds, char byte, int (*wait)(int fd, int ms)) {
    char got = 0, back = 0;
    if (send(fds[0], &byte, 1, 0) != 1 || !wait(fds[1], 5000) || recv(fds[1], &got, 1, 0) != 1 || got != byte)
        return 1;
    byte ^= 0x55;
    return write(fds[1], &byte, 1) != 1 || read(fds[0], &back, 1) != 1 || back != byte || ready(fds[0], 0);
}

static void handler(int number) {
    (void)number;
    int saved = errno;
    wrong += talk(in_handler, (char)ran, ready);
    ran++;
    errno = saved;
}

static int ready_select(int fd, int ms) {
    fd_set in;
    int count;
    do {
        struct timeval timeout = {ms / 1000, ms % 1000 * 1000};
        FD_ZERO(&in);
        FD_SET(fd, &in);
        count = select(fd + 1, &in, NULL, NULL, &timeout);
    } while (count < 0 && errno == EINTR);
    return count == 1 && FD_ISSET(fd, &in);
}

static int ready_epoll(int fd, int ms) {
    struct epoll_event event = {.events = EPOLLIN, .data.fd = fd};
    int count;
    epoll_ctl(epfd, EPOLL_CTL_ADD, fd, &event);
    while ((count = epoll_wait(epfd, &event, 1, ms)) < 0 && errno == EINTR)
        ;
    epoll_ctl(epfd, EPOLL_CTL_DEL, fd, NULL);
    return count == 1 && event.data.fd == fd;
}

static int looks_up(const char *name) {
    struct addrinfo hints = {.ai_family = AF_INET, .ai_socktype = SOCK_STREAM}, *list;
    if (getaddrinfo(name, NULL, &hints, &list))
        return 0;
    int good = ((struct sockaddr_in *)list->ai_addr)->sin_addr.s_addr == htonl(INADDR_LOOPBACK);
    freeaddrinfo(list);
    return good;
}

int main(int argc, char **argv) {
    socklen_t length = sizeof at;
    at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (argc != 3)
        return 2;
    listener = socket(AF_INET, SOCK_STREAM, 0);
    bind(listener, (struct sockaddr *)&at, sizeof at);
    listen(listener, 5);
    getsockname(listener, (struct sockaddr *)&at, &length);
    make_pair(in_handler);
    epfd = epoll_create1(0);
    sigaction(SIGALRM, &(struct sigaction){.sa_handler = handler, .sa_flags = SA_RESTART}, NULL);
    setitimer(ITIMER_REAL, &(struct itimerval){{0, 5000}, {0, 5000}}, NULL);
    int bad = 0, lookups = 0;
    time_t until = time(NULL) + atoi(argv[2]) + 1;
    for (unsigned i = 0; time(NULL) < until; i++) {
        static int (*const waits[])(int, int) = {ready, ready_select, ready_epoll};
        if (i % 16 == 0)
            make_pair(in_main);
        bad += talk(in_main, (char)i, waits[i % 3]);
        if (i % 16 == 15) {
            bad += close(in_main[0]) + close(in_main[1]);
            bad += !looks_up(argv[1]);
            lookups++;
        }
    }
    setitimer(ITIMER_REAL, &(struct itimerval){{0, 0}, {0, 0}}, NULL);
    printf("wrong %d, bad %d%s\n", (int)wrong, bad, ran > 20 && lookups > 5 ? "" : ", too few");
    return 0;
}
