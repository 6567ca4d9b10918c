/* refused PORT WHAT... OPERATION: makes one operation on a connection to 127.0.0.1:PORT in a process in which calls
 * fail. WHAT is "nofile", RLIMIT_NOFILE of 0, or CALL=ERRNO, a system call that a filter denies which no hook has seen.
 * Tells what the operation gave, errno, the milliseconds that it took, and the milliseconds of processor time. An
 * operation with "+" is interrupted again and again by a handler that restarts. */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <poll.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/select.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#include "refuse.h"

static int fd = -1, listener = -1, set = -1, file = -1;
static struct sockaddr_in address;
static char buffer[1 << 20];

static int64_t now_ms(clockid_t clock) {
    struct timespec t;
    clock_gettime(clock, &t);
    return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

static long receive_all(void) {
    return recv(fd, buffer, 1000, MSG_WAITALL);
}

static long receive_many(void) {
    struct iovec part = {buffer, 100};
    struct mmsghdr message = {.msg_hdr = {.msg_iov = &part, .msg_iovlen = 1}};
    return recvmmsg(fd, &message, 1, 0, NULL) == 1 ? (long)message.msg_len : -1;
}

/* A signal ends the process when it has used 300 ms of processor time more: an operation that spins and does not return.
 * ITIMER_PROF counts whole ticks, which a process that wakes by a timer is charged for though it runs for microseconds. */
static void forbid_spins(void) {
    const struct itimerspec most = {.it_value = {0, 300000000}};
    struct sigevent event = {.sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGPROF};
    timer_t timer;
    if (timer_create(CLOCK_PROCESS_CPUTIME_ID, &event, &timer) == 0)
        timer_settime(timer, 0, &most, NULL);
}

/* Until there is no room, and once more. */
static long send_until(long (*call)(void)) {
    for (int i = 0; i < 40; i++)
        if (call() < 0)
            return -1;
    return 0;
}

static long send_once(void) {
    return send(fd, buffer, sizeof buffer, MSG_NOSIGNAL);
}

static long write_parts(void) {
    const struct iovec parts[2] = {{buffer, sizeof buffer / 2}, {buffer, sizeof buffer / 2}};
    return writev(fd, parts, 2);
}

static long send_file(void) {
    off_t from = 0;
    return sendfile(fd, file, &from, sizeof buffer);
}

static long poll_input(void) {
    struct pollfd p = {fd, POLLIN, 0};
    long ready;
    while ((ready = poll(&p, 1, 50)) == 0)
        ;
    return ready < 0 ? -1 : recv(fd, buffer, 100, 0);
}

static long select_input(void) {
    fd_set in;
    FD_ZERO(&in);
    FD_SET(fd, &in);
    return select(fd + 1, &in, NULL, NULL, NULL) < 0 ? -1 : recv(fd, buffer, 100, 0);
}

static long wait_for_set(void) {
    struct epoll_event event;
    return epoll_wait(set, &event, 1, -1) < 0 ? -1 : recv(fd, buffer, 100, 0);
}

static long connect_again(void) {
    int s = fd;
    return connect(s, (struct sockaddr *)&address, sizeof address);
}

static long look_up(void) {
    struct addrinfo *list = NULL;
    int error = getaddrinfo("nobody.test", NULL, NULL, &list);
    errno = 0;
    return error;
}

static long do_operation(const char *name) {
    if (!strcmp(name, "recv"))
        return recv(fd, buffer, 100, 0);
    if (!strcmp(name, "waitall"))
        return receive_all();
    if (!strcmp(name, "recvmmsg"))
        return receive_many();
    if (!strcmp(name, "send"))
        return send_until(send_once);
    if (!strcmp(name, "writev"))
        return send_until(write_parts);
    if (!strcmp(name, "sendfile"))
        return send_until(send_file);
    if (!strcmp(name, "poll"))
        return poll_input();
    if (!strcmp(name, "select"))
        return select_input();
    if (!strcmp(name, "epoll"))
        return wait_for_set();
    if (!strcmp(name, "accept"))
        return accept(listener, NULL, NULL);
    if (!strcmp(name, "connect"))
        return connect_again();
    return look_up();
}

static void handler(int number) {
    (void)number;
}

static void interrupt_often(void) {
    const struct sigaction action = {.sa_handler = handler, .sa_flags = SA_RESTART};
    const struct itimerval timer = {{0, 40000}, {0, 40000}};
    sigaction(SIGALRM, &action, NULL);
    setitimer(ITIMER_REAL, &timer, NULL);
}

static void prepare(const char *name) {
    struct epoll_event event = {.events = EPOLLIN};
    const int nonblocking = !strcmp(name, "poll") || !strcmp(name, "select") || !strcmp(name, "epoll");
    fd = socket(AF_INET, SOCK_STREAM, 0);
    if (strcmp(name, "connect") && connect(fd, (struct sockaddr *)&address, sizeof address))
        perror("connect"), exit(2);
    listener = socket(AF_INET, SOCK_STREAM, 0);
    listen(listener, 5);
    set = epoll_create1(0);
    epoll_ctl(set, EPOLL_CTL_ADD, fd, &event);
    file = fileno(tmpfile());
    if (write(file, buffer, sizeof buffer) != sizeof buffer)
        perror("file"), exit(2);
    if (nonblocking && fcntl(fd, F_SETFL, O_NONBLOCK))
        perror("fcntl"), exit(2);
}

int main(int argc, char **argv) {
    char *name = argv[argc - 1], *plus = strchr(name, '+');
    if (plus)
        *plus = 0;
    address = (struct sockaddr_in){
        .sin_family = AF_INET, .sin_port = htons((uint16_t)atoi(argv[1])), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    prepare(name);
    if (plus)
        interrupt_often();
    forbid_spins();
    refuse_all(argc - 3, argv + 2);
    const int64_t began = now_ms(CLOCK_MONOTONIC), used = now_ms(CLOCK_PROCESS_CPUTIME_ID);
    errno = 0;
    const long result = do_operation(name);
    const int error = errno;
    printf("%ld %d %d %d\n", result, result < 0 ? error : 0, (int)(now_ms(CLOCK_MONOTONIC) - began),
           (int)(now_ms(CLOCK_PROCESS_CPUTIME_ID) - used));
    return 0;
}
