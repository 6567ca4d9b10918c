/* Makes the calls named on the command line, one after the other, on one descriptor, and tells of each: its name, what
 * it returned, errno, when it began and how long it took in milliseconds, and what else there is to say. The tests read
 * these lines. Names are NAME[:ARGUMENT[:ARGUMENT]]; the table is at the end. */
#include <arpa/inet.h>
#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/select.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

static int fd = -1;
static char more[64]; /* what a call says besides its result */
static char buffer[1 << 20];

static double now_ms(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec * 1e3 + (double)t.tv_nsec / 1e6;
}

static long number(const char *text, long otherwise) {
    return text ? strtol(text, NULL, 10) : otherwise;
}

static void pause_ms(long ms) {
    struct timespec left = {ms / 1000, ms % 1000 * 1000000};
    while (nanosleep(&left, &left) && errno == EINTR)
        ;
}

/* A step that is one expression of its arguments, a and b. */
#define STEP(name, expression)                                                                                         \
    static long do_##name(char *a, char *b) {                                                                          \
        (void)a, (void)b;                                                                                              \
        return (expression);                                                                                           \
    }                                                                                                                  \
    _Static_assert(1, "")

/* --- birth and end --- */

static long make(int domain, int type) {
    if (fd >= 0)
        close(fd);
    return fd = socket(domain, type, 0);
}

/* Connects the descriptor that stands. */
static long do_again(char *host, char *port) {
    struct sockaddr_in inet = {.sin_family = AF_INET, .sin_port = htons((uint16_t)number(port, 0))};
    struct sockaddr_un local = {.sun_family = AF_UNIX};
    if (*host == '/') {
        strncpy(local.sun_path, host, sizeof local.sun_path - 1);
        return connect(fd, (struct sockaddr *)&local, sizeof local);
    }
    inet_pton(AF_INET, host, &inet.sin_addr);
    return connect(fd, (struct sockaddr *)&inet, sizeof inet);
}

static long connect_to(char *host, char *port, int type) {
    make(*host == '/' ? AF_UNIX : AF_INET, type);
    return do_again(host, port);
}

STEP(connect, connect_to(a, b, SOCK_STREAM));
STEP(start, connect_to(a, b, SOCK_STREAM | SOCK_NONBLOCK));
STEP(udp, connect_to(a, b, SOCK_DGRAM));

STEP(socket, make(AF_INET, SOCK_STREAM));

/* Listens on a free port, tells it, and goes on with the first connection. */
static long do_accept(char *a, char *b) {
    (void)a, (void)b;
    struct sockaddr_in inet = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof inet;
    int listener = socket(AF_INET, SOCK_STREAM, 0);
    if (bind(listener, (struct sockaddr *)&inet, len) || listen(listener, 5) ||
        getsockname(listener, (struct sockaddr *)&inet, &len))
        return -1;
    printf("port %d\n", ntohs(inet.sin_port));
    fflush(stdout);
    return fd = accept(listener, NULL, NULL);
}

/* The child writes a byte into `to` after ms. */
static long byte_after(int from, int to, char *ms) {
    if (fork() == 0) {
        pause_ms(number(ms, 0));
        _exit(write(to, "x", 1) != 1);
    }
    return fd = from;
}

static long do_pipe(char *ms, char *b) {
    (void)b;
    int ends[2];
    return pipe(ends) ? -1 : byte_after(ends[0], ends[1], ms);
}

static long do_socketpair(char *ms, char *b) {
    (void)b;
    int ends[2];
    return socketpair(AF_UNIX, SOCK_STREAM, 0, ends) ? -1 : byte_after(ends[0], ends[1], ms);
}

STEP(close, close(fd));
STEP(dup, fd = dup(fd));
STEP(onto, fd = dup2(fd, (int)number(a, 0)));

/* libc's own syscall, which no hook sees. */
static long (*unseen(void))(long, ...) {
    return (long (*)(long, ...))dlsym(dlopen("libc.so.6", RTLD_NOW), "syscall");
}

/* Closes the descriptor and connects a new socket of the same number, all where no hook sees it. */
static long do_replace(char *host, char *port) {
    struct sockaddr_in inet = {.sin_family = AF_INET, .sin_port = htons((uint16_t)number(port, 0))};
    inet_pton(AF_INET, host, &inet.sin_addr);
    unseen()(SYS_close, fd);
    long made = unseen()(SYS_socket, AF_INET, SOCK_STREAM, 0);
    return made != fd ? -1 : unseen()(SYS_connect, fd, &inet, sizeof inet);
}
STEP(shutdown, shutdown(fd, SHUT_WR));

