#include "shim/limit/wait_clock.h"

#include <sys/epoll.h>

#include "base/compiler.h"
#include "shim/limit/connect_limit.h"
#include "shim/limit/connection_limits.h"
#include "shim/limit/gone.h"
#include "shim/limit/send_space.h"
#include "shim/mode.h"
#include "shim/poll.h"
#include "shim/socket/change.h"
#include "shim/socket/duplicates.h"
#include "shim/socket/establish.h"
#include "shim/socket/kernel_timers.h"
#include "shim/socket/limits.h"

/* A wait for send-buffer space is checked first after this part of the limit, within these bounds: not at once, since
 * most waits find space. An epoll set does not show when the buffer became full: there the clock runs from that check.
 */
#define FIRST_CHECK_SHARE 64
#define SHORTEST_FIRST_CHECK (10 * ND_MSEC)
#define LONGEST_FIRST_CHECK ND_SEC

_Static_assert((int)EPOLLIN == POLLIN && (int)EPOLLOUT == POLLOUT && (int)EPOLLPRI == POLLPRI &&
                   (int)EPOLLERR == POLLERR && (int)EPOLLHUP == POLLHUP && (int)EPOLLRDHUP == POLLRDHUP &&
                   (int)EPOLLRDNORM == POLLRDNORM && (int)EPOLLWRNORM == POLLWRNORM && (int)EPOLLRDBAND == POLLRDBAND,
               "epoll's events are poll's");

bool nd_connections_has_group(struct nd_connections *connections, uint32_t group) {
    for (unsigned i = 0; i < connections->group_count; i++)
        if (connections->groups[i] == group)
            return true;
    if (connections->group_count < ND_CONNECTION_GROUPS)
        connections->groups[connections->group_count++] = group;
    return false;
}

void nd_wait_clock_add(struct nd_sock *sock, short wants, nd_time began, nd_time ended) {
    if (ended <= began)
        return; /* within a tick of the coarse clock */
    if (wants & ND_WANTS_IN)
        nd_stopwatch_add(&sock->clock[ND_IN].time, began, ended);
    if (wants & ND_WANTS_OUT)
        nd_stopwatch_add(&sock->clock[ND_OUT].time, began, ended);
    if ((wants & (ND_WANTS_IN | ND_WANTS_OUT)) && nd_sock_connection_limited(sock))
        nd_connection_limits_waited(sock, began, ended);
}

void nd_wait_clock_progress(struct nd_wait_clock *clock) {
    nd_time waited = atomic_load_explicit(&clock->time.waited, memory_order_relaxed);
    atomic_store_explicit(&clock->progress, waited, memory_order_relaxed);
    atomic_store_explicit(&clock->check_at, 0, memory_order_relaxed);
}

bool nd_wait_clock_send_space(const struct nd_sock *sock, short wants) {
    return (wants & ND_WANTS_OUT) && nd_sock_send_space_limited(sock);
}

static nd_time first_check(uint32_t flags, const struct nd_limits *limits) {
    const nd_time send = nd_send_limit_by(flags, limits), unacked = limits->unacked;
    const nd_time part = (send && (send < unacked || !unacked) ? send : unacked) / FIRST_CHECK_SHARE;
    return part < SHORTEST_FIRST_CHECK ? SHORTEST_FIRST_CHECK : nd_time_sooner(part, LONGEST_FIRST_CHECK);
}

nd_time nd_wait_clock_left(const struct nd_sock *sock, short wants) {
    const uint32_t flags = nd_sock_flags(sock);
    const struct nd_limits *limits = nd_sock_limits_by(sock, flags);
    const struct nd_wait_clock *out = &sock->clock[ND_OUT];
    nd_time left = ND_NEVER;
    if (wants & ND_WANTS_IN) {
        const nd_time limit = flags & ND_SOCK_LISTENING ? nd_sock_accept_limit(sock) : nd_recv_limit_by(flags, limits);
        left = limit ? limit - nd_wait_clock_silence(&sock->clock[ND_IN]) : ND_NEVER;
    }
    if ((wants & ND_WANTS_OUT) && nd_send_space_limited_by(flags, limits))
        left = nd_time_sooner(left, out->check_at ? out->check_at - out->time.waited
                                                  : first_check(flags, limits) - nd_wait_clock_silence(out));
    return left;
}

nd_time nd_wait_clock_due(struct nd_sock *sock, short wants, nd_time now) {
    if (nd_sock_flags(sock) & ND_SOCK_CONNECTING)
        return nd_time_sooner(nd_connect_deadline(sock, sock->connect_began), nd_operation_deadline(sock));
    nd_time due = nd_operation_deadline(sock);
    if (nd_sock_connection_limited(sock))
        due = nd_time_sooner(due, nd_connection_limits_due(sock, now));
    if (wants & ND_WANTS_IN)
        due = nd_time_sooner(due, nd_gone_due(sock, now));
    return nd_time_sooner(due, nd_time_after(now, nd_wait_clock_left(sock, wants)));
}

