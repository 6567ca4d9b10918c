#include "shim/limit/expiry.h"

#include "shim/mode.h"
#include "shim/real.h"
#include "shim/report/report.h"
#include "shim/socket/change.h"
#include "shim/socket/ended.h"

static int disconnect(int fd) {
    struct sockaddr unspecified = {.sa_family = AF_UNSPEC};
    return nd_real.connect(fd, &unspecified, sizeof unspecified);
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
    struct nd_event event = {.operation = expiry->operation,
                             .limit = expiry->limit,
                             .timeout = expiry->timeout,
                             .elapsed = expiry->elapsed,
                             .fd = fd,
                             .peer = expiry->peer,
                             .peer_len = expiry->peer_len,
                             .observed = nd_observing};
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

void nd_expiry_report_observed(int fd, const char *operation, const char *limit, nd_time timeout, nd_time began) {
    nd_time elapsed = nd_now() - began;
    if (timeout == 0 || elapsed < timeout)
        return;
    struct nd_expiry expiry = {.operation = operation, .limit = limit, .timeout = timeout, .elapsed = elapsed};
    nd_expiry_report(fd, &expiry);
}

void nd_expire_attempt(int fd) {
    int saved = errno, pending = 0;
    socklen_t len = sizeof pending;
    disconnect(fd);
    nd_real.getsockopt(fd, SOL_SOCKET, SO_ERROR, &pending, &len); /* takes the ECONNRESET that tcp_disconnect left */
    errno = saved;
}
