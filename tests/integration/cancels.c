/* Cancels a thread in each call that waits, on connections of its own; prints the calls that were not left, were not
 * left soon, or did not wait at all. Usage: cancels BLACKHOLE CALL... */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/select.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

static struct sockaddr_in at = {.sin_family = AF_INET}, blackhole = {.sin_family = AF_INET};
static int listener, fd, pipes[2], epfd;
static char much[1 << 20];
static const char *call;
static volatile int cleaned, came_back;

static int pair(void) {
    int made = socket(AF_INET, SOCK_STREAM, 0);
    if (connect(made, (struct sockaddr *)&at, sizeof at))
        exit(3);
    return made;
}

/* Until there is no room at all: a page that stands in a buffer already takes none. */
static ssize_t splice_all(void) {
    while (write(pipes[1], much, 4096) == 4096 && splice(pipes[0], NULL, fd, NULL, 4096, 0) > 0)
        ;
    return -1;
}

static ssize_t make(void) {
    struct iovec iov = {much, sizeof much};
    struct msghdr message = {.msg_iov = &iov, .msg_iovlen = 1};
    struct mmsghdr messages = {.msg_hdr = message};
    struct pollfd ready = {.fd = fd, .events = POLLIN};
    struct epoll_event event;
    fd_set in;
    int other = -1;
    FD_ZERO(&in);
    FD_SET(fd, &in);
#define IS(name, what)                                                                                                 \
    if (!strcmp(call, name))                                                                                           \
        return what;
    IS("read", read(fd, much, 1))
    IS("readv", readv(fd, &iov, 1))
    IS("preadv2", preadv2(fd, &iov, 1, -1, 0))
    IS("recv", recv(fd, much, 1, 0))
    IS("recvfrom", recvfrom(fd, much, 1, 0, NULL, NULL))
    IS("recvmsg", recvmsg(fd, &message, 0))
    IS("recvmmsg", recvmmsg(fd, &messages, 1, 0, NULL))
    IS("write", write(fd, much, sizeof much))
    IS("writev", writev(fd, &iov, 1))
    IS("pwritev2", pwritev2(fd, &iov, 1, -1, 0))
    IS("send", send(fd, much, sizeof much, 0))
    IS("sendto", sendto(fd, much, sizeof much, 0, NULL, 0))
    IS("sendmsg", sendmsg(fd, &message, 0))
    IS("sendmmsg", sendmmsg(fd, &messages, 1, 0))
    IS("splice in", splice(fd, NULL, pipes[1], NULL, 4096, 0))
    IS("splice out", splice_all())
    IS("accept", accept(listener, NULL, NULL))
    IS("accept4", accept4(listener, NULL, NULL, 0))
    IS("poll", poll(&ready, 1, -1))
    IS("ppoll", ppoll(&ready, 1, NULL, NULL))
    IS("select", select(fd + 1, &in, NULL, NULL, NULL))
    IS("pselect", pselect(fd + 1, &in, NULL, NULL, NULL, NULL))
    IS("epoll_wait", epoll_wait(epfd, &event, 1, -1))
    IS("epoll_pwait", epoll_pwait(epfd, &event, 1, -1, NULL))
    IS("epoll_pwait2", epoll_pwait2(epfd, &event, 1, NULL, NULL))
    other = socket(AF_INET, SOCK_STREAM, 0);
    IS("connect", connect(other, (struct sockaddr *)&blackhole, sizeof blackhole))
    exit(4);
}

static void clean(void *unused) {
    (void)unused;
    cleaned = 1;
}

static void *thread(void *unused) {
    pthread_cleanup_push(clean, NULL);
    make();
    came_back = 1;
    pthread_testcancel();
    pthread_cleanup_pop(0);
    return unused;
}

static int sends(void) {
    return strstr(call, "send") || strstr(call, "write") || !strcmp(call, "splice out");
}

/* A connection with nothing to read and, for a call that sends, no room: until the first cut of the other side's
 * window. */
static void prepare(void) {
    fd = pair();
    int peer = accept(listener, NULL, NULL);
    (void)peer;
    if (sends()) {
        for (int quiet = 0; quiet < 5; usleep(10000), quiet++)
            while (send(fd, much, sizeof much, MSG_DONTWAIT) > 0)
                quiet = 0;
    }
    epfd = epoll_create1(0);
    epoll_ctl(epfd, EPOLL_CTL_ADD, fd, &(struct epoll_event){.events = EPOLLIN});
}

static const char *cancel(void) {
    pthread_t waiting;
    void *result;
    cleaned = came_back = 0;
    if (pipe(pipes))
        exit(3);
    prepare();
    pthread_create(&waiting, NULL, thread, NULL);
    usleep(60000);
    if (came_back)
        return "did not wait";
    pthread_cancel(waiting);
    struct timespec until;
    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += 5;
    if (pthread_timedjoin_np(waiting, &result, &until))
        return "not left";
    /* From glibc 2.41 on what has been sent is told first (BZ 12683), and the next point is left. */
    return result == PTHREAD_CANCELED && cleaned && (!came_back || sends()) ? NULL : "not cancelled";
}

static int talks(void) {
    char byte;
    int here = pair(), there = accept(listener, NULL, NULL);
    return write(here, "a", 1) == 1 && read(there, &byte, 1) == 1 && send(there, "b", 1, 0) == 1 &&
           recv(here, &byte, 1, 0) == 1;
}

int main(int argc, char **argv) {
    socklen_t length = sizeof at;
    at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (argc < 3 || inet_pton(AF_INET, argv[1], &blackhole.sin_addr) != 1)
        return 2;
    blackhole.sin_port = htons(80);
    listener = socket(AF_INET, SOCK_STREAM, 0);
    setsockopt(listener, SOL_SOCKET, SO_RCVBUF, &(int){2048}, sizeof(int));
    bind(listener, (struct sockaddr *)&at, sizeof at);
    listen(listener, 5);
    getsockname(listener, (struct sockaddr *)&at, &length);
    for (int i = 2; i < argc; i++) {
        call = argv[i];
        const char *wrong = cancel();
        if (wrong)
            printf("%s: %s\n", call, wrong);
        if (!talks())
            printf("%s: no talk afterwards\n", call);
        fflush(stdout);
    }
    return 0;
}
