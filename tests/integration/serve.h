/* A name server that is never the bottleneck: every name has one address of the type that was asked for. */
#include <arpa/inet.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

static void answer_for_ever(int fd) {
    struct sockaddr_in address;
    unsigned char p[1500];
    for (;;) {
        socklen_t size = sizeof address;
        ssize_t n = recvfrom(fd, p, sizeof p - 64, 0, (struct sockaddr *)&address, &size);
        if (n < 17)
            continue;
        int end = 12;
        while (p[end])
            end += p[end] + 1;
        int type = p[end + 2], length = type == 28 ? 16 : 4;
        end += 5;
        p[2] = 0x81;
        p[3] = 0x80;
        p[7] = 1;
        unsigned char record[28] = {0xc0, 12, 0, (unsigned char)type,   0,  1, 0, 0,
                                    0,    60, 0, (unsigned char)length, 10, 1};
        memcpy(p + end, record, 12 + (size_t)length);
        sendto(fd, p, (size_t)(end + 12 + length), 0, (struct sockaddr *)&address, size);
    }
}

/* On 127.0.0.53, in a process that ends with its parent's. */
static pid_t serve(void) {
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(53), .sin_addr.s_addr = htonl(0x7f000035)};
    int fd = socket(AF_INET, SOCK_DGRAM, 0);
    if (bind(fd, (struct sockaddr *)&address, sizeof address) != 0)
        exit(1);
    pid_t pid = fork();
    if (pid == 0) {
        prctl(PR_SET_PDEATHSIG, 9);
        answer_for_ever(fd);
    }
    close(fd);
    return pid;
}
