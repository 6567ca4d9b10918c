/* random SEED STEPS [WHAT...]: a random walk through the socket calls, on streams, datagrams, pipes, files and epoll
 * sets of its own, which is the same for the same seed. Each line is a step: the call, what it gave, errno, and the
 * signals that came. Calls that would wait have short timeouts of their own. WHAT fails after a third of the steps
 * (refuse.h). */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/select.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#include "refuse.h"

#define MOST 28
#define OWN_TIMEOUT 15000 /* microseconds */
#define WAIT 8            /* milliseconds */
#define LENGTH(array) (sizeof(array) / sizeof *(array))
#define ONE_OF(array) (array)[below(LENGTH(array))]

static uint64_t state;
static int fds[MOST], used, step;
static char buffer[70000];
static volatile sig_atomic_t pipes;
static struct sockaddr_in home;
static int listener;

static unsigned below(unsigned n) {
    state = state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return (unsigned)(state >> 33) % n;
}

static int any(void) {
    return used ? fds[below((unsigned)used)] : -1;
}

/* Now and then one that is not open. */
static int some(void) {
    unsigned which = below(30);
    return which == 0 ? -1 : which == 1 ? 900 : any();
}

static void keep(int fd) {
    if (fd >= 0 && used < MOST)
        fds[used++] = fd;
    else if (fd >= 0)
        close(fd);
}

static unsigned checksum(const void *bytes, long count) {
    const unsigned char *byte = bytes;
    unsigned sum = 0;
    for (long i = 0; i < count; i++)
        sum = sum * 31 + byte[i];
    return sum;
}

static void told(const char *name, long result, unsigned more) {
    printf("%d %s = %ld, errno %d, %d signals, %x\n", step, name, result, errno, (int)pipes, more);
    pipes = 0;
}

/* `call` gives a number; MORE is looked at after it. */
#define TELL(name, call, MORE)                                                                                         \
    do {                                                                                                               \
        errno = 77;                                                                                                    \
        long result = (long)(call);                                                                                    \
        told(name, result, (unsigned)(MORE));                                                                          \
    } while (0)

static void set_timeouts(int fd) {
    const struct timeval value = {0, OWN_TIMEOUT};
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &value, sizeof value);
    setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &value, sizeof value);
}

static int file(void) {
    int fd = memfd_create("random", 0);
    if (fd >= 0 && (write(fd, buffer, 60000) != 60000 || lseek(fd, 0, SEEK_SET) != 0))
        perror("file"), exit(1);
    return fd;
}

static void open_connection(int pair[2]) {
    const int nonblocking = below(3) ? 0 : SOCK_NONBLOCK;
    struct pollfd pollfd = {listener, POLLIN, 0};
    pair[0] = socket(AF_INET, SOCK_STREAM | nonblocking, 0);
    if (below(2))
        setsockopt(pair[0], SOL_SOCKET, SO_SNDBUF, &(int){20000}, sizeof(int));
    if (below(3))
        set_timeouts(pair[0]);
    TELL("connect", connect(pair[0], (struct sockaddr *)&home, sizeof home), 0);
    poll(&pollfd, 1, 1000);
    TELL("accept4", pair[1] = accept4(listener, NULL, NULL, below(2) ? SOCK_NONBLOCK : 0), 0);
}

static void open_datagrams(int pair[2]) {
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof address;
    pair[0] = socket(AF_INET, SOCK_DGRAM, 0);
    pair[1] = socket(AF_INET, SOCK_DGRAM, 0);
    bind(pair[0], (struct sockaddr *)&address, len);
    getsockname(pair[0], (struct sockaddr *)&address, &len);
    TELL("connect", connect(pair[1], (struct sockaddr *)&address, len), 0);
    if (below(2) && getsockname(pair[1], (struct sockaddr *)&address, &len) == 0)
        connect(pair[0], (struct sockaddr *)&address, len);
}

