/* Calls with nothing, with nonsense, and with names no server has: what they return must be what libc returns. */
#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/select.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#define TELL(call)                                                                                                     \
    do {                                                                                                               \
        errno = 0;                                                                                                     \
        long result_ = (long)(call);                                                                                   \
        printf("%s = %ld, errno %d\n", #call, result_, result_ < 0 ? errno : 0);                                       \
    } while (0)

/* Nothing, and one less, as the compiler cannot see through. */
static void *volatile none;
static volatile int minus = -1;
static void *volatile low = (void *)8;

static struct addrinfo *list;

static long count(int error) {
    errno = 0; /* means nothing here */
    if (error)
        return error;
    long nodes = 0;
    for (struct addrinfo *each = list; each; each = each->ai_next)
        nodes++;
    freeaddrinfo(list);
    return nodes * 1000;
}

/* Memory that is not there. */
static void *wild(void) {
    static void *at;
    if (!at)
        munmap(at = mmap(NULL, 4096, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0), 4096);
    return at;
}

/* Memory that was there in an earlier call. */
static void *gone(int fd) {
    static char *at;
    if (at)
        return at;
    at = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    struct pollfd *polled = (struct pollfd *)(void *)at;
    *polled = (struct pollfd){fd, POLLIN, 0};
    poll(polled, 1, 0);
    FD_SET(fd, (fd_set *)(void *)at);
    select(fd + 1, (fd_set *)(void *)at, NULL, NULL, &(struct timeval){0, 0});
    munmap(at, 4096);
    return at;
}

/* A connection on which a wait is bounded at the defaults. */
static int connected(void) {
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof address;
    int listener = socket(AF_INET, SOCK_STREAM, 0), fd = socket(AF_INET, SOCK_STREAM, 0);
    bind(listener, (struct sockaddr *)&address, len);
    listen(listener, 5);
    getsockname(listener, (struct sockaddr *)&address, &len);
    connect(fd, (struct sockaddr *)&address, len);
    return fd;
}

/* What epoll_pwait2 says on a connection with a timeout that the kernel cannot read. */
static int waits(int fd, const struct timespec *timeout) {
    struct epoll_event event = {.events = EPOLLIN};
    const int epfd = epoll_create1(0);
    epoll_ctl(epfd, EPOLL_CTL_ADD, fd, &event);
    const int ready = epoll_pwait2(epfd, &event, 1, timeout, NULL), error = errno;
    close(epfd);
    errno = error;
    return ready;
}

/* Calls on a connection with memory that cannot be read, or not be written. */
static void with_a_connection(void) {
    static const struct timeval soon = {0, 1000};
    static const struct timespec soon_too = {0, 1000000};
    static const struct pollfd constant = {0, POLLIN, 0};
    const int fd = connected();
    const struct iovec empty[2] = {{low, 0}, {low, 0}};
    fd_set set;
    int pair[2];
    const int paired = socketpair(AF_UNIX, SOCK_STREAM, 0, pair);
    const struct msghdr parted = {
        .msg_iov = (struct iovec *)(uintptr_t)empty, .msg_control = gone(paired), .msg_controllen = 24};
    FD_ZERO(&set);
    FD_SET(fd, &set);
    TELL(poll(gone(fd), 1, 0));
    TELL(poll(gone(fd), 1, 10));
    TELL(ppoll(gone(fd), 1, &soon_too, none));
    TELL(select(fd + 1, gone(fd), none, none, &(struct timeval){0, 1000}));
    TELL(select(fd + 1, &set, none, gone(fd), &(struct timeval){0, 1000}));
    TELL(waits(fd, gone(fd)));
    TELL(waits(fd, wild()));
    TELL(writev(fd, gone(fd), 1));
    TELL(preadv2(fd, gone(fd), 1, -1, 0));
    TELL(pwritev2(fd, gone(fd), 1, -1, 0));
    TELL(preadv2(fd, empty, 2, -1, 0));
    TELL(pwritev2(fd, empty, 2, -1, 0));
    TELL(preadv2(fd, empty, 2, 5, 0));
    TELL(sendmsg(fd, gone(fd), 0));
    TELL(sendmsg(pair[0], gone(fd), 0));
    TELL(sendmsg(pair[0], &parted, 0));
    TELL(sendmmsg(pair[0], gone(fd), 2, 0));
    TELL(writev(fd, empty, 2));
    TELL(readv(fd, gone(fd), 1));
    TELL(readv(fd, empty, 2));
    TELL(poll((struct pollfd *)(uintptr_t)&constant, 1, 10));
    TELL(syscall(SYS_poll, gone(fd), 1, 0));
    TELL(syscall(SYS_ppoll, gone(fd), 1, &soon_too, none, 8));
    TELL(syscall(SYS_ppoll, none, 0, gone(fd), none, 8));
    TELL(syscall(SYS_ppoll, none, 0, &soon_too, none, 8));
    TELL(syscall(SYS_select, 0, none, none, none, &soon));
    TELL(syscall(SYS_select, 0, none, none, none, gone(fd)));
    TELL(syscall(SYS_select, fd + 1, &set, none, none, wild()));
    TELL(syscall(SYS_select, fd + 1, gone(fd), none, none, &soon));
    TELL(syscall(SYS_select, fd + 1, none, none, wild(), &soon));
    TELL((FD_SET(fd, &set), syscall(SYS_select, fd + 1, &set, none, none, &soon)));
    TELL(syscall(SYS_pselect6, 0, none, none, none, wild(), none));
    TELL((FD_SET(fd, &set), syscall(SYS_pselect6, fd + 1, &set, none, none, &soon_too, none)));
    TELL(syscall(SYS_pselect6, fd + 1, &set, none, none, gone(fd), none));
    TELL(syscall(SYS_pselect6, fd + 1, gone(fd), none, none, &soon_too, none));
    TELL(syscall(SYS_pselect6, fd + 1, &set, none, none, none, wild()));
    TELL(syscall(SYS_pselect6, fd + 1, &set, none, none, none, low));
}

int main(void) {
    char name[301], byte;
    int pipe_ends[2], nothing = pipe(pipe_ends), fd = socket(AF_INET, SOCK_STREAM, 0);
    struct addrinfo odd = {.ai_flags = 0x40000000}, family = {.ai_family = 99}, type = {.ai_socktype = 99};
    struct timeval now = {0, 0};
    struct timespec nowhen = {0, 0};
    fd_set set;
    FD_ZERO(&set);
    FD_SET(fd, &set);
    memset(name, 'a', 300);
    name[300] = 0;

    TELL(count(getaddrinfo(NULL, NULL, NULL, &list)));
    TELL(count(getaddrinfo(NULL, "80", NULL, &list)));
    TELL(count(getaddrinfo("127.0.0.1", NULL, NULL, &list)));
    TELL(count(getaddrinfo("", NULL, NULL, &list)));
    TELL(count(getaddrinfo("", "", NULL, &list)));
    TELL(count(getaddrinfo(name, NULL, NULL, &list)));
    TELL(count(getaddrinfo(name, name, NULL, &list)));
    TELL(count(getaddrinfo("localhost", name, NULL, &list)));
    TELL(count(getaddrinfo("localhost", "80", &odd, &list)));
    TELL(count(getaddrinfo("localhost", "80", &family, &list)));
    TELL(count(getaddrinfo("localhost", "80", &type, &list)));
    TELL(connect(-1, none, 0));
    TELL(connect(fd, none, 0));
    TELL(connect(fd, none, 16));
    TELL(connect(fd, low, 16));
    TELL(connect(nothing, none, 0));
    TELL(connect(pipe_ends[0], (struct sockaddr *)name, 16));
    TELL(recv(-1, none, 0, 0));
    TELL(recv(1 << 30, none, 0, 0));
    TELL(recv(pipe_ends[0], &byte, 1, 0));
    TELL(recv(fd, none, 1, 0));
    TELL(read(fd, none, 0));
    TELL(read(-1, none, 1));
    TELL(readv(fd, none, 1));
    TELL(readv(fd, none, minus));
    TELL(recvmsg(fd, none, 0));
    TELL(recvfrom(fd, none, 1, 0, none, none));
    TELL(send(-1, none, 0, 0));
    TELL(send(fd, none, 1, MSG_NOSIGNAL));
    TELL(sendto(fd, none, 1, MSG_NOSIGNAL, none, 0));
    TELL(sendmsg(fd, none, 0));
    TELL(write(pipe_ends[1], none, 1));
    TELL(write(-1, none, 1));
    TELL(writev(pipe_ends[1], none, 2));
    TELL(poll(none, 0, 0));
    TELL(poll(none, 1, 0));
    TELL(poll(none, (nfds_t)minus, 0));
    TELL(poll(wild(), 1, 0));
    TELL(poll(low, 1, 0));
    TELL(poll((struct pollfd *)(uintptr_t)minus, 1, 0));
    TELL(ppoll(wild(), 1, &nowhen, none));
    TELL(select(fd + 1, wild(), none, none, &now));
    TELL(select(fd + 1, none, wild(), none, &now));
    TELL(select(fd + 1, &set, none, wild(), &now));
    TELL(pselect(fd + 1, none, wild(), none, &nowhen, none));
    TELL(syscall(SYS_poll, wild(), 1, 0));
    TELL(syscall(SYS_recvfrom, fd, wild(), 1, 0, 0, 0));
    TELL(select(0, none, none, none, &now));
    TELL(select(minus, none, none, none, &now));
    TELL(accept(-1, none, none));
    TELL(accept(fd, none, none));
    TELL(getsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, none, none));
    TELL(setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, none, 0));
    with_a_connection();
    TELL(close(-1));
    TELL(dup2(-1, 5));
    TELL(dup2(fd, -1));
    return 0;
}
