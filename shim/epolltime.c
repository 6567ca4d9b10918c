#include "shim/epolltime.h"

#include "shim/epollmember.h"
#include "shim/straight.h"
#include "shim/timers.h"
#include "shim/waitclock.h"

short nd_epoll_wants(uint32_t events) {
    return (short)(nd_wants_of((short)events, (short)events) & (ND_WANTS_IN | ND_WANTS_OUT));
}

void nd_epoll_run_clocks(struct nd_sock *sock, struct nd_membership *member, const struct nd_epoll *set) {
    nd_time waited = set->time.waited - member->seen;
    if (waited <= 0)
        return;
    member->seen += waited;
    if (!nd_epoll_wants(member->events))
        return;
    sock->clock[ND_IN].time.waited += waited;
    sock->clock[ND_OUT].time.waited += waited;
    sock->pace.time.waited += waited;
}

/* After something has happened in a set, its sockets are looked through within an eighth of the shortest limit. */
#define LOOKS_PER_LIMIT 8
#define SHORTEST_DELAY (20 * ND_MSEC)
#define LONGEST_DELAY ND_SEC

nd_time nd_epoll_soonest(const struct nd_epoll *set) {
    return ND_EPOLL_LOOK_SHARE * set->cost > SHORTEST_DELAY ? ND_EPOLL_LOOK_SHARE * set->cost : SHORTEST_DELAY;
}

nd_time nd_epoll_delay(const struct nd_epoll *set) {
    nd_time soon =
        nd_epoll_shorter(nd_epoll_shorter(LONGEST_DELAY * LOOKS_PER_LIMIT, set->shortest), nd_profile_shortest) /
        LOOKS_PER_LIMIT;
    nd_time soonest = nd_epoll_soonest(set);
    return soon < soonest ? soonest : soon;
}

static nd_time shortest_of(const struct nd_limits *limits) {
    nd_time shortest = nd_epoll_shorter(nd_epoll_shorter(limits->recv, limits->send),
                                        nd_epoll_shorter(limits->idle, limits->lifetime));
    shortest = nd_epoll_shorter(nd_epoll_shorter(shortest, limits->min_rate_window), limits->unacked);
    return nd_epoll_shorter(shortest, nd_epoll_shorter(limits->tls_handshake, limits->tls_shutdown));
}

#define LONGEST_PERIOD (2 * ND_SEC)

nd_time nd_epoll_period(void) {
    nd_time limit = nd_epoll_shorter(shortest_of(&nd_settings.outbound), shortest_of(&nd_settings.inbound));
    limit = nd_epoll_shorter(nd_epoll_shorter(limit, nd_settings.connect),
                             nd_epoll_shorter(nd_settings.accept, nd_profile_shortest));
    nd_time period = limit ? limit / 4 : LONGEST_PERIOD;
    period = period < LONGEST_PERIOD ? period : LONGEST_PERIOD;
    return period > ND_EPOLL_SHORTEST_PERIOD ? period : ND_EPOLL_SHORTEST_PERIOD;
}

nd_time nd_epoll_waited_by_now(const struct nd_epoll *set) {
    nd_time under_way = *nd_straight_single ? 0 : nd_now_coarse() - set->time.accounted;
    nd_time period = nd_epoll_period();
    return set->time.waited + (under_way < period ? under_way : period);
}

void nd_epoll_hurry(struct nd_sock *sock, nd_time soon) {
    struct nd_epoll *set = &sock->epoll;
    nd_time due = set->due;
    if (due > soon)
        atomic_compare_exchange_strong(&set->due, &due, soon);
}

nd_time nd_epoll_shortest_limit(const struct nd_sock *sock) {
    const struct nd_limits *limits = nd_sock_limits(sock);
    nd_time shortest = nd_epoll_shorter(nd_sock_recv_limit(sock), nd_sock_send_limit(sock));
    shortest = nd_epoll_shorter(nd_epoll_shorter(shortest, limits->unacked), nd_sock_accept_limit(sock));
    shortest = nd_epoll_shorter(shortest, sock->operation.timeout);
    if (nd_sock_flags(sock) & ND_SOCK_CONNECTING)
        shortest = nd_epoll_shorter(shortest, nd_sock_connect_limit(sock));
    if (nd_sock_paced(sock))
        shortest = nd_epoll_shorter(nd_epoll_shorter(nd_epoll_shorter(shortest, limits->idle), limits->lifetime),
                                    limits->min_rate_window);
    return shortest;
}