static void open_two(void) {
    static const int kinds[] = {SOCK_STREAM, SOCK_STREAM, SOCK_SEQPACKET, SOCK_DGRAM};
    int pair[2] = {-1, -1};
    switch (below(8)) {
    case 0:
    case 1:
        TELL("socketpair", socketpair(AF_UNIX, ONE_OF(kinds) | (below(3) ? 0 : SOCK_NONBLOCK), 0, pair), 0);
        break;
    case 2:
        TELL("pipe2", pipe2(pair, O_NONBLOCK), 0);
        break;
    case 3:
        open_datagrams(pair);
        break;
    case 4:
        pair[0] = file();
        TELL("epoll_create1", pair[1] = epoll_create1(0), 0);
        break;
    default:
        open_connection(pair);
    }
    for (int i = 0; i < 2; i++) {
        struct stat st;
        if (pair[i] >= 0 && fstat(pair[i], &st) == 0 && S_ISSOCK(st.st_mode) && !(fcntl(pair[i], F_GETFL) & O_NONBLOCK))
            set_timeouts(pair[i]);
        keep(pair[i]);
    }
}

static size_t length(void) {
    static const size_t lengths[] = {0, 1, 2, 5, 100, 1000, 4096, 9000, 30000, 65536};
    return ONE_OF(lengths);
}

static int flags(void) {
    static const int all[] = {
        0,        0,           0, MSG_DONTWAIT, MSG_PEEK, MSG_WAITALL, MSG_OOB, MSG_TRUNC, MSG_PEEK | MSG_DONTWAIT,
        MSG_MORE, MSG_NOSIGNAL};
    return ONE_OF(all);
}

static struct msghdr message(struct iovec parts[3]) {
    const size_t len = length();
    parts[0] = (struct iovec){buffer, len / 2};
    parts[1] = (struct iovec){buffer + 40000, len / 3};
    parts[2] = (struct iovec){buffer + 60000, 7};
    return (struct msghdr){.msg_iov = parts, .msg_iovlen = below(4)};
}

/* Of the kernel's answers to receives of nothing one depends on time: they are left out of those that may wait. */
static void receive(int fd) {
    const size_t len = length();
    const int how = flags();
    memset(buffer, 0, 8);
    if (below(2))
        TELL("read", read(fd, buffer, len), checksum(buffer, 8));
    else if (len)
        TELL("recv", recv(fd, buffer, len, how), checksum(buffer, 8));
}

static void receive_messages(int fd) {
    struct iovec parts[3];
    struct msghdr msg = message(parts);
    if (below(3) == 0) {
        TELL("readv", readv(fd, parts, (int)msg.msg_iovlen), 0);
    } else if (msg.msg_iovlen == 3) {
        struct mmsghdr many[2] = {{.msg_hdr = msg}, {.msg_hdr = msg}};
        struct timespec timeout = {0, OWN_TIMEOUT * 1000};
        if (below(2))
            TELL("recvmsg", recvmsg(fd, &msg, flags()), msg.msg_flags);
        else
            TELL("recvmmsg", recvmmsg(fd, many, 2, flags(), &timeout), many[0].msg_len);
    }
}

static void send_messages(int fd) {
    struct iovec parts[3];
    const struct msghdr msg = message(parts);
    struct mmsghdr many[2] = {{.msg_hdr = msg}, {.msg_hdr = msg}};
    switch (below(3)) {
    case 0:
        TELL("writev", writev(fd, parts, (int)msg.msg_iovlen), 0);
        break;
    case 1:
        TELL("sendmsg", sendmsg(fd, &msg, flags()), 0);
        break;
    default:
        TELL("sendmmsg", sendmmsg(fd, many, 2, flags()), many[0].msg_len);
    }
}

static void send_bytes(int fd) {
    if (below(2))
        TELL("write", write(fd, buffer, length()), 0);
    else
        TELL("send", send(fd, buffer, length(), flags()), 0);
}

