/* System calls made by number, that the library has nothing to do with or must make as libc's syscall() does: bynumber
 * PORT */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

static int fd, got;
static char text[10];

/* Cancelled while it waits: it receives first, and ends at the next cancellation point. */
static void *receive(void *unused) {
    got = (int)syscall(SYS_recvfrom, fd, text, 5, 0, NULL, NULL);
    pthread_testcancel();
    return unused;
}

static int cancelled_after(void) {
    pthread_t thread;
    void *result;
    pthread_create(&thread, NULL, receive, NULL);
    usleep(100000);
    pthread_cancel(thread);
    pthread_join(thread, &result);
    return result == PTHREAD_CANCELED;
}

static void connect_to(const char *port) {
    struct sockaddr_in peer = {.sin_family = AF_INET, .sin_port = htons((uint16_t)atoi(port))};
    peer.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    fd = (int)syscall(SYS_socket, AF_INET, SOCK_STREAM, 0);
    printf("connect %ld\n", syscall(SYS_connect, fd, &peer, sizeof peer));
}

static void children(void) {
    int status = 0;
    long child = syscall(SYS_clone, SIGCHLD, 0, 0, 0, 0);
    if (child == 0)
        syscall(SYS_exit_group, 7);
    waitpid((pid_t)child, &status, 0);
    printf("child %d\n", WEXITSTATUS(status));
}

int main(int argc, char **argv) {
    if (argc != 2)
        return 2;
    char *mapped = (char *)syscall(SYS_mmap, NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    strcpy(mapped, "mapped");
    puts(mapped);
    errno = 0;
    printf("%ld", syscall(SYS_read, -1, text, 1));
    printf(" %d\n", errno);
    printf("%ld", syscall(SYS_poll, (void *)8, 1, 0));
    printf(" %d\n", errno);
    printf("%ld", syscall(100000));
    printf(" %d\n", errno);
    printf("flags %ld\n", syscall(SYS_fcntl, 0, F_GETFD));
    children();
    connect_to(argv[1]);
    int after = cancelled_after();
    printf("received %.*s, cancelled after %d\n", got, text, after);
    return 0;
}
