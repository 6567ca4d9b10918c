/* Waits for two connections of its own that owe nothing, so that under RECV the library makes several waits of one:
 * what the masks of ppoll, pselect and epoll_pwait(2) let in and keep out, and how exact the program's own timeout is.
 * Usage: masks CALL letin|keptout|exact|refused; CALL also poll, select, epoll_wait for exact */
#include <arpa/inet.h>
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/select.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define OWN_MS 60

static const char *call;
static int fds[2], epfd;
static volatile sig_atomic_t ran, other_blocked;
static volatile double ran_at, sent_at, sent_by;
static int counted;
static pthread_t waiter;
static long delay_us, more_ns; /* beyond the milliseconds of a timeout */

static double now_ms(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec * 1e3 + (double)now.tv_nsec / 1e6;
}

static void handler(int number) {
    sigset_t mask;
    (void)number;
    ran++;
    ran_at = now_ms();
    pthread_sigmask(SIG_BLOCK, NULL, &mask);
    other_blocked = sigismember(&mask, SIGUSR2);
}

static void *sender(void *unused) {
    usleep((useconds_t)delay_us);
    sent_at = now_ms();
    pthread_kill(waiter, SIGUSR1);
    sent_by = now_ms();
    return unused;
}

static void connect_both(void) {
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t length = sizeof at;
    int listener = socket(AF_INET, SOCK_STREAM, 0);
    bind(listener, (struct sockaddr *)&at, sizeof at);
    listen(listener, 5);
    getsockname(listener, (struct sockaddr *)&at, &length);
    epfd = epoll_create1(0);
    for (int i = 0; i < 2; i++) {
        char byte;
        fds[i] = socket(AF_INET, SOCK_STREAM, 0);
        if (connect(fds[i], (struct sockaddr *)&at, sizeof at) || write(accept(listener, NULL, NULL), "x", 1) != 1 ||
            read(fds[i], &byte, 1) != 1)
            exit(3);
        epoll_ctl(epfd, EPOLL_CTL_ADD, fds[i], &(struct epoll_event){.events = EPOLLIN});
    }
}

static int wait_both(int ms, const sigset_t *mask) {
    struct timespec ts = {ms / 1000, ms % 1000 * 1000000L + more_ns}, *timeout = ms < 0 ? NULL : &ts;
    struct timeval tv = {ms / 1000, ms % 1000 * 1000};
    struct pollfd both[2] = {{.fd = fds[0], .events = POLLIN}, {.fd = fds[1], .events = POLLIN}};
    struct epoll_event events[2];
    fd_set in;
    FD_ZERO(&in);
    FD_SET(fds[0], &in);
    FD_SET(fds[1], &in);
    if (!strcmp(call, "ppoll"))
        return ppoll(both, 2, timeout, mask);
    if (!strcmp(call, "pselect"))
        return pselect(fds[1] + 1, &in, NULL, NULL, timeout, mask);
    if (!strcmp(call, "epoll_pwait"))
        return epoll_pwait(epfd, events, 2, ms, mask);
    if (!strcmp(call, "epoll_pwait2"))
        return epoll_pwait2(epfd, events, 2, timeout, mask);
    if (!strcmp(call, "poll"))
        return poll(both, 2, ms);
    if (!strcmp(call, "select"))
        return select(fds[1] + 1, &in, NULL, NULL, &tv);
    return epoll_wait(epfd, events, 2, ms);
}

/* One wait with a signal in the middle; what it came to as a word. */
static const char *wait_with_signal(int ms, const sigset_t *mask, int error) {
    pthread_t thread;
    ran = 0;
    delay_us = 1000 + random() % (ms < 0 ? 30000 : (OWN_MS - 20) * 1000);
    pthread_create(&thread, NULL, sender, NULL);
    double began = now_ms();
    int result = wait_both(ms, mask);
    int got = result < 0 ? errno : 0, times = ran;
    double ended = now_ms();
    pthread_join(thread, NULL);
    if (ms >= 0 && (sent_at < began + 2 || sent_by > began + ms - 10))
        return NULL; /* a busy machine: not sent during the wait */
    counted++;
    sigset_t after;
    pthread_sigmask(SIG_BLOCK, NULL, &after);
    if (got != error || result > 0)
        return "wrong result";
    if (times != 1 || ran != 1)
        return "handler not run once";
    if (ms >= 0 && (ran_at - began < ms || ended - began < ms))
        return "handler run or wait over before its time";
    if (other_blocked != (ms < 0))
        return "wrong mask in the handler";
    if (sigismember(&after, SIGUSR2) || sigismember(&after, SIGUSR1) != (ms < 0))
        return "wrong mask afterwards";
    return NULL;
}

static const char *exact(void) {
    double latest = 0, least = 1e9;
    for (int i = 0; i < 15; i++) {
        int ms = 20 + 3 * i;
        double began = now_ms();
        int result = wait_both(ms, NULL);
        double late = now_ms() - began - ms;
        if (result != 0)
            return "wrong result";
        if (late < 0)
            return "early";
        latest = late > latest ? late : latest;
        least = late < least ? late : least;
    }
    fprintf(stderr, "%.2f to %.2f ms late\n", least, latest);
    return least < 30 ? NULL : "late";
}

/* The very first wait is given a timeout that the kernel does not take. */
static const char *refused(void) {
    more_ns = 1000000000L;
    return wait_both(OWN_MS, NULL) == -1 && errno == EINVAL ? NULL : "not refused";
}

int main(int argc, char **argv) {
    if (argc != 3)
        return 2;
    call = argv[1];
    waiter = pthread_self();
    sigaction(SIGUSR1, &(struct sigaction){.sa_handler = handler}, NULL);
    connect_both();
    const char *wrong = NULL;
    sigset_t mask, one;
    sigemptyset(&mask);
    sigemptyset(&one);
    sigaddset(&one, SIGUSR1);
    if (!strcmp(argv[2], "letin")) {
        pthread_sigmask(SIG_BLOCK, &one, NULL);
        sigaddset(&mask, SIGUSR2);
        while (counted < 60 && !wrong)
            wrong = wait_with_signal(-1, &mask, EINTR);
    } else if (!strcmp(argv[2], "keptout")) {
        sigaddset(&mask, SIGUSR1);
        while (counted < 10 && !wrong)
            wrong = wait_with_signal(OWN_MS, &mask, 0);
    } else if (!strcmp(argv[2], "refused")) {
        wrong = refused();
    } else {
        wrong = exact();
    }
    puts(wrong ? wrong : "good");
    return 0;
}