/* --- receiving and sending --- */

static long told(long got) {
    if (got > 0)
        snprintf(more, sizeof more, "%.*s", (int)(got < 40 ? got : 40), buffer);
    return got;
}

static struct iovec *vector(long len) {
    static struct iovec parts[2];
    size_t half = (size_t)len / 2;
    parts[0] = (struct iovec){buffer, half};
    parts[1] = (struct iovec){buffer + half, (size_t)len - half};
    return parts;
}

static struct msghdr *header(long len) {
    static struct msghdr message;
    message = (struct msghdr){.msg_iov = vector(len), .msg_iovlen = 2};
    return &message;
}

static size_t room(char *len) {
    return (size_t)number(len, 1000);
}

STEP(recv, told(recv(fd, buffer, room(a), 0)));
STEP(read, told(read(fd, buffer, room(a))));
STEP(readv, told(readv(fd, vector(number(a, 1000)), 2)));
STEP(preadv2, told(preadv2(fd, vector(number(a, 1000)), 2, -1, 0)));
STEP(recvfrom, told(recvfrom(fd, buffer, room(a), 0, NULL, NULL)));
STEP(recvmsg, told(recvmsg(fd, header(number(a, 1000)), 0)));
STEP(dontwait, told(recv(fd, buffer, room(a), MSG_DONTWAIT)));
STEP(peek, told(recv(fd, buffer, room(a), MSG_PEEK)));
STEP(waitall, told(recv(fd, buffer, room(a), MSG_WAITALL)));

/* A line through stdio, which calls read inside libc. */
static long do_fgets(char *a, char *b) {
    (void)a, (void)b;
    FILE *stream = fdopen(dup(fd), "r");
    char *line = fgets(buffer, 100, stream);
    int error = errno;
    long length = line ? told((long)strlen(line)) : -1;
    fclose(stream);
    errno = error;
    return length;
}

STEP(send, send(fd, buffer, room(a), 0));
STEP(sendto, sendto(fd, buffer, room(a), 0, NULL, 0));
STEP(sendmsg, sendmsg(fd, header(number(a, 1000)), 0));
STEP(write, write(fd, buffer, room(a)));
STEP(writev, writev(fd, vector(number(a, 1000)), 2));
STEP(pwritev2, pwritev2(fd, vector(number(a, 1000)), 2, -1, 0));

/* Sends until there is no room, also not after the peer's kernel has taken what it could. */
static long do_fill(char *a, char *b) {
    (void)a, (void)b;
    long total = 0;
    for (int quiet = 0; quiet < 4; quiet++) {
        for (ssize_t sent; (sent = send(fd, buffer, 65536, MSG_DONTWAIT)) > 0; quiet = 0)
            total += sent;
        pause_ms(50);
    }
    return total;
}

/* --- waiting --- */

static short events(const char *name) {
    return (short)((strstr(name, "in") ? POLLIN : 0) | (strstr(name, "out") ? POLLOUT : 0));
}

static long do_poll(char *what, char *ms) {
    struct pollfd waiting = {.fd = fd, .events = events(what)};
    int ready = poll(&waiting, 1, (int)number(ms, -1));
    snprintf(more, sizeof more, "%s%s%s%s", waiting.revents & POLLIN ? "IN " : "",
             waiting.revents & POLLOUT ? "OUT " : "", waiting.revents & POLLERR ? "ERR " : "",
             waiting.revents & POLLHUP ? "HUP" : "");
    return ready;
}

static long do_select(char *what, char *ms) {
    fd_set in, out;
    struct timeval limit = {number(ms, 0) / 1000, number(ms, 0) % 1000 * 1000};
    FD_ZERO(&in);
    FD_ZERO(&out);
    FD_SET(fd, events(what) & POLLIN ? &in : &out);
    return select(fd + 1, &in, &out, NULL, ms ? &limit : NULL);
}

/* Polls in short waits until something happens, as programs with timers do; an interruption is no event. */
static long do_polls(char *what, char *ms) {
    long ready;
    do
        ready = do_poll(what, ms);
    while (ready == 0 || (ready < 0 && errno == EINTR));
    return ready;
}

/* --- the same by number --- */

static struct sockaddr_in *address(const char *host, const char *port) {
    static struct sockaddr_in inet;
    inet = (struct sockaddr_in){.sin_family = AF_INET, .sin_port = htons((uint16_t)number(port, 0))};
    inet_pton(AF_INET, host, &inet.sin_addr);
    return &inet;
}

STEP(sysconnect, (fd = (int)syscall(SYS_socket, AF_INET, SOCK_STREAM, 0),
                  syscall(SYS_connect, fd, address(a, b), sizeof(struct sockaddr_in))));