void nd_wait_clock_connected(int fd, struct nd_sock *sock, short ready) {
    if (!(ready & (ND_WANTS_IN | ND_WANTS_OUT | ND_ENDED)))
        return;
    nd_sock_change(fd, sock, ready & ND_ENDED ? 0 : ND_SOCK_CONNECTED, ND_SOCK_CONNECTING);
    if (!(ready & ND_ENDED))
        nd_kernel_timers_arm(fd, sock);
    nd_duplicates_update(fd, sock);
    nd_establish_note(sock, ready & ND_ENDED ? ND_ESTABLISH_FAILED : ND_ESTABLISH_SUCCEEDED);
}

void nd_wait_clock_settle_connect(int fd, struct nd_sock *sock) {
    struct pollfd pollfd = {.fd = fd, .events = POLLOUT};
    if (!(nd_sock_flags(sock) & ND_SOCK_CONNECTING))
        return;
    int saved = errno;
    if (nd_poll_now(&pollfd) > 0)
        nd_wait_clock_connected(fd, sock, pollfd.revents);
    errno = saved;
}

/* Ends a connect whose deadline has expired, unless the kernel reports that it was established or has failed unseen. */
static bool expire_connecting(int fd, struct nd_sock *sock, nd_time now) {
    struct nd_tcp_info info;
    if (now < nd_connect_deadline(sock, sock->connect_began))
        return false;
    if (!nd_tcp_info_read(fd, &info) || info.state != TCP_SYN_SENT) {
        nd_sock_change(fd, sock, info.state == TCP_ESTABLISHED ? ND_SOCK_CONNECTED : 0, ND_SOCK_CONNECTING);
        nd_establish_note(sock, info.state == TCP_ESTABLISHED ? ND_ESTABLISH_SUCCEEDED : ND_ESTABLISH_FAILED);
        return false;
    }
    struct nd_expiry expiry =
        nd_connect_expiry(sock, sock->connect_began, now, (const struct sockaddr *)&sock->peer, sizeof sock->peer);
    nd_expire_stream(fd, sock, &expiry);
    nd_sock_change(fd, sock, 0, ND_SOCK_CONNECTING);
    nd_establish_note(sock, ND_ESTABLISH_FAILED);
    return true;
}

unsigned nd_wait_clock_bound(const struct nd_sock *sock, short wants, nd_time now, nd_time *deadline) {
    uint32_t flags = nd_sock_flags(sock);
    nd_time recv = nd_sock_recv_limit(sock), send = nd_sock_send_limit(sock);
    *deadline = ND_NEVER;
    if (flags & ND_SOCK_CONNECTING)
        return nd_connect_bound(sock, sock->connect_began, deadline);
    if ((flags & ND_SOCK_LISTENING) || !(wants & (ND_WANTS_IN | ND_WANTS_OUT)))
        return flags & ND_SOCK_LISTENING ? ND_LIMIT_ACCEPT : ND_LIMIT_NONE;
    if ((wants & ND_WANTS_IN) && recv) {
        *deadline = nd_time_after(now, recv - nd_wait_clock_silence(&sock->clock[ND_IN]));
        return nd_limit_of(sock, ND_LIMIT_RECV);
    }
    if ((wants & ND_WANTS_OUT) && send) {
        *deadline = nd_time_after(now, send - nd_wait_clock_silence(&sock->clock[ND_OUT]));
        return nd_limit_of(sock, ND_LIMIT_SEND);
    }
    return (wants & ND_WANTS_OUT) && nd_wait_clock_send_space(sock, wants) ? nd_limit_of(sock, ND_LIMIT_UNACKED)
                                                                           : ND_LIMIT_NONE;
}

bool nd_wait_clock_readable(int fd) {
    struct pollfd pollfd = {.fd = fd, .events = POLLIN};
    return nd_poll_now(&pollfd) > 0 && (pollfd.revents & POLLIN);
}

/* Ends a connection whose RECV has expired by the wait clock and by the kernel, which knows of bytes that were received
 * without a wait (a non-blocking recv between two polls). Among several connections RECV bounds only one whose reply is
 * pending. */