static void transfer(int fd) {
    off_t offset = 5;
    const int in = file();
    if (below(2))
        TELL("sendfile", sendfile(fd, in, below(2) ? &offset : NULL, length()), offset);
    else
        TELL("splice", splice(fd, NULL, any(), NULL, length(), below(2) ? SPLICE_F_NONBLOCK : 0), 0);
    close(in);
}

static void copy(int fd) {
    const int to = any();
    if (below(2))
        TELL("dup", (keep(dup(fd)), used), 0);
    else if (to >= 0 && to != fd)
        TELL("dup2", dup2(fd, to), 0);
}

static void shut(int fd) {
    if (below(2)) {
        TELL("shutdown", shutdown(fd, (int)below(4)), 0);
    } else if (used) {
        const int i = (int)below((unsigned)used);
        fd = fds[i];
        fds[i] = fds[--used];
        TELL("close", close(fd), 0);
    }
}

static void change_mode(int fd) {
    struct stat st;
    const int is_socket = fd >= 0 && fstat(fd, &st) == 0 && S_ISSOCK(st.st_mode);
    int on = 1, status = is_socket && below(2) ? 0 : O_NONBLOCK;
    if (!status)
        set_timeouts(fd);
    if (below(3))
        TELL("F_SETFL", fcntl(fd, F_SETFL, status), fcntl(fd, F_GETFL));
    else
        TELL("FIONBIO", ioctl(fd, FIONBIO, &on), fcntl(fd, F_GETFL));
}

static void read_option(int fd) {
    static const int of_socket[] = {SO_ERROR,     SO_TYPE,     SO_KEEPALIVE, SO_RCVLOWAT,
                                    SO_OOBINLINE, SO_RCVTIMEO, SO_SNDTIMEO};
    static const int of_tcp[] = {TCP_USER_TIMEOUT, TCP_KEEPIDLE, TCP_KEEPINTVL, TCP_KEEPCNT, TCP_SYNCNT, TCP_NODELAY};
    int value[4] = {7, 7, 7, 7};
    socklen_t len = sizeof value;
    const int level = below(2) ? SOL_SOCKET : IPPROTO_TCP;
    TELL("getsockopt", getsockopt(fd, level, level == SOL_SOCKET ? ONE_OF(of_socket) : ONE_OF(of_tcp), value, &len),
         checksum(value, sizeof value) + len);
}

static void write_option(int fd) {
    static const int of_socket[] = {SO_KEEPALIVE, SO_OOBINLINE, SO_RCVLOWAT};
    static const int of_tcp[][2] = {{TCP_USER_TIMEOUT, 5000}, {TCP_KEEPIDLE, 30}, {TCP_KEEPCNT, 4}, {TCP_SYNCNT, 3}};
    const struct timeval timeout = {0, below(2) ? OWN_TIMEOUT : 18000};
    const int one = 1, *option = of_tcp[below(LENGTH(of_tcp))];
    switch (below(3)) {
    case 0:
        TELL("setsockopt", setsockopt(fd, SOL_SOCKET, ONE_OF(of_socket), &one, below(8) ? sizeof one : 1), 0);
        break;
    case 1:
        TELL("setsockopt tcp", setsockopt(fd, IPPROTO_TCP, option[0], &option[1], sizeof(int)), 0);
        break;
    default:
        TELL("setsockopt timeout",
             setsockopt(fd, SOL_SOCKET, below(2) ? SO_RCVTIMEO : SO_SNDTIMEO, &timeout, below(9) ? sizeof timeout : 3),
             0);
    }
}

/* What is on its way between two sockets of this process arrives: an acknowledgement makes room a moment later than the
 * call that caused it, and a wait that follows at once finds it or not by chance. */
static void settle(void) {
    const struct timespec pause = {0, 2000000};
    nanosleep(&pause, NULL);
}

