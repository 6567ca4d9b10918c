#include "shim/limit/expiry.h"

#include "base/compiler.h"
#include "shim/mode.h"
#include "shim/real.h"
#include "shim/report/report.h"
#include "shim/socket/ended.h"
#include "shim/socket/establish.h"
#include "shim/socket/limits.h"
#include "shim/socket/option.h"
#include "shim/socket/profile.h"
#include "shim/socket/tcp_info.h"

static int disconnect(int fd) {
    struct sockaddr unspecified = {.sa_family = AF_UNSPEC};
    return nd_real_connect(fd, &unspecified, sizeof unspecified);
}

/* Of the epoll sets that hold a socket with EPOLLEXCLUSIVE the kernel wakes one for an error; shutdown wakes them all,
 * also on a disconnected socket. The second disconnect clears the state that it leaves, which would give EPIPE after
 * another connect. */
static void wake_all(int fd) {
    shutdown(fd, SHUT_WR);
    disconnect(fd);
}

void nd_expiry_report(int fd, const struct nd_expiry *expiry) {
    int saved = errno;
    struct sockaddr_storage peer;
    socklen_t len = sizeof peer;
    const struct nd_sock *sock = nd_sock_lookup(fd);
    struct nd_event event = {.operation = expiry->operation,
                             .limit = expiry->limit,
                             .timeout = expiry->timeout,
                             .elapsed = expiry->elapsed,
                             .fd = fd,
                             .peer = expiry->peer,
                             .peer_len = expiry->peer_len,
                             .observed = nd_observing,
                             .set = nd_profile_where(sock ? sock->profile : 0, expiry->limit)};
    if (!event.peer && getpeername(fd, (struct sockaddr *)&peer, &len) == 0) {
        event.peer = (struct sockaddr *)&peer;
        event.peer_len = len;
    }
    nd_report_expiry(&event);
    errno = saved;
}

void nd_expire_stream(int fd, struct nd_sock *sock, const struct nd_expiry *expiry) {
    int saved = errno;
    nd_expiry_report(fd, expiry);
    if (nd_observing)
        return;
    if (sock->operation.timeout)
        nd_establish_note(sock, ND_ESTABLISH_REOPENED);
    nd_ended_note(fd, sock); /* before any waiting thread wakes */
    /* connect(AF_UNSPEC) wakes every waiting thread with an error and without end of file. From 6.1.32 until
     * 419ce133ab92 the kernel refuses it while a thread waits in the socket, and AF_UNIX has no such call: there
     * SHUT_RDWR wakes them, with an end of file that the record turns into an error. */
    if (disconnect(fd) == 0) {
        wake_all(fd);
    } else {
        const struct linger reset = {1, 0}; /* drops the send queue, so that close does not wait for it */
        nd_real.setsockopt(fd, SOL_SOCKET, SO_LINGER, &reset, sizeof reset);
        shutdown(fd, SHUT_RDWR);
    }
    errno = saved;
}

/* The kernel no longer knows the peer. Of an outbound connection the record has the address that it was made to. */
static void report_keepalive(int fd, const struct nd_sock *sock, const char *operation) {
    struct nd_tcp_info info;
    const bool is_ours = nd_sock_flags(sock) & ND_SOCK_KEEPALIVE;
    if (!is_ours || !nd_tcp_info_read(fd, &info) || !nd_tcp_ended_by_keepalive(fd, &info))
        return;
    const bool knows_peer = !(nd_sock_flags(sock) & ND_SOCK_INBOUND) && sock->peer.sin6_family != AF_UNSPEC;
    nd_expiry_report(fd, &(struct nd_expiry){.operation = operation,
                                             .limit = nd_limit_name(sock, ND_LIMIT_KEEPALIVE),
                                             .timeout = nd_sock_limits(sock)->keepalive,
                                             .elapsed = nd_time_sooner(info.last_data_recv, info.last_ack_recv),
                                             .peer = knows_peer ? (const struct sockaddr *)&sock->peer : NULL,
                                             .peer_len = sizeof sock->peer});
}

void nd_expire_by_timer(int fd, struct nd_sock *sock, enum nd_direction direction, const char *operation) {
    if (!nd_expired(fd, sock))
        report_keepalive(fd, sock, operation);
    nd_expire_by_kernel(fd, sock, direction);
}

bool nd_expiry_by_timer_found(int fd, struct nd_sock *sock, const char *operation) {
    const bool is_new = !(nd_sock_flags(sock) & ND_SOCK_EXPIRED), found = nd_ended_by_kernel(fd, sock);
    if (found && is_new)
        report_keepalive(fd, sock, operation);
    return found;
}

void nd_expire_attempt(int fd) {
    const int saved = errno;
    disconnect(fd);
    nd_option_get(fd, SOL_SOCKET, SO_ERROR, 0); /* takes the ECONNRESET that tcp_disconnect left */
    errno = saved;
}
