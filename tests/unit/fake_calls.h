/* A socket whose every answer is in a script: what successive polls, sends and receives return, each after a time. For
 * the tests of calls that wait. */
#pragma once

#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>

#include "shim/socket/change.h"
#include "tests/unit/fake_kernel.h"

#define FD 700 /* no open descriptor */

/* One answer. `ready` is poll's; a poll of nothing but POLLRDHUP, or of no event at all, is not in the script. */
struct answer {
    long result;
    int error;
    short ready;
    nd_time lasts;
    int queued; /* bytes in the send queue from then on */
};

/* What was asked in the sends and receives of a script. */
struct question {
    int flags;
    size_t offset, len; /* in `bytes` */
    size_t control, vectors;
};

static struct {
    const struct answer *script;
    int answers, polls, calls;
    int timeouts[16];
    struct question asked[16];
    short state; /* what a poll says that is not in the script */
    bool nonblocking;
} kernel;

static char bytes[64];
static struct nd_sock *sock;

static long answer(short *ready) {
    ck_assert_int_lt(kernel.answers, 15);
    const struct answer *next = &kernel.script[kernel.answers++];
    fake.now += next->lasts;
    fake.queued = next->queued;
    if (ready)
        *ready = next->ready;
    if (next->result < 0)
        errno = next->error;
    return next->result;
}

static int fake_poll(struct pollfd *fds, nfds_t count, int timeout_ms) {
    if (count > 0 && !(fds[0].events & (POLLIN | POLLOUT))) {
        fds[0].revents = kernel.state;
        return kernel.state != 0;
    }
    kernel.timeouts[kernel.polls++] = timeout_ms;
    return (int)answer(count > 0 ? &fds[0].revents : NULL);
}

static ssize_t transfer(int flags, const void *buf, size_t len, size_t control, size_t vectors) {
    kernel.asked[kernel.calls++] = (struct question){flags, (size_t)((const char *)buf - bytes), len, control, vectors};
    return answer(NULL);
}

static ssize_t fake_sendto(int fd, const void *buf, size_t len, int flags, const struct sockaddr *to, socklen_t size) {
    (void)fd, (void)to, (void)size;
    return transfer(flags, buf, len, 0, 0);
}

static ssize_t fake_sendmsg(int fd, const struct msghdr *msg, int flags) {
    (void)fd;
    return transfer(flags, msg->msg_iov[0].iov_base, msg->msg_iov[0].iov_len, msg->msg_controllen, msg->msg_iovlen);
}

static ssize_t fake_send(int fd, const void *buf, size_t len, int flags) {
    (void)fd;
    return transfer(flags, buf, len, 0, 0);
}

static ssize_t fake_recv(int fd, void *buf, size_t len, int flags) {
    (void)fd;
    return transfer(flags, buf, len, 0, 0);
}

static ssize_t fake_recvmsg(int fd, struct msghdr *msg, int flags) {
    return fake_sendmsg(fd, msg, flags);
}

static int fake_fcntl(int fd, int command, void *arg) {
    (void)fd, (void)command, (void)arg;
    return kernel.nonblocking ? O_NONBLOCK : 0;
}

static void ignore(int number) {
    (void)number;
}

static void handle(int number, int flags) {
    sigaction(number, &(struct sigaction){.sa_handler = ignore, .sa_flags = flags}, NULL);
}

/* A connected stream without limits. */
static void start(void) {
    for (int i = 1; i < 32; i++) /* Check has handlers of its own */
        signal(i, SIG_DFL);
    fake_start();
    memset(&kernel, 0, sizeof kernel);
    nd_real.poll = fake_poll;
    nd_real.sendto = fake_sendto;
    nd_real.sendmsg = fake_sendmsg;
    nd_real.send = fake_send;
    nd_real.recv = fake_recv;
    nd_real.recvmsg = fake_recvmsg;
    nd_real.fcntl = (__typeof__(nd_real.fcntl))fake_fcntl;
    sock = nd_sock_created(FD, ND_SOCK_STREAM | ND_SOCK_INET | ND_SOCK_CONNECTED);
}
