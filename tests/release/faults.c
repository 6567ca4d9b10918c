/* Makes one call after another that would wait for ever, and checks that each fails in time. Linked at the release's
 * floor, it runs on every host that a release file does; needs a private network whose name server is 127.0.0.1 (root,
 * for port 53). Limits: RECV, SEND, CONNECT and RESOLVE of 500ms. Prints a line for each call; exit status 1 if one was
 * wrong. */
#include <arpa/inet.h>
#include <dlfcn.h>
#include <errno.h>
#include <netdb.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static const double EARLIEST = 0.45, LATEST = 6.0; /* an emulator on a busy machine is slow */
static int failed;

static double now(void) {
    struct timespec ts;
    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

static void check(const char *what, double began, int good) {
    int error = errno;
    double took = now() - began;
    good = good && took > EARLIEST && took < LATEST;
    printf("%-20s %.2f s, %s: %s\n", what, took, strerror(error), good ? "ok" : "WRONG");
    failed |= !good;
}

/* A socket of 127.0.0.1: bound to `port` and, as a stream, listening with the shortest queue. */
static int serve(int type, int port, struct sockaddr_in *at) {
    socklen_t len = sizeof *at;
    int fd = socket(AF_INET, type, 0);
    *at = (struct sockaddr_in){.sin_family = AF_INET, .sin_port = htons((unsigned short)port)};
    at->sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (bind(fd, (struct sockaddr *)at, len) != 0 || (type == SOCK_STREAM && listen(fd, 0) != 0)) {
        perror("cannot serve");
        _exit(2);
    }
    getsockname(fd, (struct sockaddr *)at, &len);
    return fd;
}

static int reach(const struct sockaddr_in *at, int flags) {
    int fd = socket(AF_INET, SOCK_STREAM | flags, 0);
    if (connect(fd, (const struct sockaddr *)at, sizeof *at) != 0 && errno != EINPROGRESS) {
        perror("cannot connect");
        _exit(2);
    }
    return fd;
}

static void receive(const char *what) {
    struct sockaddr_in at;
    char buffer[10];
    int listener = serve(SOCK_STREAM, 0, &at), fd = reach(&at, 0);
    double began = now();
    check(what, began, recv(fd, buffer, sizeof buffer, 0) == -1 && errno == ETIMEDOUT);
    if (recv(fd, buffer, sizeof buffer, 0) >= 0) /* no end of file after it */
        failed = 1;
    close(fd);
    close(listener);
}

static void transmit(void) {
    static char bytes[1 << 16];
    struct sockaddr_in at;
    ssize_t sent;
    int listener = serve(SOCK_STREAM, 0, &at), fd = reach(&at, 0);
    double began = now();
    do
        sent = write(fd, bytes, sizeof bytes);
    while (sent > 0);
    check("write", began, sent == -1 && errno == ETIMEDOUT);
    close(fd);
    close(listener);
}

static void reach_full_queue(void) {
    struct sockaddr_in at;
    int listener = serve(SOCK_STREAM, 0, &at), error = 0;
    socklen_t len = sizeof error;
    reach(&at, 0);
    usleep(100000);
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    double began = now();
    int result = connect(fd, (struct sockaddr *)&at, sizeof at);
    check("connect", began, result == -1 && errno == ETIMEDOUT);

    fd = reach(&at, SOCK_NONBLOCK);
    struct pollfd pollfd = {.fd = fd, .events = POLLOUT};
    began = now();
    poll(&pollfd, 1, 10000);
    getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &len);
    errno = error;
    check("connect and poll", began, error == ETIMEDOUT);
    close(listener);
}

static void look_up(const char *what) {
    struct addrinfo *found;
    double began = now();
    int error = getaddrinfo("www.example.test", "80", NULL, &found);
    check(what, began, error == EAI_AGAIN);
}

static void *in_thread(void *arg) {
    (void)arg;
    receive("recv in a thread");
    look_up("lookup in a thread");
    return NULL;
}

/* By way of dlsym, so that the program can do without libpthread where that is a library of its own. */
static void run_thread(void) {
    typedef int create_fn(pthread_t *, const pthread_attr_t *, void *(*)(void *), void *);
    typedef int join_fn(pthread_t, void **);
    void *library = dlopen("libpthread.so.0", RTLD_NOW | RTLD_GLOBAL);
    create_fn *create = (create_fn *)dlsym(library, "pthread_create");
    join_fn *join = (join_fn *)dlsym(library, "pthread_join");
    pthread_t thread;
    if (!create || !join || create(&thread, NULL, in_thread, NULL) != 0 || join(thread, NULL) != 0) {
        printf("no thread: WRONG\n");
        failed = 1;
    }
}

int main(void) {
    struct sockaddr_in at;
    int status;
    setvbuf(stdout, NULL, _IOLBF, 0);
    serve(SOCK_DGRAM, 53, &at); /* and says nothing */
    receive("recv");
    transmit();
    reach_full_queue();
    look_up("lookup");
    pid_t child = fork();
    if (child == 0) {
        receive("recv in a child");
        look_up("lookup in a child");
        _exit(failed);
    }
    waitpid(child, &status, 0);
    failed |= status != 0;
    run_thread();
    return failed;
}
