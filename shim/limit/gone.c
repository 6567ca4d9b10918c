#include "shim/limit/gone.h"

#include "shim/mode.h"
#include "shim/socket/retransmit.h"

/* The first check of a connection is due when this part of the limit is over; it tells how much is left. */
#define FIRST_CHECK 8

/* A connection whose peer is nearly gone is not checked more often than this. */
#define SHORTEST_INTERVAL (10 * ND_MSEC)

nd_time nd_gone_due(struct nd_sock *sock, nd_time now) {
    const nd_time limit = nd_gone_limit(sock);
    nd_time at = atomic_load_explicit(&sock->gone_check_at, memory_order_relaxed);
    if (!limit)
        return ND_NEVER;
    if (!at || at > now + limit) { /* not checked yet, or by a longer limit; most are answered before */
        at = now + limit / FIRST_CHECK;
        atomic_store_explicit(&sock->gone_check_at, at, memory_order_relaxed);
    }
    return at;
}

/* The kernel's retransmissions tell of some four minutes at most: when the time between two has come to its longest
 * (TCP_RTO_MAX, 120 s), nobody can say how many there were of that. What was outstanding at the last check is so still
 * where no acknowledgement has come since. */
nd_time nd_gone_for(const struct nd_sock *sock, const struct nd_tcp_info *info, nd_time now) {
    const nd_time told = nd_tcp_unacked_for(info), since = sock->unacked_since, noted = since ? now - since : 0;
    return told > 0 && noted > told && info->last_ack_recv + ND_TCP_TICK >= noted ? noted : told;
}

void nd_gone_wait_begins(struct nd_sock *sock, nd_time now) {
    const nd_time limit = nd_gone_limit(sock), first = now + limit / FIRST_CHECK;
    if (limit && !nd_observing && atomic_load_explicit(&sock->gone_check_at, memory_order_relaxed) > first)
        atomic_store_explicit(&sock->gone_check_at, first, memory_order_relaxed);
}

/* What may have been sent just now, or may be at any time by a program that sends all the time, has its first check
 * early, while retransmissions can still be spread over the limit. Connections that are idle for longer have one check
 * in a limit: 20,000 of them in an epoll set take 0.06 % of a processor so. */
nd_time nd_gone_next_check(const struct nd_tcp_info *info, nd_time unacked, nd_time limit) {
    const nd_time first = limit / FIRST_CHECK;
    const bool is_fresh = unacked > 0 ? unacked < first : info->last_data_sent < first;
    return is_fresh ? first : limit - unacked;
}

bool nd_gone_check(int fd, struct nd_sock *sock, nd_time now, struct nd_expiry *expiry) {
    struct nd_tcp_info info;
    const nd_time limit = nd_gone_limit(sock);
    if (now < nd_gone_due(sock, now))
        return false;
    if (!nd_tcp_info_read(fd, &info)) {
        sock->gone_check_at = 0; /* a filter may refuse each check: the next one is not due at once */
        return false;
    }
    const nd_time unacked = nd_gone_for(sock, &info, now), left = nd_gone_next_check(&info, unacked, limit);
    const nd_time awaited = nd_observing ? 0 : nd_tcp_answer_awaited(&info, unacked, limit);
    sock->unacked_since = unacked > 0 ? now - unacked : 0;
    nd_retransmit_follow(fd, sock, &info, unacked, limit);
    /* One that is only observed is reported once in a while. */
    const nd_time next = left <= 0 && nd_observing ? limit : left <= 0 ? awaited : left;
    sock->gone_check_at = now + (next > SHORTEST_INTERVAL ? next : SHORTEST_INTERVAL);
    *expiry = (struct nd_expiry){.limit = nd_limit_name(sock, ND_LIMIT_UNACKED), .timeout = limit, .elapsed = unacked};
    return unacked >= limit && !awaited;
}
