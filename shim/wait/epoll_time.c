#include "shim/wait/epoll_time.h"

#include "base/compiler.h"
#include "shim/mode.h"
#include "shim/socket/limits.h"

void nd_epoll_run_clocks_by(struct nd_sock *sock, struct nd_membership *member, nd_time waited) {
    member->seen += waited;
    if (!nd_epoll_wants(member->events))
        return;
    nd_clocks_run(sock, waited);
}

/* After a change in a set it is scanned within this part of the shortest limit. */
#define SCANS_PER_LIMIT 8
#define SHORTEST_DELAY (20 * ND_MSEC)
#define LONGEST_DELAY ND_SEC

nd_time nd_epoll_soonest(const struct nd_epoll *set) {
    return ND_EPOLL_SCAN_SHARE * set->cost > SHORTEST_DELAY ? ND_EPOLL_SCAN_SHARE * set->cost : SHORTEST_DELAY;
}

nd_time nd_epoll_delay_anew(const struct nd_epoll *set) {
    nd_time delay =
        nd_epoll_shorter(nd_epoll_shorter(LONGEST_DELAY * SCANS_PER_LIMIT, set->shortest), nd_profile_shortest) /
        SCANS_PER_LIMIT;
    nd_time soonest = nd_epoll_soonest(set);
    return delay < soonest ? soonest : delay;
}

static nd_time shortest_of(const struct nd_limits *limits) {
    nd_time shortest = nd_epoll_shorter(nd_epoll_shorter(limits->recv, limits->send),
                                        nd_epoll_shorter(limits->idle, limits->lifetime));
    shortest = nd_epoll_shorter(nd_epoll_shorter(shortest, limits->min_rate_window), limits->unacked);
    return nd_epoll_shorter(shortest, nd_epoll_shorter(limits->tls_handshake, limits->tls_shutdown));
}

#define LONGEST_PERIOD (2 * ND_SEC)

static nd_time period_by_settings(void) {
    nd_time limit = nd_epoll_shorter(shortest_of(&nd_settings.outbound), shortest_of(&nd_settings.inbound));
    limit = nd_epoll_shorter(nd_epoll_shorter(limit, nd_settings.connect),
                             nd_epoll_shorter(nd_settings.accept, nd_profile_shortest));
    /* Of ESTABLISH a connect has a share only. */
    limit = nd_epoll_shorter(limit, nd_settings.establish / 4);
    nd_time period = limit ? limit / 4 : LONGEST_PERIOD;
    period = period < LONGEST_PERIOD ? period : LONGEST_PERIOD;
    return period > ND_EPOLL_SHORTEST_PERIOD ? period : ND_EPOLL_SHORTEST_PERIOD;
}

/* If two threads compute it for different generations of the settings at once, the next call computes it anew. */
nd_time nd_epoll_period(void) {
    static _Atomic nd_time period;
    static _Atomic uint32_t computed_for; /* 0: not computed yet */
    const uint32_t generation = nd_settings_generation + 1;
    if (computed_for != generation) {
        computed_for = 0;
        period = period_by_settings();
        computed_for = generation;
    }
    return period;
}

nd_time nd_epoll_waited_by_now(const struct nd_epoll *set) {
    if (*nd_one_thread)
        return set->time.waited;
    nd_time under_way = nd_now_coarse() - set->time.accounted;
    nd_time period = nd_epoll_period();
    return set->time.waited + (under_way < period ? under_way : period);
}

void nd_epoll_reschedule(struct nd_sock *sock, nd_time then) {
    struct nd_epoll *set = &sock->epoll;
    nd_time due = set->due;
    if (due > then)
        atomic_compare_exchange_strong(&set->due, &due, then);
}

/* The order matters: a scan that ends in another thread sets `due` first, and clears `rescheduled` then. */
void nd_epoll_reschedule_within(struct nd_sock *sock, nd_time now, nd_time delay) {
    struct nd_epoll *set = &sock->epoll;
    set->rescheduled = nd_epoll_shorter(set->rescheduled, delay > 0 ? delay : 1);
    nd_epoll_reschedule(sock, now + delay);
}

/* How long the connect under way may take; 0: there is no limit. */
static nd_time connect_time(const struct nd_sock *sock) {
    const nd_time began = sock->connect_began, deadline = nd_connect_deadline(sock, began);
    return deadline == ND_NEVER ? 0 : deadline > began ? deadline - began : 1;
}

static nd_time shortest_limit(const struct nd_sock *sock) {
    const uint32_t flags = nd_sock_flags(sock);
    const struct nd_limits *limits = nd_sock_limits_by(sock, flags);
    nd_time shortest = nd_epoll_shorter(nd_recv_limit_by(flags, limits), nd_send_limit_by(flags, limits));
    shortest = nd_epoll_shorter(nd_epoll_shorter(shortest, limits->unacked), sock->operation.timeout);
    if (nd_unlikely(flags & ND_SOCK_LISTENING))
        shortest = nd_epoll_shorter(shortest, nd_sock_accept_limit(sock));
    if (nd_unlikely(flags & ND_SOCK_CONNECTING))
        shortest = nd_epoll_shorter(shortest, connect_time(sock));
    if (nd_unlikely(nd_connection_limited_by(flags, limits)))
        shortest = nd_epoll_shorter(nd_epoll_shorter(nd_epoll_shorter(shortest, limits->idle), limits->lifetime),
                                    limits->min_rate_window);
    return shortest;
}

void nd_epoll_note_limit(struct nd_epoll *set, const struct nd_sock *sock) {
    const nd_time limit = shortest_limit(sock), shortest = set->shortest;
    if (!limit || (shortest && shortest <= limit))
        return;
    set->shortest = limit;
    set->delay = nd_epoll_delay_anew(set);
}
