#include "cli/process/connections_open.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/netlink.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static int open_here(void) {
    return socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_SOCK_DIAG);
}

uint64_t connections_namespace(pid_t pid) {
    char path[64];
    struct stat status;
    snprintf(path, sizeof path, "/proc/%d/ns/net", (int)pid);
    return stat(path, &status) == 0 ? status.st_ino : 0;
}

static int open_namespace(pid_t pid, const char *name) {
    char path[64];
    snprintf(path, sizeof path, "/proc/%d/ns/%s", (int)pid, name);
    return open(path, O_RDONLY | O_CLOEXEC);
}

/* Enters the network namespace, by way of the user namespace that it belongs to where this one has no right to. */
static int enter(int net, int user) {
    if (setns(net, CLONE_NEWNET) == 0)
        return 0;
    int error = errno;
    if (error == EPERM && user >= 0 && setns(user, CLONE_NEWUSER) == 0)
        return setns(net, CLONE_NEWNET);
    errno = error;
    return -1;
}

/* Room for one descriptor in a message's control data. */
union control {
    struct cmsghdr header;
    char bytes[CMSG_SPACE(sizeof(int))];
};

/* Sends `fd`, or, where it is -1, the error. */
static void send_descriptor(int through, int fd, int error) {
    union control control = {
        .header = {.cmsg_len = CMSG_LEN(sizeof fd), .cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS}};
    struct iovec data = {&error, sizeof error};
    struct msghdr message = {.msg_iov = &data, .msg_iovlen = 1};
    if (fd >= 0) {
        message.msg_control = &control;
        message.msg_controllen = sizeof control;
        memcpy(CMSG_DATA(&control.header), &fd, sizeof fd);
    }
    sendmsg(through, &message, MSG_NOSIGNAL);
}

static int receive_descriptor(int through) {
    union control control;
    int error = EPERM, fd = -1;
    struct iovec data = {&error, sizeof error};
    struct msghdr message = {
        .msg_iov = &data, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof control};
    ssize_t got = recvmsg(through, &message, MSG_CMSG_CLOEXEC);
    struct cmsghdr *header = got > 0 ? CMSG_FIRSTHDR(&message) : NULL;
    if (header && header->cmsg_type == SCM_RIGHTS)
        memcpy(&fd, CMSG_DATA(header), sizeof fd);
    errno = error;
    return fd;
}

/* A process with one thread may enter any namespace, and a child leaves this command where it is. */
static int open_there(int net, int user) {
    int ends[2];
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) != 0)
        return -1;
    pid_t child = fork();
    if (child == 0) {
        int fd = enter(net, user) == 0 ? open_here() : -1;
        send_descriptor(ends[1], fd, errno);
        _exit(0);
    }
    close(ends[1]);
    int fd = child > 0 ? receive_descriptor(ends[0]) : -1;
    int error = errno;
    close(ends[0]);
    if (child > 0)
        while (waitpid(child, NULL, 0) < 0 && errno == EINTR)
            continue;
    errno = error;
    return fd;
}

int connections_open(pid_t pid) {
    uint64_t there = connections_namespace(pid);
    if (there && there == connections_namespace(getpid()))
        return open_here();
    int net = open_namespace(pid, "net"), user = -1, fd = -1;
    if (net < 0)
        return -1;
    user = open_namespace(pid, "user");
    fd = open_there(net, user);
    int error = errno;
    close(net);
    if (user >= 0)
        close(user);
    errno = error;
    return fd;
}
