#include "shim/limit/connection_limits.h"

#include "shim/limit/elapsed.h"
#include "shim/real.h"
#include "shim/socket/limits.h"
#include "shim/socket/tcp_info.h"

/* How often MIN_RATE is checked in a window: a connection that slows down is ended at most this part of a window too
 * late. */
#define CHECKS_PER_WINDOW 4

/* Returns false where there is nothing to compare with yet. */
static bool read_flow(int fd, struct nd_sock *sock, struct nd_flow *flow) {
    struct nd_tcp_info info;
    if (!nd_tcp_info_read(fd, &info) || info.state == TCP_CLOSE)
        return false; /* not the connection of the record */
    *flow = nd_flow_of(sock, &info);
    return flow->counted || atomic_exchange(&sock->connection_clock.counting, true); /* counted by us from here on */
}

static nd_time next_check(const struct nd_sock *sock, const struct nd_limits *limits) {
    return sock->connection_clock.check_at ? sock->connection_clock.check_at
                                           : limits->min_rate_window / CHECKS_PER_WINDOW;
}

nd_time nd_connection_limits_due(const struct nd_sock *sock, nd_time now) {
    const struct nd_limits *limits = nd_sock_limits(sock);
    const struct nd_connection_clock *clock = &sock->connection_clock;
    nd_time due = ND_NEVER;
    if (!nd_sock_connection_limited(sock))
        return due;
    if (limits->lifetime && clock->established)
        due = nd_time_after(clock->established, limits->lifetime);
    if (limits->idle)
        due = nd_time_sooner(due, nd_time_after(now, limits->idle - (clock->time.waited - clock->moved)));
    if (limits->min_rate_bytes)
        due = nd_time_sooner(due, nd_time_after(now, next_check(sock, limits) - clock->time.waited));
    return due;
}

static bool too_old(int fd, struct nd_sock *sock, nd_time now, struct nd_expiry *expiry) {
    nd_time limit = nd_sock_limits(sock)->lifetime, established = sock->connection_clock.established;
    if (!limit || !established || now - established < limit)
        return false;
    int saved = errno;
    sock->connection_clock.established = 0; /* reported once, also where MODE=observe leaves it alone */
    if (sock->inode && nd_sock_inode(fd) != sock->inode)
        return false; /* the descriptor became another socket, unseen */
    errno = saved;
    *expiry = (struct nd_expiry){
        .limit = nd_limit_name(sock, ND_LIMIT_LIFETIME), .timeout = limit, .elapsed = now - established};
    return true;
}

bool nd_connection_limits_outlived(int fd, struct nd_sock *sock, const char *operation) {
    struct nd_expiry expiry;
    if (!nd_sock_limits(sock)->lifetime || !nd_sock_connection_limited(sock) ||
        !too_old(fd, sock, nd_now_coarse(), &expiry))
        return false;
    expiry.operation = operation;
    nd_expire_stream(fd, sock, &expiry);
    return (nd_sock_flags(sock) & ND_SOCK_EXPIRED) != 0;
}

static bool too_silent(const struct nd_flow *flow, struct nd_sock *sock, struct nd_expiry *expiry) {
    struct nd_connection_clock *clock = &sock->connection_clock;
    nd_time limit = nd_sock_limits(sock)->idle, waited = clock->time.waited, silent = waited - clock->moved;
    if (!limit || silent < limit)
        return false;
    silent = nd_idle_for(sock, flow);
    clock->moved_bytes = flow->bytes;
    clock->moved = waited - silent;
    if (silent < limit)
        return false;
    clock->moved = waited;
    *expiry = (struct nd_expiry){.limit = nd_limit_name(sock, ND_LIMIT_IDLE), .timeout = limit, .elapsed = silent};
    return true;
}

/* The bytes beyond the rate count in the next window, up to as many as that one requires: a peer that sends in bursts
 * is not slow between two of them. */
static uint64_t surplus(uint64_t moved, const struct nd_limits *limits, nd_time elapsed) {
    double required = (double)limits->min_rate_bytes * (double)elapsed / (double)limits->min_rate_window;
    double more = (double)moved - required;
    return more <= 0 ? 0 : more < (double)limits->min_rate_bytes ? (uint64_t)more : limits->min_rate_bytes;
}

static bool too_slow(const struct nd_flow *flow, struct nd_sock *sock, bool busy, struct nd_expiry *expiry) {
    const struct nd_limits *limits = nd_sock_limits(sock);
    struct nd_connection_clock *clock = &sock->connection_clock;
    nd_time window = limits->min_rate_window, waited = clock->time.waited, elapsed = waited - clock->window;
    if (!limits->min_rate_bytes || waited < next_check(sock, limits))
        return false;
    uint64_t moved = flow->bytes - clock->bytes;
    bool over = elapsed >= window;
    bool drips = nd_rate_counts(busy, moved, flow->since, window);
    if (moved >= limits->min_rate_bytes || over || (!busy && moved == 0)) {
        clock->window = waited;
        clock->bytes = flow->bytes - surplus(moved, limits, elapsed);
    }
    clock->check_at = nd_time_sooner(waited + window / CHECKS_PER_WINDOW, clock->window + window);
    if (moved >= limits->min_rate_bytes || !over || !drips)
        return false;
    *expiry =
        (struct nd_expiry){.limit = nd_limit_name(sock, ND_LIMIT_MIN_RATE), .timeout = window, .elapsed = elapsed};
    return true;
}

bool nd_connection_limits_check(int fd, struct nd_sock *sock, bool busy, nd_time now, struct nd_expiry *expiry) {
    struct nd_flow flow;
    int saved = errno;
    if (!nd_sock_connection_limited(sock))
        return false;
    bool fired = too_old(fd, sock, now, expiry);
    if (!fired && now >= nd_connection_limits_due(sock, now)) {
        if (read_flow(fd, sock, &flow)) {
            fired = too_silent(&flow, sock, expiry) || too_slow(&flow, sock, busy, expiry);
        } else {
            struct nd_connection_clock *clock = &sock->connection_clock;
            clock->moved = clock->window = atomic_load(&clock->time.waited);
            clock->check_at = clock->window + nd_sock_limits(sock)->min_rate_window / CHECKS_PER_WINDOW;
        }
    }
    errno = saved;
    return fired;
}

void nd_connection_limits_observed(int fd, struct nd_sock *sock, const char *operation, nd_time began) {
    struct nd_expiry expiry;
    if (!nd_sock_connection_limited(sock))
        return;
    nd_time now = nd_now(), idle = nd_sock_limits(sock)->idle;
    nd_connection_limits_waited(sock, began, now);
    if (idle && now - began >= idle) { /* what ended the call ended the silence: the kernel does not show it any more */
        nd_expiry_report(fd, &(struct nd_expiry){.operation = operation,
                                                 .limit = nd_limit_name(sock, ND_LIMIT_IDLE),
                                                 .timeout = idle,
                                                 .elapsed = now - began});
        sock->connection_clock.moved = atomic_load(&sock->connection_clock.time.waited);
    }
    if (!nd_connection_limits_check(fd, sock, true, now, &expiry))
        return;
    expiry.operation = operation;
    nd_expire_stream(fd, sock, &expiry);
}
