#include "cli/process/ending.h"

#include <errno.h>
#include <linux/sock_diag.h>
#include <linux/sockios.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "shim/socket/ended.h"

#ifndef SYS_pidfd_open
#define SYS_pidfd_open 434
#endif
#ifndef SYS_pidfd_getfd
#define SYS_pidfd_getfd 438
#endif
#ifndef SO_MEMINFO
#define SO_MEMINFO 55 /* Linux 4.12 */
#endif
#ifndef SO_COOKIE
#define SO_COOKIE 57 /* Linux 4.12 */
#endif

int process_open(pid_t pid) {
    return (int)syscall(SYS_pidfd_open, pid, 0);
}

bool process_has_ended(int pidfd) {
    struct pollfd pollfd = {.fd = pidfd, .events = POLLIN};
    return poll(&pollfd, 1, 0) > 0;
}

int ending_copy(int pidfd, int fd, uint64_t cookie) {
    uint64_t its = 0;
    socklen_t length = sizeof its;
    int copy = (int)syscall(SYS_pidfd_getfd, pidfd, fd, 0);
    if (copy < 0 || !cookie)
        return copy;
    if (getsockopt(copy, SOL_SOCKET, SO_COOKIE, &its, &length) == 0 && its == cookie)
        return copy;
    close(copy);
    errno = ESTALE;
    return -1;
}

int ending_refresh(int copy, struct connection *connection) {
    struct {
        uint32_t words[128]; /* more than the kernel has today */
    } answer;
    socklen_t length = sizeof answer;
    int queue;
    if (getsockopt(copy, IPPROTO_TCP, TCP_INFO, &answer, &length) != 0 ||
        !nd_tcp_info_decode(&connection->info, &answer, length))
        return -1;
    connection->state = connection->info.state;
    connection->timer = -1;
    connection->receive_queue = ioctl(copy, SIOCINQ, &queue) == 0 ? (uint32_t)queue : 0;
    connection->send_queue = ioctl(copy, SIOCOUTQ, &queue) == 0 ? (uint32_t)queue : 0;
    length = sizeof answer;
    connection->is_full =
        getsockopt(copy, SOL_SOCKET, SO_MEMINFO, &answer, &length) == 0 && connection_is_full(&answer, length);
    return connection->state == TCP_CLOSE ? -1 : 0;
}

static int disconnect(int copy) {
    const struct sockaddr none = {.sa_family = AF_UNSPEC};
    return connect(copy, &none, sizeof none);
}

enum ending ending_end(int copy, int netlink, const struct connection *connection) {
    if (disconnect(copy) == 0)
        return ENDING_DISCONNECTED;
    int error = errno;
    if (netlink >= 0 && connection_destroy(netlink, connection) == 0)
        return ENDING_DESTROYED;
    errno = error;
    return ENDING_NONE;
}

enum ending ending_end_marked(int copy) {
    const int mark = ND_ENDED_MARK;
    const struct linger reset = {1, 0};
    if (setsockopt(copy, IPPROTO_TCP, TCP_USER_TIMEOUT, &mark, sizeof mark) != 0)
        return ENDING_NONE;
    if (disconnect(copy) == 0) {
        shutdown(copy, SHUT_WR); /* for exclusive waits of epoll sets; limit/expiry.c says why */
        disconnect(copy);
        return ENDING_DISCONNECTED;
    }
    setsockopt(copy, SOL_SOCKET, SO_LINGER, &reset, sizeof reset);
    return shutdown(copy, SHUT_RDWR) == 0 ? ENDING_SHUT : ENDING_NONE;
}

enum ending ending_destroy(pid_t pid, int pidfd, int fd, int netlink, const struct connection *connection) {
    char path[64], target[64], wanted[64];
    snprintf(path, sizeof path, "/proc/%d/fd/%d", (int)pid, fd);
    snprintf(wanted, sizeof wanted, "socket:[%u]", (unsigned)connection->inode);
    ssize_t length = readlink(path, target, sizeof target - 1);
    if (length < 0)
        return ENDING_NONE;
    target[length] = '\0';
    if (strcmp(target, wanted) != 0 || (pidfd >= 0 && process_has_ended(pidfd))) {
        errno = ESTALE;
        return ENDING_NONE;
    }
    return connection_destroy(netlink, connection) == 0 ? ENDING_DESTROYED : ENDING_NONE;
}