STEP(sysread, told(syscall(SYS_read, fd, buffer, room(a))));
STEP(sysreadv, told(syscall(SYS_readv, fd, vector(number(a, 1000)), 2)));
STEP(syspreadv2, told(syscall(SYS_preadv2, fd, vector(number(a, 1000)), 2, -1L, -1L, 0)));
STEP(sysrecvfrom, told(syscall(SYS_recvfrom, fd, buffer, room(a), 0, NULL, NULL)));
STEP(sysrecvmsg, told(syscall(SYS_recvmsg, fd, header(number(a, 1000)), 0)));
STEP(syswrite, syscall(SYS_write, fd, buffer, room(a)));
STEP(syswritev, syscall(SYS_writev, fd, vector(number(a, 1000)), 2));
STEP(syspwritev2, syscall(SYS_pwritev2, fd, vector(number(a, 1000)), 2, -1L, -1L, 0));
STEP(syssendto, syscall(SYS_sendto, fd, buffer, room(a), 0, NULL, 0));
STEP(syssendmsg, syscall(SYS_sendmsg, fd, header(number(a, 1000)), 0));

static long do_sysppoll(char *what, char *ms) {
    struct pollfd waiting = {.fd = fd, .events = events(what)};
    struct timespec limit = {number(ms, 0) / 1000, number(ms, 0) % 1000 * 1000000};
    long ready = syscall(SYS_ppoll, &waiting, 1, ms ? &limit : NULL, NULL, 8);
    snprintf(more, sizeof more, "left %ld", (long)limit.tv_sec * 1000 + limit.tv_nsec / 1000000);
    return ready;
}

static long do_syspselect(char *what, char *ms) {
    fd_set in, out;
    struct timespec limit = {number(ms, 0) / 1000, number(ms, 0) % 1000 * 1000000};
    FD_ZERO(&in);
    FD_ZERO(&out);
    FD_SET(fd, events(what) & POLLIN ? &in : &out);
    return syscall(SYS_pselect6, fd + 1, &in, &out, NULL, ms ? &limit : NULL, NULL);
}

static long do_sysepoll(char *what, char *ms) {
    struct epoll_event event = {.events = (uint32_t)events(what)};
    int set = epoll_create1(0);
    syscall(SYS_epoll_ctl, set, EPOLL_CTL_ADD, fd, &event);
    long ready = syscall(SYS_epoll_pwait, set, &event, 1, (int)number(ms, -1), NULL, 8);
    close(set);
    return ready;
}

STEP(sleep, (pause_ms(number(a, 0)), 0));

static void handler(int number_) {
    (void)number_;
}

/* A SIGALRM each ms, to a handler that wants interrupted calls restarted, or not. */
static long do_alarm(char *ms, char *restart) {
    struct sigaction action = {.sa_handler = handler,
                               .sa_flags = restart && !strcmp(restart, "restart") ? SA_RESTART : 0};
    struct itimerval timer = {.it_interval = {number(ms, 0) / 1000, number(ms, 0) % 1000 * 1000}};
    timer.it_value = timer.it_interval;
    return sigaction(SIGALRM, &action, NULL) ? -1 : setitimer(ITIMER_REAL, &timer, NULL);
}

static sigjmp_buf out;

static void jump(int number_) {
    (void)number_;
    siglongjmp(out, 1);
}

/* Connects, and jumps out of it after 150 ms. */
static long do_jump(char *host, char *port) {
    struct itimerval timer = {.it_value = {0, 150000}};
    signal(SIGALRM, jump);
    if (sigsetjmp(out, 1))
        return -2;
    setitimer(ITIMER_REAL, &timer, NULL);
    return connect_to(host, port, SOCK_STREAM);
}

/* A handler for crashes, as many programs have one; it does not ask for restarts. */
static long do_crashes(char *a, char *b) {
    (void)a, (void)b;
    struct sigaction action = {.sa_handler = handler};
    return sigaction(SIGSEGV, &action, NULL) + sigaction(SIGBUS, &action, NULL) + sigaction(SIGFPE, &action, NULL);
}

/* --- options and modes --- */

static const struct option {
    const char *name;
    int level, option;
} options[] = {
    {"rcvtimeo", SOL_SOCKET, SO_RCVTIMEO},
    {"sndtimeo", SOL_SOCKET, SO_SNDTIMEO},
    {"error", SOL_SOCKET, SO_ERROR},
    {"keepalive", SOL_SOCKET, SO_KEEPALIVE},
    {"sndbuf", SOL_SOCKET, SO_SNDBUF},
    {"syncnt", IPPROTO_TCP, TCP_SYNCNT},
    {"usertimeout", IPPROTO_TCP, TCP_USER_TIMEOUT},
    {"keepidle", IPPROTO_TCP, TCP_KEEPIDLE},
};

