#include "cli/process/bound.h"

#include "shim/limit/carry_over.h"
#include "shim/limit/gone.h"
#include "shim/socket/keepalive.h"
#include "shim/socket/limits.h"

static const struct bound none = {.at = ND_NEVER};

static struct bound fires(enum nd_limit limit, nd_time timeout, nd_time at) {
    return timeout > 0 ? (struct bound){.limit = limit, .timeout = timeout, .at = at} : none;
}

/* A limit that has run for `elapsed`. */
static struct bound runs(const struct bound_wait *wait, enum nd_limit limit, nd_time timeout, nd_time elapsed) {
    return fires(limit, timeout, nd_time_after(wait->now, timeout - elapsed));
}

static const struct nd_tcp_info *info_of(const struct bound_wait *wait) {
    return wait->connection ? &wait->connection->info : NULL;
}

/* A connection that moved enough begins the next window at the next check. One of several that would have been idle
 * for half the window by then is not ended. */
static struct bound min_rate(const struct bound_wait *wait, const struct nd_limits *limits, bool busy) {
    const struct nd_connection_clock *clock = &wait->sock->connection_clock;
    const nd_time window = limits->min_rate_window, waited = clock->time.waited;
    if (!limits->min_rate_bytes || !info_of(wait))
        return none;
    const struct nd_flow flow = nd_flow_of(wait->sock, info_of(wait));
    const uint64_t moved = flow.bytes - clock->bytes;
    const bool is_enough = moved >= limits->min_rate_bytes;
    const nd_time began = !is_enough ? clock->window : clock->check_at > waited ? clock->check_at : waited;
    const nd_time left = began + window - waited;
    if (!nd_rate_counts(busy, is_enough ? 0 : moved, flow.since + left, window))
        return none;
    struct bound bound = fires(ND_LIMIT_MIN_RATE, window, nd_time_after(wait->now, left));
    bound.bytes = limits->min_rate_bytes;
    return bound;
}

static struct bound connection_limits(const struct bound_wait *wait, bool busy) {
    const struct nd_sock *sock = wait->sock;
    const struct nd_limits *limits = nd_sock_limits(sock);
    const struct nd_connection_clock *clock = &sock->connection_clock;
    if (!nd_sock_connection_limited(sock))
        return none;
    const struct nd_flow nothing = {.bytes = clock->moved_bytes};
    const struct nd_flow flow = info_of(wait) ? nd_flow_of(sock, info_of(wait)) : nothing;
    struct bound bound = runs(wait, ND_LIMIT_IDLE, limits->idle, nd_idle_for(sock, &flow));
    if (clock->established)
        bound = bound_sooner(
            bound, fires(ND_LIMIT_LIFETIME, limits->lifetime, nd_time_after(clock->established, limits->lifetime)));
    return bound_sooner(bound, min_rate(wait, limits, busy));
}

static struct bound gone(const struct bound_wait *wait) {
    const struct nd_tcp_info *info = info_of(wait);
    return info && nd_tcp_unanswered(info)
               ? runs(wait, ND_LIMIT_UNACKED, nd_gone_limit(wait->sock), nd_gone_for(wait->sock, info, wait->now))
               : none;
}

/* Probes are sent while nothing is outstanding, and the kernel ends the connection if none is answered. */
static struct bound keepalive(const struct bound_wait *wait) {
    const struct nd_tcp_info *info = info_of(wait);
    nd_time silence, probing;
    if (!info || !(nd_sock_flags(wait->sock) & ND_SOCK_KEEPALIVE) || !(info->known & ND_TCP_TIMES) || info->unacked ||
        wait->connection->send_queue)
        return none;
    const struct nd_limits *limits = nd_sock_limits(wait->sock);
    nd_keepalive_times(wait->sock, limits, &silence, &probing);
    const nd_time elapsed = nd_time_sooner(info->last_data_recv, info->last_ack_recv);
    return fires(ND_LIMIT_KEEPALIVE, limits->keepalive, nd_time_after(wait->now, silence + probing - elapsed));
}

static struct bound recv_stream(const struct bound_wait *wait) {
    const struct nd_sock *sock = wait->sock;
    const nd_time limit = nd_sock_recv_limit(sock);
    nd_time silent = nd_wait_clock_silence(&sock->clock[ND_IN]);
    const uint32_t flags = nd_sock_flags(sock);
    if (!(flags & ND_SOCK_INET) || !info_of(wait))
        return wait->alone ? runs(wait, ND_LIMIT_RECV, limit, silent) : none;
    const nd_time requested =
        (flags & ND_SOCK_SENT_LAST) && sock->reply_pending_since ? wait->now - sock->reply_pending_since : ND_NEVER;
    const struct nd_tcp_info *info = info_of(wait);
    silent = nd_time_sooner(silent, nd_recv_silence(sock, info, wait->wants, wait->alone, requested));
    const bool reply_pending = nd_tcp_reply_pending(info, flags & ND_SOCK_SENT_LAST, flags & ND_SOCK_SCOPED);
    return wait->alone || reply_pending ? runs(wait, ND_LIMIT_RECV, limit, silent) : none;
}

