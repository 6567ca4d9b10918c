/* Leaves a call that waits by other ways than its return: cancel CALL HOST PORT, by pthread_cancel, then by siglongjmp
 * out of a handler. Afterwards a talk with the echo server on ECHO-PORT must go as ever. CALL: recv, send, connect,
 * poll, select. Usage: cancel CALL HOST PORT ECHO-PORT */
#include <arpa/inet.h>
#include <poll.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/select.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

static const char *call;
static struct sockaddr_in peer, echo;
static int cleaned;
static sigjmp_buf out;

static int connected(const struct sockaddr_in *to) {
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    return connect(fd, (const struct sockaddr *)to, sizeof *to) ? -1 : fd;
}

static void wait_in_call(void) {
    char byte, *much = calloc(1, 1 << 20);
    fd_set in;
    int fd = connected(&peer);
    struct pollfd ready = {.fd = fd, .events = POLLIN};
    FD_ZERO(&in);
    FD_SET(fd, &in);
    if (!strcmp(call, "recv"))
        recv(fd, &byte, 1, 0);
    else if (!strcmp(call, "send"))
        while (send(fd, much, 1 << 20, 0) > 0)
            ;
    else if (!strcmp(call, "poll"))
        poll(&ready, 1, -1);
    else if (!strcmp(call, "select"))
        select(fd + 1, &in, NULL, NULL, NULL);
}

static void clean(void *unused) {
    (void)unused;
    cleaned = 1;
}

static void *thread(void *unused) {
    pthread_cleanup_push(clean, NULL);
    wait_in_call();
    pthread_cleanup_pop(0);
    return unused;
}

static int leave_by_cancel(void) {
    pthread_t waiting;
    void *result;
    pthread_create(&waiting, NULL, thread, NULL);
    usleep(150000);
    pthread_cancel(waiting);
    pthread_join(waiting, &result);
    return result == PTHREAD_CANCELED && cleaned;
}

static void jump(int number) {
    (void)number;
    siglongjmp(out, 1);
}

static int leave_by_jump(void) {
    struct itimerval timer = {.it_value = {0, 150000}};
    signal(SIGALRM, jump);
    if (sigsetjmp(out, 1))
        return 1;
    setitimer(ITIMER_REAL, &timer, NULL);
    wait_in_call();
    return 0;
}

static int talks(void) {
    char back[5];
    int fd = connected(&echo);
    return send(fd, "hello", 5, 0) == 5 && recv(fd, back, 5, MSG_WAITALL) == 5 && !memcmp(back, "hello", 5);
}

int main(int argc, char **argv) {
    if (argc != 5)
        return 2;
    call = argv[1];
    peer = (struct sockaddr_in){.sin_family = AF_INET, .sin_port = htons((uint16_t)atoi(argv[3]))};
    inet_pton(AF_INET, argv[2], &peer.sin_addr);
    echo = (struct sockaddr_in){.sin_family = AF_INET, .sin_port = htons((uint16_t)atoi(argv[4]))};
    echo.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    int cancelled = leave_by_cancel();
    int after_cancel = talks();
    int jumped = leave_by_jump();
    int after_jump = talks();
    printf("cancelled %d, talks %d, jumped %d, talks %d\n", cancelled, after_cancel, jumped, after_jump);
    return 0;
}
