/* What glibc and musl differ in: message headers with padding that holds anything, small stacks, programs of the other
 * libc. Usage: libcs messages | sendmmsg | part | numbers | descriptor PORT | stack CALL PORT | exec PROGRAM ARGUMENT... */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

enum { PARTS = 3, PART = 300001, ROUNDS = 4, STACK = 128 << 10 };
static unsigned char bytes[PARTS * PART];

static int connected(int port) {
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (connect(fd, (struct sockaddr *)&to, sizeof to))
        perror("connect"), exit(2);
    return fd;
}

/* Two ends of a connection with small buffers. */
static void pair(int ends[2]) {
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t length = sizeof at;
    int listener = socket(AF_INET, SOCK_STREAM, 0), small = 4096;
    setsockopt(listener, SOL_SOCKET, SO_RCVBUF, &small, sizeof small);
    setsockopt(listener, SOL_SOCKET, SO_SNDBUF, &small, sizeof small);
    if (bind(listener, (struct sockaddr *)&at, length) || listen(listener, 1) ||
        getsockname(listener, (struct sockaddr *)&at, &length))
        perror("listen"), exit(2);
    ends[0] = connected(ntohs(at.sin_port));
    ends[1] = accept(listener, NULL, NULL);
    close(listener);
}

/* Its padding, where it has any, holds ones. */
static void fill_message(struct msghdr *msg, struct iovec *iov, int count) {
    memset(msg, 0xff, sizeof *msg);
    msg->msg_name = NULL;
    msg->msg_namelen = 0;
    msg->msg_iov = iov;
    msg->msg_iovlen = (size_t)count;
    msg->msg_control = NULL;
    msg->msg_controllen = 0;
    msg->msg_flags = 0;
}

static void *read_slowly(void *end) {
    static unsigned char got[8192];
    size_t at = 0;
    ssize_t length;
    for (int i = 0; (length = read(*(int *)end, got, sizeof got)) > 0; i++) {
        for (ssize_t k = 0; k < length; k++, at++)
            if (got[k] != bytes[at % sizeof bytes])
                printf("byte %zu is wrong\n", at), exit(1);
        if (i % 16 == 0)
            usleep(1000);
    }
    return (void *)at;
}

static ssize_t send_by_one(int fd, struct iovec *iov) {
    struct msghdr msg;
    fill_message(&msg, iov, PARTS);
    return sendmsg(fd, &msg, 0);
}

static ssize_t send_by_many(int fd, struct iovec *iov) {
    struct mmsghdr messages[PARTS];
    ssize_t total = 0;
    for (int i = 0; i < PARTS; i++)
        fill_message(&messages[i].msg_hdr, iov + i, 1);
    int sent = sendmmsg(fd, messages, PARTS, 0);
    for (int i = 0; i < sent; i++)
        total += messages[i].msg_len;
    return total;
}

/* What libc's sendmmsg says where there is room for a part of the first message. */
static int send_a_part(void) {
    struct iovec iov[PARTS];
    int ends[2];
    pair(ends);
    fcntl(ends[0], F_SETFL, O_NONBLOCK);
    for (int i = 0; i < PARTS; i++)
        iov[i] = (struct iovec){bytes + i * PART, PART};
    errno = 0;
    const ssize_t sent = send_by_many(ends[0], iov);
    printf("%d %s\n", sent > 0 && sent < PART, errno ? strerror(errno) : "");
    return 0;
}

/* Messages that have no room arrive whole, and in their order. */
static int send_much(ssize_t (*send_all)(int, struct iovec *)) {
    struct iovec iov[PARTS];
    pthread_t reader;
    void *got;
    int ends[2];
    for (size_t i = 0; i < sizeof bytes; i++)
        bytes[i] = (unsigned char)(i * 7 + i / 256);
    pair(ends);
    pthread_create(&reader, NULL, read_slowly, &ends[1]);
    for (int round = 0; round < ROUNDS; round++) {
        for (int i = 0; i < PARTS; i++)
            iov[i] = (struct iovec){bytes + i * PART, PART};
        const ssize_t sent = send_all(ends[0], iov);
        if (sent != sizeof bytes)
            printf("%zd of %zu were sent\n", sent, sizeof bytes), exit(1);
    }
    shutdown(ends[0], SHUT_WR);
    pthread_join(reader, &got);
    printf("%zu\n", (size_t)got);
    return 0;
}

/* A connection comes by a message, and is waited for. */
static int receive_descriptor(int port) {
    int pair[2], fd = connected(port), error;
    char byte = 'x', control[CMSG_SPACE(sizeof fd)] __attribute__((aligned(8)));
    struct iovec iov = {&byte, 1};
    struct msghdr msg;
    struct cmsghdr *part = (struct cmsghdr *)(void *)control;
    socketpair(AF_UNIX, SOCK_STREAM, 0, pair);
    memset(control, 0xff, sizeof control);
    fill_message(&msg, &iov, 1);
    msg.msg_control = control;
    msg.msg_controllen = sizeof control;
    part->cmsg_len = CMSG_LEN(sizeof fd);
    part->cmsg_level = SOL_SOCKET;
    part->cmsg_type = SCM_RIGHTS;
    memcpy(CMSG_DATA(part), &fd, sizeof fd);
    if (sendmsg(pair[0], &msg, 0) != 1)
        perror("sendmsg"), exit(1);
    close(fd);
    fill_message(&msg, &iov, 1);
    msg.msg_control = control;
    msg.msg_controllen = sizeof control;
    if (recvmsg(pair[1], &msg, 0) != 1)
        perror("recvmsg"), exit(1);
    memcpy(&fd, CMSG_DATA(CMSG_FIRSTHDR(&msg)), sizeof fd);
    fill_message(&msg, &iov, 1);
    const ssize_t got = recvmsg(fd, &msg, 0);
    error = errno;
    printf("%zd %s\n", got, got < 0 && error == ETIMEDOUT ? "ETIMEDOUT" : "");
    return 0;
}

