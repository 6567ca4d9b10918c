#include "shim/limit/pending_timeout.h"

#include "shim/limit/datagram.h"
#include "shim/limit/expiry.h"
#include "shim/mode.h"
#include "shim/socket/change.h"
#include "shim/socket/kernel_timers.h"
#include "shim/socket/limits.h"
#include "shim/socket/option.h"

static void report(int fd, struct nd_sock *sock, const struct nd_expiry *expiry) {
    nd_wait_clock_progress(&sock->clock[ND_IN]);
    nd_expiry_report(fd, expiry);
    if (nd_observing)
        return;
    sock->shown = 0;
    nd_sock_change(fd, sock, ND_SOCK_TIMEOUT_PENDING, 0);
    atomic_thread_fence(
        memory_order_seq_cst); /* a thread that adds it to a set meanwhile sees the flag, or is seen here */
    if (nd_sock_is_in_set(sock))
        nd_sock_listener->timeout_pending(sock);
}

static void check_listener(const char *operation, int fd, struct nd_sock *sock,
                           const struct nd_connections *connections) {
    struct nd_wait_clock *clock = &sock->clock[ND_IN];
    nd_time limit = nd_sock_accept_limit(sock), waited = nd_wait_clock_silence(clock);
    if (!limit || waited < limit)
        return;
    if (connections->streams > 0) {
        nd_wait_clock_progress(clock);
        return;
    }
    report(fd, sock,
           &(struct nd_expiry){.operation = operation, .limit = "ACCEPT", .timeout = limit, .elapsed = waited});
}

/* Whether the descriptor still is this socket: it may have been closed and its number reused where no hook saw it. */
static bool is_same(int fd, struct nd_sock *sock) {
    if (nd_option_get(fd, SOL_SOCKET, SO_TYPE, -1) != SOCK_DGRAM)
        return false;
    return (nd_sock_flags(sock) & (ND_SOCK_RCVTIMEO | ND_SOCK_HANDED_ON)) != ND_SOCK_RCVTIMEO ||
           nd_kernel_timers_found(fd, sock);
}

static void check_datagrams(const char *operation, int fd, struct nd_sock *sock,
                            const struct nd_connections *connections, nd_time now) {
    struct nd_wait_clock *clock = &sock->clock[ND_IN];
    nd_time limit = nd_sock_recv_limit(sock);
    if (!limit || nd_wait_clock_silence(clock) < limit)
        return;
    const nd_time silent = nd_datagram_silence(sock, nd_connections_is_only(connections, sock), now);
    if (silent < limit) {
        clock->progress = clock->time.waited - silent;
        return;
    }
    if (!nd_observing && (!is_same(fd, sock) || nd_wait_clock_readable(fd))) {
        nd_wait_clock_progress(clock);
        return;
    }
    report(fd, sock,
           &(struct nd_expiry){.operation = operation,
                               .limit = "RECV",
                               .timeout = limit,
                               .elapsed = silent,
                               .peer = nd_datagram_peer(sock),
                               .peer_len = sizeof sock->peer});
}

void nd_pending_timeout_check(const char *operation, int fd, struct nd_sock *sock, short wants,
                              const struct nd_connections *connections, nd_time now) {
    if (!(wants & ND_WANTS_IN))
        return;
    if (nd_sock_flags(sock) & ND_SOCK_LISTENING)
        check_listener(operation, fd, sock, connections);
    else
        check_datagrams(operation, fd, sock, connections, now);
}

bool nd_pending_timeout_take(int fd, struct nd_sock *sock) {
    if (!(nd_sock_flags(sock) & ND_SOCK_TIMEOUT_PENDING))
        return false;
    nd_sock_change(fd, sock, 0, ND_SOCK_TIMEOUT_PENDING);
    sock->received_at = nd_now_coarse();
    nd_wait_clock_progress(&sock->clock[ND_IN]);
    return true;
}
