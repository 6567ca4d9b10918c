#include "shim/limit/wait_clock.h"

#include <errno.h>

#include "base/clock.h"
#include "shim/limit/connection_limits.h"
#include "shim/limit/expiry.h"
#include "shim/limit/send_space.h"
#include "shim/mode.h"
#include "shim/real.h"
#include "shim/report/slots.h"
#include "shim/settings/settings.h"
#include "shim/socket/change.h"
#include "shim/socket/duplicates.h"
#include "shim/socket/kernel_timers.h"
#include "shim/socket/limits.h"
#include "shim/socket/tcp_info.h"

/* A wait for room is looked into when this part of the limit is over, but for these bounds: not at once, since most find room. In
 * an epoll set, which does not tell when there ceased to be room, the clock runs from that look. */
#define FIRST_LOOK_SHARE 64
#define SHORTEST_FIRST_LOOK (10 * ND_MSEC)
#define LONGEST_FIRST_LOOK ND_SEC

bool nd_connections_has_group(struct nd_connections *company, uint32_t group) {
    for (unsigned i = 0; i < company->group_count; i++)
        if (company->groups[i] == group)
            return true;
    if (company->group_count < ND_CONNECTION_GROUPS)
        company->groups[company->group_count++] = group;
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
    atomic_store_explicit(&clock->look, 0, memory_order_relaxed);
}

bool nd_wait_clock_send_space(const struct nd_sock *sock, short wants) {
    return (wants & ND_WANTS_OUT) && nd_sock_send_space_limited(sock);
}

/* How long an operation is spared whose bytes lie there when its time is up: this process may have been stopped while they
 * came. The call that reads them says whether they end it, and looks at the clock itself if they do not (nd_tls_timed_out). Who waits
 * for longer will not read them: an edge-triggered set has told of them before. */
#define SPARED ND_SEC

static nd_time operation_deadline(const struct nd_sock *sock) {
    nd_time timeout = sock->operation.timeout, spared = sock->operation.grace_began;
    if (!timeout)
        return ND_NEVER;
    return spared ? spared + SPARED : nd_time_after(sock->operation.began, timeout);
}

static nd_time first_look(uint32_t flags, const struct nd_limits *limits) {
    const nd_time send = nd_send_limit_by(flags, limits), unacked = limits->unacked;
    const nd_time part = (send && (send < unacked || !unacked) ? send : unacked) / FIRST_LOOK_SHARE;
    return part < SHORTEST_FIRST_LOOK ? SHORTEST_FIRST_LOOK : nd_time_sooner(part, LONGEST_FIRST_LOOK);
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
        left = nd_time_sooner(left, out->look ? out->look - out->time.waited
                                              : first_look(flags, limits) - nd_wait_clock_silence(out));
    return left;
}

nd_time nd_wait_clock_due(const struct nd_sock *sock, short wants, nd_time now) {
    if (nd_sock_flags(sock) & ND_SOCK_CONNECTING)
        return nd_time_sooner(nd_connect_deadline(sock, sock->connect_began), operation_deadline(sock));
    nd_time due = operation_deadline(sock);
    if (nd_sock_connection_limited(sock))
        due = nd_time_sooner(due, nd_connection_limits_due(sock, now));
    return nd_time_sooner(due, nd_time_after(now, nd_wait_clock_left(sock, wants)));
}

void nd_wait_clock_connected(int fd, struct nd_sock *sock, short ready) {
    if (!(ready & (ND_WANTS_IN | ND_WANTS_OUT | ND_ENDED)))
        return;
    nd_sock_change(fd, sock, ready & ND_ENDED ? 0 : ND_SOCK_CONNECTED, ND_SOCK_CONNECTING);
    if (!(ready & ND_ENDED))
        nd_kernel_timers_arm(fd, sock);
    nd_duplicates_update(fd, sock);
}

void nd_wait_clock_settle_connect(int fd, struct nd_sock *sock) {
    struct pollfd pollfd = {.fd = fd, .events = POLLOUT};
    if (!(nd_sock_flags(sock) & ND_SOCK_CONNECTING))
        return;
    int saved = errno;
    if (nd_real.poll(&pollfd, 1, 0) > 0)
        nd_wait_clock_connected(fd, sock, pollfd.revents);
    errno = saved;
}

/* The connect's time is up; unless the kernel says that it has come about, unseen by us. */
static bool expire_connecting(int fd, struct nd_sock *sock, nd_time now) {
    struct tcp_info info;
    nd_time elapsed = now - sock->connect_began;
    if (now < nd_connect_deadline(sock, sock->connect_began))
        return false;
    if (!nd_tcp_info(fd, &info) || info.tcpi_state != TCP_SYN_SENT) {
        nd_sock_change(fd, sock, info.tcpi_state == TCP_ESTABLISHED ? ND_SOCK_CONNECTED : 0, ND_SOCK_CONNECTING);
        return false;
    }
    struct nd_expiry expiry = {.operation = nd_operation_names[ND_OPERATION_connect],
                               .limit = "CONNECT",
                               .timeout = nd_sock_connect_limit(sock),
                               .elapsed = elapsed,
                               .peer = (const struct sockaddr *)&sock->peer,
                               .peer_len = sizeof sock->peer};
    nd_expire_stream(fd, sock, &expiry);
    nd_sock_change(fd, sock, 0, ND_SOCK_CONNECTING);
    return true;
}