static const struct option *option(const char *name) {
    for (const struct option *each = options;; each++)
        if (!strcmp(each->name, name))
            return each;
}

union value {
    int number;
    struct timeval time;
};

/* Times in milliseconds. */
static long plain(const union value *got, socklen_t len) {
    return len == sizeof got->time ? got->time.tv_sec * 1000 + got->time.tv_usec / 1000 : got->number;
}

static long do_get(char *name, char *b) {
    (void)b;
    union value got;
    socklen_t len = sizeof got;
    return getsockopt(fd, option(name)->level, option(name)->option, &got, &len) ? -1 : plain(&got, len);
}

/* What the kernel says, with no library in between. */
static long do_really(char *name, char *b) {
    (void)b;
    union value got;
    socklen_t len = sizeof got;
    return unseen()(SYS_getsockopt, fd, option(name)->level, option(name)->option, &got, &len) ? -1 : plain(&got, len);
}

static long do_set(char *name, char *value) {
    const struct option *asked = option(name);
    struct timeval time = {number(value, 0) / 1000, number(value, 0) % 1000 * 1000};
    int whole = (int)number(value, 0);
    return strstr(name, "timeo") && asked->level == SOL_SOCKET
               ? setsockopt(fd, asked->level, asked->option, &time, sizeof time)
               : setsockopt(fd, asked->level, asked->option, &whole, sizeof whole);
}

STEP(nonblock, fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK));
STEP(block, fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) & ~O_NONBLOCK));
STEP(flags, !!(fcntl(fd, F_GETFL) & O_NONBLOCK));

static long entries(const char *path) {
    long count = 0;
    DIR *directory = opendir(path);
    if (!directory)
        return -1;
    while (readdir(directory))
        count++;
    closedir(directory);
    return count - 2;
}

STEP(descriptors, entries("/proc/self/fd") - 1);
STEP(threads, entries("/proc/self/task"));

#define CALL(name)                                                                                                     \
    { #name, do_##name }
static const struct {
    const char *name;
    long (*make)(char *, char *);
} calls[] = {
    CALL(connect),     CALL(start),     CALL(udp),        CALL(again),       CALL(accept),      CALL(pipe),
    CALL(socketpair),  CALL(close),     CALL(dup),        CALL(recv),        CALL(read),        CALL(readv),
    CALL(recvfrom),    CALL(recvmsg),   CALL(dontwait),   CALL(peek),        CALL(waitall),     CALL(send),
    CALL(sendto),      CALL(sendmsg),   CALL(write),      CALL(writev),      CALL(fill),        CALL(poll),
    CALL(polls),       CALL(select),    CALL(shutdown),   CALL(sleep),       CALL(alarm),       CALL(get),
    CALL(set),         CALL(nonblock),  CALL(block),      CALL(flags),       CALL(threads),     CALL(jump),
    CALL(sysconnect),  CALL(sysread),   CALL(sysreadv),   CALL(sysrecvfrom), CALL(sysrecvmsg),  CALL(syswrite),
    CALL(syswritev),   CALL(syssendto), CALL(syssendmsg), CALL(sysppoll),    CALL(syspselect),  CALL(sysepoll),
    CALL(socket),      CALL(onto),      CALL(replace),    CALL(fgets),       CALL(crashes),     CALL(really),
    CALL(descriptors), CALL(preadv2),   CALL(pwritev2),   CALL(syspreadv2),  CALL(syspwritev2),
};

int main(int argc, char **argv) {
    struct rlimit descriptors;
    getrlimit(RLIMIT_NOFILE, &descriptors);
    descriptors.rlim_cur = descriptors.rlim_max;
    setrlimit(RLIMIT_NOFILE, &descriptors);
    memset(buffer, 'x', sizeof buffer);
    for (int i = 1; i < argc; i++) {
        char *name = strtok(argv[i], ":"), *a = strtok(NULL, ":"), *b = strtok(NULL, ":");
        for (size_t k = 0; k < sizeof calls / sizeof *calls; k++) {
            if (strcmp(calls[k].name, name))
                continue;
            *more = 0;
            errno = 0;
            double began = now_ms();
            long result = calls[k].make(a, b);
            int error = errno;
            printf("%s %ld %d %.3f %.3f %s\n", name, result, result < 0 ? error : 0, began, now_ms() - began, more);
            fflush(stdout);
        }
    }
    return 0;
}
