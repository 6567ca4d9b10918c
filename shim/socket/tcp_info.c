#include "shim/socket/tcp_info.h"

#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <stddef.h>
#include <string.h>
#include <sys/socket.h>

#include "shim/real.h"

#define LONG_AGO INT32_MAX /* ms */

static bool is_stream(int fd) {
    int type = 0;
    socklen_t len = sizeof type;
    return nd_real.getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &len) == 0 && type == SOCK_STREAM;
}

static unsigned char state_without_info(int fd) {
    struct sockaddr_storage peer;
    socklen_t len = sizeof peer;
    struct pollfd pollfd = {.fd = fd, .events = POLLOUT};
    if (getpeername(fd, (struct sockaddr *)&peer, &len) == 0)
        return TCP_ESTABLISHED;
    return nd_real.poll(&pollfd, 1, 0) == 0 ? TCP_SYN_SENT : TCP_CLOSE;
}

bool nd_tcp_info(int fd, struct tcp_info *info) {
    int saved = errno;
    socklen_t len = sizeof *info;
    memset(info, 0, sizeof *info);
    bool told = nd_real.getsockopt(fd, IPPROTO_TCP, TCP_INFO, info, &len) == 0;
    bool only_state = told && len <= offsetof(struct tcp_info, tcpi_last_ack_recv);
    if (!told && errno == ENOPROTOOPT && is_stream(fd)) { /* which UDP answers too */
        info->tcpi_state = state_without_info(fd);
        only_state = told = true;
    }
    if (only_state)
        info->tcpi_last_data_recv = info->tcpi_last_data_sent = info->tcpi_last_ack_recv = LONG_AGO;
    errno = saved;
    return told;
}