static bool in_epoll_for_room(const struct nd_sock *sock) {
    for (int i = 0; i < ND_MEMBERSHIPS; i++)
        if (sock->in[i].set && (sock->in[i].events & ND_WANTS_OUT))
            return true;
    return false;
}

unsigned nd_wait_clock_bound(const struct nd_sock *sock, short wants, nd_time now, nd_time *deadline) {
    uint32_t flags = nd_sock_flags(sock);
    nd_time recv = nd_sock_recv_limit(sock), send = nd_sock_send_limit(sock);
    *deadline = ND_NEVER;
    if (flags & ND_SOCK_CONNECTING) {
        *deadline = nd_connect_deadline(sock, sock->connect_began);
        return ND_LIMIT_CONNECT;
    }
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
    return nd_real.poll(&pollfd, 1, 0) > 0 && (pollfd.revents & POLLIN);
}

/* RECV is up by our clock. Bytes that came without a wait of ours (a non-blocking recv between two polls) are known to the
 * kernel; and among several connections only one that owes a reply is bounded: we sent last and have heard nothing since, or
 * nothing but what TLS says for itself (session tickets come after the first question). */
static bool expire_in(const char *operation, int fd, struct nd_sock *sock, short wants, bool alone, nd_time now) {
    struct nd_wait_clock *clock = &sock->clock[ND_IN];
    nd_time limit = nd_sock_recv_limit(sock), silent = nd_wait_clock_silence(clock);
    if (!limit || silent < limit)
        return false;
    if (!(nd_sock_flags(sock) & ND_SOCK_INET) && !alone)
        return nd_wait_clock_progress(clock), false; /* AF_UNIX does not tell who owes a reply */
    /* Observed waits are looked at when they are over: what came then tells nothing of the silence before, our clock does. */
    if (nd_observing && !alone && !(nd_sock_flags(sock) & ND_SOCK_SENT_LAST))
        return nd_wait_clock_progress(clock), false;
    if ((nd_sock_flags(sock) & ND_SOCK_INET) && !nd_observing) {
        struct tcp_info info;
        if (!nd_tcp_info(fd, &info) || info.tcpi_state == TCP_CLOSE) {
            nd_wait_clock_progress(
                clock); /* not the connection we knew: its number was given to something else unseen */
            return false;
        }
        nd_time heard = (nd_time)info.tcpi_last_data_recv * ND_MSEC, sent = (nd_time)info.tcpi_last_data_sent * ND_MSEC;
        const uint32_t flags = nd_sock_flags(sock);
        /* Where nothing has been sent that may seem a tick less long ago than it was heard of. */
        bool owes =
            sent + ND_TCP_TICK < heard || ((sent <= heard || (flags & ND_SOCK_SCOPED)) && (flags & ND_SOCK_SENT_LAST));
        /* An idle connection does not owe from before it was asked. */
        nd_time since = alone  ? nd_time_sooner(heard, nd_duplicates_reply_pending(fd, sock, sent, heard, now))
                        : owes ? nd_time_sooner(heard, sent)
                               : 0;
        bool both = (wants & ND_WANTS_OUT) || in_epoll_for_room(sock);
        if (alone && both && sent < since)
            since = sent;              /* who waits for both is content with either */
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
        .operation = operation, .limit = ND_LIMIT_NAME(sock, "RECV"), .timeout = limit, .elapsed = silent};
    nd_wait_clock_progress(clock);
    nd_expire_stream(fd, sock, &expiry);
    return true;
}

static bool expire_out(const char *operation, int fd, struct nd_sock *sock) {
    struct nd_wait_clock *clock = &sock->clock[ND_OUT];
    struct nd_expiry expiry;
    nd_time next;
    if (!clock->look) {
        struct nd_send_space room = nd_send_space_begin(fd, clock->progress);
        clock->unacked = room.unacked_since;
        clock->queued = room.queued;
    } else if (clock->time.waited < clock->look) {
        return false;
    }
    struct nd_send_space room = {clock->progress, clock->unacked, clock->queued};
    bool fired = nd_send_space_check(fd, sock, &room, clock->time.waited, &expiry, &next);
    clock->progress = room.progress;
    clock->unacked = room.unacked_since;
    clock->queued = room.queued;
    clock->look = next;
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
    if (now < operation_deadline(sock))
        return false;
    if ((wants & ND_WANTS_IN) && !sock->operation.grace_began && !nd_observing && nd_wait_clock_readable(fd)) {
        sock->operation.grace_began = now;
        return false;
    }
    nd_expire_stream(fd, sock, &expiry);
    nd_sock_end_operation(fd, sock);
    return true;
}

static bool expire_pace(const char *operation, int fd, struct nd_sock *sock, bool busy, nd_time now) {
    struct nd_expiry expiry;
    if (!nd_connection_limits_check(fd, sock, busy, now, &expiry))
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
    if (expire_pace(operation, fd, sock, alone || (wants & ND_WANTS_OUT), now))
        return true;
    if ((wants & ND_WANTS_IN) && expire_in(operation, fd, sock, wants, alone, now))
        return true;
    return nd_wait_clock_send_space(sock, wants) && expire_out(operation, fd, sock);
}