static bool expire_in(const char *operation, int fd, struct nd_sock *sock, short wants, bool alone, nd_time now) {
    struct nd_wait_clock *clock = &sock->clock[ND_IN];
    nd_time limit = nd_sock_recv_limit(sock), silent = nd_wait_clock_silence(clock);
    if (!limit || silent < limit)
        return false;
    if (!(nd_sock_flags(sock) & ND_SOCK_INET) && !alone)
        return nd_wait_clock_progress(clock), false; /* whose reply is pending is not known of AF_UNIX */
    /* Observed waits are checked when they are over: what the kernel reports then is no longer the silence, our clock
     * is. */
    if (nd_observing && !alone && !(nd_sock_flags(sock) & ND_SOCK_SENT_LAST))
        return nd_wait_clock_progress(clock), false;
    if ((nd_sock_flags(sock) & ND_SOCK_INET) && !nd_observing) {
        struct nd_tcp_info info;
        if (!nd_tcp_info_read(fd, &info) || info.state == TCP_CLOSE) {
            nd_wait_clock_progress(clock); /* not the connection of the record: the number was reused unseen */
            return false;
        }
        const nd_time requested =
            alone ? nd_duplicates_reply_pending(fd, sock, info.last_data_sent, info.last_data_recv, now) : ND_NEVER;
        const nd_time since = nd_recv_silence(sock, &info, wants, alone, requested);
        if (since + ND_MSEC < limit) { /* the kernel counts whole milliseconds */
            clock->progress = clock->time.waited - since;
            return false;
        }
    }
    if (!nd_observing && nd_wait_clock_readable(fd)) {
        nd_wait_clock_progress(clock);
        return false;
    }
    struct nd_expiry expiry = {
        .operation = operation, .limit = nd_limit_name(sock, ND_LIMIT_RECV), .timeout = limit, .elapsed = silent};
    nd_wait_clock_progress(clock);
    nd_expire_stream(fd, sock, &expiry);
    return true;
}

static bool expire_out(const char *operation, int fd, struct nd_sock *sock) {
    struct nd_wait_clock *clock = &sock->clock[ND_OUT];
    struct nd_expiry expiry;
    nd_time next;
    if (!clock->check_at) {
        struct nd_send_space space = nd_send_space_begin(fd, clock->progress);
        clock->unacked = space.unacked_since;
        clock->queued = space.queued;
    } else if (clock->time.waited < clock->check_at) {
        return false;
    }
    struct nd_send_space space = {clock->progress, clock->unacked, clock->queued};
    bool fired = nd_send_space_check(fd, sock, &space, clock->time.waited, &expiry, &next);
    clock->progress = space.progress;
    clock->unacked = space.unacked_since;
    clock->queued = space.queued;
    clock->check_at = next;
    if (fired) {
        expiry.operation = operation;
        nd_wait_clock_progress(clock);
        nd_expire_stream(fd, sock, &expiry);
    }
    return fired;
}

static bool expire_operation(int fd, struct nd_sock *sock, short wants, nd_time now) {
    struct nd_expiry expiry = {.operation = sock->operation.name,
                               .limit = sock->operation.limit,
                               .timeout = sock->operation.timeout,
                               .elapsed = now - sock->operation.began};
    if (now < nd_operation_deadline(sock))
        return false;
    if ((wants & ND_WANTS_IN) && !sock->operation.grace_began && !nd_observing && nd_wait_clock_readable(fd)) {
        sock->operation.grace_began = now;
        return false;
    }
    nd_expire_stream(fd, sock, &expiry);
    nd_sock_end_operation(fd, sock);
    return true;
}

static bool expire_connection(const char *operation, int fd, struct nd_sock *sock, bool busy, nd_time now) {
    struct nd_expiry expiry;
    if (!nd_connection_limits_check(fd, sock, busy, now, &expiry))
        return false;
    expiry.operation = operation;
    nd_expire_stream(fd, sock, &expiry);
    return true;
}

bool nd_wait_clock_expire_gone(const char *operation, int fd, struct nd_sock *sock, nd_time now) {
    struct nd_expiry expiry;
    if (!nd_gone_check(fd, sock, now, &expiry) || (!nd_observing && nd_wait_clock_readable(fd)))
        return false;
    expiry.operation = operation;
    nd_expire_stream(fd, sock, &expiry);
    return true;
}

bool nd_wait_clock_expire(const char *operation, int fd, struct nd_sock *sock, short wants, bool alone, nd_time now) {
    if (expire_operation(fd, sock, wants, now))
        return true;
    if (nd_sock_flags(sock) & ND_SOCK_CONNECTING)
        return expire_connecting(fd, sock, now);
    if (expire_connection(operation, fd, sock, alone || (wants & ND_WANTS_OUT), now))
        return true;
    if ((wants & ND_WANTS_IN) &&
        (expire_in(operation, fd, sock, wants, alone, now) || nd_wait_clock_expire_gone(operation, fd, sock, now)))
        return true;
    return nd_wait_clock_send_space(sock, wants) && expire_out(operation, fd, sock);
}