/* A message with as many descriptors as one takes: more ancillary data than musl's sendmsg has room for. */
static void fill_control(struct msghdr *msg, struct iovec *iov) {
    enum { MOST = 253 };
    static char control[CMSG_SPACE(MOST * sizeof(int))] __attribute__((aligned(8)));
    struct cmsghdr *part = (struct cmsghdr *)(void *)control;
    memset(msg, 0, sizeof *msg); /* as the kernel wants it */
    msg->msg_iov = iov;
    msg->msg_iovlen = 1;
    msg->msg_control = control;
    msg->msg_controllen = sizeof control;
    memset(part, 0, sizeof *part);
    part->cmsg_len = CMSG_LEN(MOST * sizeof(int));
    part->cmsg_level = SOL_SOCKET;
    part->cmsg_type = SCM_RIGHTS;
    for (size_t i = 0; i < MOST; i++)
        memcpy(CMSG_DATA(part) + i * sizeof(int), &(int){1}, sizeof(int));
}

/* Two ends of an AF_UNIX connection. */
static void local_pair(int ends[2]) {
    struct sockaddr_un at = {.sun_family = AF_UNIX};
    const socklen_t length = sizeof at.sun_family + 1 + (socklen_t)snprintf(at.sun_path + 1, 40, "libcs-%d", getpid());
    int listener = socket(AF_UNIX, SOCK_STREAM, 0);
    ends[0] = socket(AF_UNIX, SOCK_STREAM, 0);
    if (bind(listener, (struct sockaddr *)&at, length) || listen(listener, 1) ||
        connect(ends[0], (struct sockaddr *)&at, length))
        perror("connect"), exit(2);
    ends[1] = accept(listener, NULL, NULL);
    close(listener);
}

/* By number a message is the kernel's matter, and musl's functions have no part in it. */
static int send_by_number(void) {
    struct mmsghdr messages[PARTS];
    struct iovec iov[PARTS];
    int ends[2], state;
    memset(messages, 0, sizeof messages);
    local_pair(ends);
    iov[0] = (struct iovec){bytes, 1};
    fill_control(&messages[0].msg_hdr, iov);
    state = (int)syscall(SYS_sendmsg, ends[0], &messages[0].msg_hdr, 0);
    printf("sendmsg %d %s\n", state, state < 0 ? strerror(errno) : "");
    state = (int)syscall(SYS_sendmmsg, ends[0], messages, 1, 0);
    printf("sendmmsg %d %s\n", state, state < 0 ? strerror(errno) : "");
    pair(ends);
    fcntl(ends[1], F_SETFL, O_NONBLOCK); /* the one that has a small buffer */
    memset(messages, 0, sizeof messages);
    for (int i = 0; i < PARTS; i++) {
        iov[i] = (struct iovec){bytes, sizeof bytes};
        messages[i].msg_hdr.msg_iov = iov + i;
        messages[i].msg_hdr.msg_iovlen = 1;
    }
    errno = 0;
    state = (int)syscall(SYS_sendmmsg, ends[1], messages, PARTS, 0);
    printf("no room %d %d, %d\n", state, errno, messages[0].msg_len < sizeof bytes);
    return 0;
}

static const char *asked;
static int asked_port;

static void *wait_on_stack(void *unused) {
    char byte;
    int fd = connected(asked_port);
    struct pollfd ready = {.fd = fd, .events = POLLIN};
    fd_set in;
    FD_ZERO(&in);
    FD_SET(fd, &in);
    if (!strcmp(asked, "poll"))
        poll(&ready, 1, -1);
    if (!strcmp(asked, "select"))
        select(fd + 1, &in, NULL, NULL, NULL);
    while (!strcmp(asked, "send") && send(fd, bytes, sizeof bytes, 0) > 0)
        ;
    if (!strcmp(asked, "epoll")) {
        struct epoll_event event = {.events = EPOLLIN};
        int epfd = epoll_create1(0);
        epoll_ctl(epfd, EPOLL_CTL_ADD, fd, &event);
        epoll_wait(epfd, &event, 1, -1);
    }
    if (recv(fd, &byte, 1, 0) >= 0)
        exit(1);
    return unused;
}

/* How much of its stack a thread uses until its wait has expired. */
static int use_stack(void) {
    pthread_attr_t attributes;
    pthread_t thread;
    unsigned char *stack = mmap(NULL, STACK, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    memset(stack, 0xa5, STACK);
    pthread_attr_init(&attributes);
    pthread_attr_setstack(&attributes, stack, STACK);
    pthread_create(&thread, &attributes, wait_on_stack, NULL);
    pthread_join(thread, NULL);
    int unused = 0;
    while (stack[unused] == 0xa5)
        unused++;
    printf("%d\n", STACK - unused);
    return 0;
}

int main(int argc, char **argv) {
    if (argc > 2 && !strcmp(argv[1], "exec"))
        return execvp(argv[2], argv + 2), 127;
    if (argc == 4 && !strcmp(argv[1], "stack"))
        return asked = argv[2], asked_port = atoi(argv[3]), use_stack();
    if (argc == 3 && !strcmp(argv[1], "descriptor"))
        return receive_descriptor(atoi(argv[2]));
    if (argc == 2 && !strcmp(argv[1], "numbers"))
        return send_by_number();
    if (argc == 2 && !strcmp(argv[1], "part"))
        return send_a_part();
    if (argc == 2)
        return send_much(!strcmp(argv[1], "sendmmsg") ? send_by_many : send_by_one);
    return 2;
}