static struct bound recv_datagram(const struct bound_wait *wait) {
    const uint32_t flags = nd_sock_flags(wait->sock);
    const bool expects = (flags & ND_SOCK_SENT_LAST) || ((flags & ND_SOCK_CONNECTED) && wait->alone);
    return expects ? runs(wait, ND_LIMIT_RECV, nd_sock_recv_limit(wait->sock),
                          nd_datagram_silence(wait->sock, wait->alone, wait->now))
                   : none;
}

struct bound bound_accepted(const struct bound_wait *wait) {
    return runs(wait, ND_LIMIT_ACCEPT, nd_sock_accept_limit(wait->sock),
                nd_wait_clock_silence(&wait->sock->clock[ND_IN]));
}

struct bound bound_connected(const struct bound_wait *wait) {
    nd_time deadline;
    const enum nd_limit limit = nd_connect_bound(wait->sock, wait->sock->connect_began, &deadline);
    return fires(limit,
                 limit == ND_LIMIT_ESTABLISH ? nd_sock_establish_limit(wait->sock) : nd_sock_connect_limit(wait->sock),
                 deadline);
}

static struct bound input(const struct bound_wait *wait) {
    if (!(wait->wants & ND_WANTS_IN))
        return none;
    if (nd_sock_flags(wait->sock) & ND_SOCK_LISTENING)
        return wait->has_streams ? none : bound_accepted(wait);
    if (nd_sock_is_datagram(wait->sock))
        return recv_datagram(wait);
    return bound_sooner(recv_stream(wait), gone(wait));
}

/* The clocks of a wait for space are in the record, in the time that was waited. */
static struct bound space(const struct bound_wait *wait) {
    const struct nd_sock *sock = wait->sock;
    const struct nd_wait_clock *out = &sock->clock[ND_OUT];
    const struct connection *connection = wait->connection;
    if (!(wait->wants & ND_WANTS_OUT) || !nd_sock_send_space_limited(sock) || (connection && !connection->is_full))
        return none;
    struct nd_send_space seen = {out->progress, out->unacked, out->queued};
    if (!out->check_at)
        seen.unacked_since = connection && nd_tcp_unanswered(&connection->info) ? seen.progress : -1;
    else if (connection) {
        nd_send_space_answers(&seen, &connection->info, out->time.waited);
        if (seen.queued != connection->send_queue)
            seen.progress = out->time.waited;
    }
    enum nd_limit limit;
    const nd_time at = nd_send_space_fires(sock, &seen, &limit);
    if (limit == ND_LIMIT_NONE)
        return none;
    return fires(limit, limit == ND_LIMIT_SEND ? nd_sock_send_limit(sock) : nd_sock_limits(sock)->unacked,
                 nd_time_after(wait->now, at - out->time.waited));
}

struct bound bound_operation(const struct nd_sock *sock) {
    const nd_time at = nd_operation_deadline(sock);
    return at == ND_NEVER ? none : (struct bound){.is_operation = true, .timeout = sock->operation.timeout, .at = at};
}

struct bound bound_polled(const struct bound_wait *wait) {
    const struct nd_sock *sock = wait->sock;
    const struct bound first = bound_operation(sock);
    if (nd_sock_flags(sock) & ND_SOCK_CONNECTING)
        return bound_sooner(first, bound_connected(wait));
    const bool busy = wait->alone || (wait->wants & ND_WANTS_OUT);
    return bound_sooner(bound_sooner(bound_sooner(first, connection_limits(wait, busy)), keepalive(wait)),
                        bound_sooner(input(wait), space(wait)));
}

struct bound bound_received(const struct bound_wait *wait, nd_time began) {
    const struct nd_sock *sock = wait->sock;
    nd_time silent = wait->now - nd_carried_over_receive(sock, began);
    if (info_of(wait)) /* another thread may have received bytes meanwhile, or this call some of all that it wants */
        silent = nd_time_sooner(silent, info_of(wait)->last_data_recv + ND_MSEC);
    return bound_sooner(runs(wait, ND_LIMIT_RECV, nd_sock_recv_limit(sock), silent), bound_besides(wait));
}

struct bound bound_besides(const struct bound_wait *wait) {
    const struct bound others = bound_sooner(connection_limits(wait, true), keepalive(wait));
    return wait->wants & ND_WANTS_IN ? bound_sooner(others, gone(wait)) : others;
}

struct bound bound_unwatched(const struct bound_wait *wait) {
    return wait->wants & ND_WANTS_IN ? bound_sooner(keepalive(wait), gone(wait)) : keepalive(wait);
}

struct bound bound_unseen(const struct bound_wait *wait) {
    const uint32_t timed = nd_sock_flags(wait->sock) & (ND_SOCK_RCVTIMEO | ND_SOCK_NONBLOCK);
    if ((wait->wants & ND_WANTS_IN) && timed == ND_SOCK_RCVTIMEO)
        return fires(ND_LIMIT_RECV, nd_sock_recv_limit(wait->sock), ND_NEVER); /* since when is not known */
    return keepalive(wait);
}
