/* A program that does to itself what daemons do, then talks to an echo server: process MODE HOST PORT.
 * Modes: threads (64 of them, each looking the name up and connecting), fork, vfork, chroot, closefrom. */
#include <fcntl.h>
#include <netdb.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

enum { THREADS = 64, ROUNDS = 10 };

static const char *host, *port;
static atomic_int good;

static int connect_to(const struct addrinfo *list) {
    for (; list; list = list->ai_next) {
        int fd = socket(list->ai_family, list->ai_socktype, list->ai_protocol);
        if (fd >= 0 && connect(fd, list->ai_addr, list->ai_addrlen) == 0)
            return fd;
        if (fd >= 0)
            close(fd);
    }
    return -1;
}

static int echoed(int fd) {
    char back[5];
    return write(fd, "hello", 5) == 5 && recv(fd, back, 5, MSG_WAITALL) == 5 && !memcmp(back, "hello", 5);
}

/* Looks up, connects, and hears the echo: 1, or 0 and the reason on standard error. */
static int talk(void) {
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM}, *list;
    int error = getaddrinfo(host, port, &hints, &list);
    if (error)
        return fprintf(stderr, "getaddrinfo: %s\n", gai_strerror(error)), 0;
    int fd = connect_to(list);
    freeaddrinfo(list);
    if (fd < 0)
        return perror("connect"), 0;
    int heard = echoed(fd);
    if (!heard)
        perror("echo");
    close(fd);
    return heard;
}

static void *talk_often(void *unused) {
    for (int i = 0; i < ROUNDS; i++)
        good += talk();
    return unused;
}

static int in_threads(void) {
    pthread_t threads[THREADS];
    for (int i = 0; i < THREADS; i++)
        if (pthread_create(&threads[i], NULL, talk_often, NULL))
            return perror("pthread_create"), 0;
    for (int i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    return good == THREADS * ROUNDS;
}

static int child_talks(pid_t child) {
    if (child == 0)
        _exit(!talk());
    int status;
    return child > 0 && waitpid(child, &status, 0) == child && status == 0;
}

/* Children of a process whose threads are in the middle of lookups. */
static int in_children(void) {
    pthread_t busy[8];
    int all = talk();
    for (int i = 0; i < 8; i++)
        pthread_create(&busy[i], NULL, talk_often, NULL);
    for (int i = 0; i < 20; i++)
        all &= child_talks(fork());
    for (int i = 0; i < 8; i++)
        pthread_join(busy[i], NULL);
    return all && talk() && good == 8 * ROUNDS;
}

static int after_vfork(char *self) {
    int status;
    pid_t child = vfork();
    if (child == 0) {
        execl(self, self, "quiet", host, port, NULL);
        _exit(127);
    }
    return waitpid(child, &status, 0) == child && status == 0 && talk();
}

/* The network without files: an address needs none. */
static int in_chroot(const char *directory) {
    return talk() && !chroot(directory) && !chdir("/") && talk();
}

/* Closes everything that is open, one by one and then at a stroke, where no hook sees it; a connection that was open
 * then has its number used for a file. */
static int after_closing_all(void) {
    int all = talk();
    for (int fd = 3; fd < 1024; fd++)
        close(fd);
    all &= talk();
    socket(AF_INET, SOCK_STREAM, 0);
    closefrom(3);
    char text[5];
    int file = open("/etc/hosts", O_RDONLY);
    all &= read(file, text, 5) == 5;
    return all && talk();
}

int main(int argc, char **argv) {
    if (argc < 4)
        return 2;
    const char *mode = argv[1];
    host = argv[2];
    port = argv[3];
    int good_end = !strcmp(mode, "threads")     ? in_threads()
                   : !strcmp(mode, "fork")      ? in_children()
                   : !strcmp(mode, "vfork")     ? after_vfork(argv[0])
                   : !strcmp(mode, "chroot")    ? in_chroot(argv[4])
                   : !strcmp(mode, "closefrom") ? after_closing_all()
                                                : talk();
    if (strcmp(mode, "quiet"))
        puts(good_end ? "all good" : "failed");
    return !good_end;
}
