/* An event loop whose sockets come into its epoll set by io_uring, as libuv's do from 1.45 on. Dials PORT HOW times (1
 * or 2 connections), waits for 3 s at most, and prints the ms until the first event and what the call then gives.
 * Usage: uring PORT HOW, where HOW is add, modify (added for nothing, then for input), delete (added, then deleted) or
 * two (sockets). Exit status 77: there is no io_uring here. */
#include <arpa/inet.h>
#include <errno.h>
#include <linux/io_uring.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

static struct io_uring_params params;
static struct io_uring_sqe *entries;
static char *ring;
static int ring_fd;

static unsigned *at(unsigned offset) {
    return (unsigned *)(void *)(ring + offset);
}

static void set_up(void) {
    ring_fd = (int)syscall(SYS_io_uring_setup, 8, &params);
    if (ring_fd < 0)
        exit(77);
    size_t size = params.sq_off.array + params.sq_entries * sizeof(unsigned);
    ring = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, ring_fd, IORING_OFF_SQ_RING);
    entries = mmap(NULL, params.sq_entries * sizeof *entries, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE,
                   ring_fd, IORING_OFF_SQES);
}

static void control(int epfd, int op, int fd, unsigned events) {
    struct epoll_event event = {.events = events, .data.fd = fd};
    unsigned tail = *at(params.sq_off.tail), slot = tail & *at(params.sq_off.ring_mask);
    entries[slot] = (struct io_uring_sqe){.opcode = IORING_OP_EPOLL_CTL,
                                          .fd = epfd,
                                          .addr = (unsigned long)&event,
                                          .len = (unsigned)op,
                                          .off = (unsigned)fd};
    at(params.sq_off.array)[slot] = slot;
    __atomic_store_n(at(params.sq_off.tail), tail + 1, __ATOMIC_RELEASE);
    if (syscall(SYS_io_uring_enter, ring_fd, 1, 1, IORING_ENTER_GETEVENTS, NULL, 0) != 1)
        exit(77);
}

static int dial(const char *port) {
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons((unsigned short)atoi(port))};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    connect(fd, (struct sockaddr *)&to, sizeof to);
    return fd;
}

static long now_ms(void) {
    struct timespec ts;
    clock_gettime(CLOCK_MONOTONIC, &ts);
    return ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

int main(int argc, char **argv) {
    if (argc < 3)
        return 2;
    int epfd = epoll_create1(0), fd;
    set_up();
    fd = dial(argv[1]);
    if (!strcmp(argv[2], "modify")) {
        struct epoll_event nothing;
        control(epfd, EPOLL_CTL_ADD, fd, 0);
        epoll_wait(epfd, &nothing, 1, 100); /* what is read now changes later */
    }
    control(epfd, strcmp(argv[2], "modify") ? EPOLL_CTL_ADD : EPOLL_CTL_MOD, fd, EPOLLIN);
    if (!strcmp(argv[2], "two"))
        control(epfd, EPOLL_CTL_ADD, dial(argv[1]), EPOLLIN);
    if (!strcmp(argv[2], "delete")) {
        struct epoll_event nothing;
        epoll_wait(epfd, &nothing, 1, 100);
        control(epfd, EPOLL_CTL_DEL, fd, 0);
    }
    struct epoll_event event;
    char byte;
    long began = now_ms();
    int ready = epoll_wait(epfd, &event, 1, 2000);
    printf("%d %ld", ready, now_ms() - began);
    ssize_t got = recv(fd, &byte, 1, 0);
    printf(" %zd %s\n", got, got < 0 ? strerrorname_np(errno) : "-");
    return 0;
}