static void wait_in_poll(int unused) {
    static const short events[] = {POLLIN, POLLOUT, POLLIN | POLLOUT | POLLPRI, POLLRDHUP};
    const struct timespec timeout = {0, WAIT * 1000000};
    struct pollfd set[6];
    const nfds_t count = below(7);
    (void)unused;
    for (nfds_t i = 0; i < count; i++)
        set[i] = (struct pollfd){some(), ONE_OF(events), 0x55};
    settle();
    if (below(2))
        TELL("poll", poll(set, count, below(2) ? 0 : WAIT), checksum(set, (long)(count * sizeof *set)));
    else
        TELL("ppoll", ppoll(set, count, &timeout, NULL), checksum(set, (long)(count * sizeof *set)));
}

static void wait_in_select(int unused) {
    fd_set sets[3];
    struct timeval timeout = {0, below(2) ? 0 : WAIT * 1000};
    (void)unused;
    memset(sets, 0, sizeof sets);
    for (int i = 0; i < 9; i++) {
        const int fd = any();
        if (fd >= 0)
            FD_SET(fd, &sets[i / 3]);
    }
    settle();
    TELL("select",
         select(200, below(3) ? &sets[0] : NULL, below(3) ? &sets[1] : NULL, below(3) ? &sets[2] : NULL, &timeout),
         checksum(sets, sizeof sets));
}

static void change_set(int fd) {
    static const int operations[] = {EPOLL_CTL_ADD, EPOLL_CTL_ADD, EPOLL_CTL_MOD, EPOLL_CTL_DEL};
    static const uint32_t more[] = {0, 0, EPOLLET, EPOLLONESHOT, EPOLLRDHUP};
    struct epoll_event event = {.events = (below(2) ? EPOLLIN : EPOLLOUT) | ONE_OF(more), .data.u64 = below(1000)};
    TELL("epoll_ctl", epoll_ctl(fd, ONE_OF(operations), any(), &event), 0);
}

static void wait_in_epoll(int fd) {
    struct epoll_event events[5];
    memset(events, 0, sizeof events);
    settle();
    TELL("epoll_wait", epoll_wait(fd, events, (int)below(6), below(2) ? 0 : WAIT), checksum(events, sizeof events));
}

static void connect_again(int fd) {
    const struct sockaddr nothing = {.sa_family = AF_UNSPEC};
    if (below(2)) {
        TELL("connect to nothing", connect(fd, &nothing, sizeof nothing), 0);
    } else {
        TELL("connect", connect(fd, (struct sockaddr *)&home, sizeof home), 0);
        keep(accept4(listener, NULL, NULL, SOCK_NONBLOCK));
    }
}

static void open_more(int unused) {
    (void)unused;
    open_two();
}

static void on_pipe(int signal) {
    (void)signal;
    pipes++;
}

int main(int argc, char **argv) {
    static void (*const calls[])(int fd) = {
        open_more,    receive,        receive,     receive_messages, send_bytes,  send_bytes,    send_messages,
        transfer,     copy,           change_mode, read_option,      read_option, write_option,  wait_in_poll,
        wait_in_poll, wait_in_select, change_set,  change_set,       shut,        wait_in_epoll, connect_again};
    socklen_t len = sizeof home;
    if (argc < 3)
        return 2;
    state = strtoull(argv[1], NULL, 10) * UINT64_C(2654435761) + 12345;
    for (size_t i = 0; i < sizeof buffer; i++)
        buffer[i] = (char)(i * 7);
    signal(SIGPIPE, on_pipe);
    signal(SIGURG, SIG_IGN);
    setvbuf(stdout, NULL, _IOFBF, 1 << 20); /* not a call between the others */
    home = (struct sockaddr_in){.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
    if (bind(listener, (struct sockaddr *)&home, len) || listen(listener, 50) ||
        getsockname(listener, (struct sockaddr *)&home, &len))
        return perror("listen"), 1;
    for (int i = 0; i < 6; i++)
        open_two();
    for (const int steps = atoi(argv[2]); step < steps; step++) {
        if (step == steps / 3)
            refuse_all(argc - 3, argv + 3);
        calls[below(LENGTH(calls))](some());
    }
    return 0;
}
