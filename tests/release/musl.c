/* A program for musl, which loads the library with its own libc in the place of glibc's: everything works as without
 * it. Exit status 1: something did not. */
#include <netdb.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

static int failed;

static void check(const char *what, int good) {
    if (!good)
        printf("%s: WRONG\n", what);
    failed |= !good;
}

static void *work(void *arg) {
    int ends[2];
    char text[4] = "";
    struct iovec iov = {text, 3};
    struct msghdr msg = {.msg_iov = &iov, .msg_iovlen = 1};
    struct pollfd pollfd = {.events = POLLIN};
    check("socketpair", socketpair(AF_UNIX, SOCK_STREAM, 0, ends) == 0);
    check("write, read", write(ends[0], "abc", 3) == 3 && read(ends[1], text, 4) == 3 && strcmp(text, "abc") == 0);
    check("sendmsg, recvmsg", sendmsg(ends[0], &msg, 0) == 3 && recvmsg(ends[1], &msg, 0) == 3);
    pollfd.fd = ends[1];
    check("poll", poll(&pollfd, 1, 20) == 0);
    close(ends[0]);
    check("end of file", read(ends[1], text, 1) == 0);
    close(ends[1]);
    return arg;
}

int main(void) {
    struct addrinfo *found;
    pthread_t thread;
    int status = 1;
    work(NULL);
    check("thread", pthread_create(&thread, NULL, work, NULL) == 0 && pthread_join(thread, NULL) == 0);
    check("getaddrinfo", getaddrinfo("127.0.0.1", "80", NULL, &found) == 0);
    freeaddrinfo(found);
    check("gethostbyname", gethostbyname("127.0.0.1") != NULL);
    fflush(stdout);
    pid_t child = fork();
    if (child == 0) {
        work(NULL);
        _exit(failed);
    }
    waitpid(child, &status, 0);
    check("child", status == 0);
    return failed;
}
