/* Connects to the port, leaves a recv by a jump out of a signal handler, says so, and waits for its input to end. */
#include <arpa/inet.h>
#include <setjmp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

static sigjmp_buf away;

static void jump(int number) {
    (void)number;
    siglongjmp(away, 1);
}

int main(int argc, char **argv) {
    struct sockaddr_in server = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    char byte;
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    server.sin_port = htons((unsigned short)atoi(argc > 1 ? argv[1] : "0"));
    if (connect(fd, (struct sockaddr *)&server, sizeof server) != 0)
        return 1;
    signal(SIGALRM, jump);
    if (sigsetjmp(away, 1) == 0) {
        alarm(1);
        recv(fd, &byte, 1, 0);
        return 2;
    }
    puts("left");
    fflush(stdout);
    return getchar() == EOF ? 0 : 3;
}
