/* Connects, asks and waits for the answer by io_uring alone: `liburing PORT`. Its exit status is 77 where there is no
 * io_uring. */
#include <arpa/inet.h>
#include <liburing.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct io_uring ring;

static int finish(void) {
    struct io_uring_cqe *cqe;
    if (io_uring_submit_and_wait(&ring, 1) < 0 || io_uring_wait_cqe(&ring, &cqe) < 0)
        exit(2);
    const int result = cqe->res;
    io_uring_cqe_seen(&ring, cqe);
    return result;
}

int main(int count, char **arguments) {
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    char answer[100];
    if (count < 2 || io_uring_queue_init(4, &ring, 0) < 0)
        return 77;
    address.sin_port = htons((in_port_t)atoi(arguments[1]));
    const int fd = socket(AF_INET, SOCK_STREAM, 0);
    struct io_uring_sqe *sqe = io_uring_get_sqe(&ring);
    io_uring_prep_connect(sqe, fd, (struct sockaddr *)&address, sizeof address);
    int result = finish();
    if (result == 0) {
        sqe = io_uring_get_sqe(&ring);
        io_uring_prep_send(sqe, fd, "GET / HTTP/1.0\r\n\r\n", 18, 0);
        result = finish();
    }
    if (result > 0) {
        sqe = io_uring_get_sqe(&ring);
        io_uring_prep_recv(sqe, fd, answer, sizeof answer, 0);
        result = finish();
    }
    printf("%s\n", result > 0 ? "answered" : result == 0 ? "end of file" : strerror(-result));
    return result <= 0;
}
