#include "shim/limit/elapsed.h"

struct nd_flow nd_flow_of(const struct nd_sock *sock, const struct nd_tcp_info *info) {
    const bool counted = info->known & ND_TCP_BYTES;
    return (struct nd_flow){.since = nd_time_sooner(info->last_data_recv, info->last_data_sent),
                            .dated = info->known & ND_TCP_TIMES,
                            .bytes =
                                counted ? info->bytes_acked + info->bytes_received : sock->connection_clock.counted,
                            .counted = counted};
}

/* How long ago bytes moved, at most `silent`. Where the kernel does not report it, the calls that moved bytes and the
 * waits that found the socket readable show it: the calls after such a wait may have been made unseen (stdio, raw
 * system calls). */
static nd_time since_movement(const struct nd_flow *flow, const struct nd_sock *sock, nd_time silent) {
    const struct nd_wait_clock *in = &sock->clock[ND_IN];
    if (flow->dated)
        return nd_time_sooner(silent, flow->since + ND_MSEC); /* whole milliseconds, rounded down */
    if (flow->bytes != sock->connection_clock.moved_bytes)
        return 0;
    return in->time.waited ? nd_time_sooner(silent, nd_wait_clock_silence(in)) : silent;
}

/* Retransmissions to a peer that is gone advance the kernel's time of the last sent bytes, but move none: the counts
 * decide. */
nd_time nd_idle_for(const struct nd_sock *sock, const struct nd_flow *flow) {
    const struct nd_connection_clock *clock = &sock->connection_clock;
    const nd_time silent = clock->time.waited - clock->moved;
    return flow->bytes != clock->moved_bytes || clock->counting ? since_movement(flow, sock, silent) : silent;
}

static bool in_epoll_for_space(const struct nd_sock *sock) {
    for (int i = 0; i < ND_MEMBERSHIPS; i++)
        if (sock->in[i].set && (sock->in[i].events & ND_WANTS_OUT))
            return true;
    return false;
}

nd_time nd_recv_silence(const struct nd_sock *sock, const struct nd_tcp_info *info, short wants, bool alone,
                        nd_time requested) {
    const nd_time received = info->last_data_recv, sent = info->last_data_sent;
    const uint32_t flags = nd_sock_flags(sock);
    const bool reply_pending = nd_tcp_reply_pending(info, flags & ND_SOCK_SENT_LAST, flags & ND_SOCK_SCOPED);
    /* No reply to a request can be pending for longer than since that was sent. */
    nd_time since = alone ? nd_time_sooner(received, requested) : reply_pending ? nd_time_sooner(received, sent) : 0;
    const bool both = (wants & ND_WANTS_OUT) || in_epoll_for_space(sock);
    if (alone && both && sent < since)
        since = sent; /* a wait for both ends with either */
    return since;
}

/* By the wait clock, which an epoll set updates only now and then, but no longer than since the last datagram was
 * received or the request was sent. */
nd_time nd_datagram_silence(const struct nd_sock *sock, bool alone, nd_time now) {
    const uint32_t flags = nd_sock_flags(sock);
    nd_time silent = nd_wait_clock_silence(&sock->clock[ND_IN]);
    if (!(flags & ND_SOCK_SENT_LAST) && !((flags & ND_SOCK_CONNECTED) && alone))
        return 0;
    if (sock->received_at)
        silent = nd_time_sooner(silent, now - sock->received_at);
    return flags & ND_SOCK_SENT_LAST ? nd_time_sooner(silent, now - sock->reply_pending_since) : silent;
}
