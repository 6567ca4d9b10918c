#include "shim/epollset.h"

#include <errno.h>
#include <sys/epoll.h>

#include "shim/real.h"
#include "shim/start.h"
#include "shim/timers.h"
#include "shim/waitclock.h"
#include "shim/waitset.h"

/* After something has happened in a set, its sockets are looked through within an eighth of the shortest limit. */
#define LOOKS_PER_LIMIT 8
#define SHORTEST_DELAY (20 * ND_MSEC)
#define LONGEST_DELAY ND_SEC

/* A look may take this part of the time. */
#define LOOK_SHARE 100

/* Three system calls and the record, as measured on one socket. */
#define COST_PER_SOCKET ((nd_time)1000)

void nd_epoll_noted(int epfd, int fd, uint32_t events, bool added) {
    struct nd_sock *sock = nd_sock_peek(fd), *set = nd_sock_get(epfd);
    if (!sock || !set || !(nd_sock_flags(sock) & ND_SOCK_KNOWN))
        return;
    if (!(nd_sock_flags(set) & ND_SOCK_EPOLL))
        nd_sock_born(epfd, ND_SOCK_EPOLL);
    sock->in_epoll = events ? epfd + 1 : 0;
    sock->epoll_events = events;
    if (added) {
        sock->epoll_seen = set->epoll.waited;
        nd_clock_progress(&sock->clock[ND_IN]);
        nd_clock_progress(&sock->clock[ND_OUT]);
    }
    if (fd > set->epoll.highest)
        set->epoll.highest = fd;
    set->epoll.due = 0;
}

static short wants_of(uint32_t events) {
    /* EPOLLIN and its kin have poll's values; a one-shot may have been delivered, and nobody waits for it until it is set
     * again: only its connect is bounded. */
    return events & EPOLLONESHOT ? 0 : (short)(events & (ND_WANTS_IN | ND_WANTS_OUT));
}

/* The record of `fd` if it is a live socket of the set. */
static struct nd_sock *member(int epfd, int fd) {
    struct nd_sock *sock = nd_sock_peek(fd);
    if (sock)
        nd_timers_refresh(fd, sock);
    if (!sock || sock->in_epoll != epfd + 1 || (nd_sock_flags(sock) & ND_SOCK_EXPIRED))
        return NULL;
    return nd_sock_flags(sock) & (ND_SOCK_CONNECTED | ND_SOCK_CONNECTING) ? sock : NULL;
}

static bool has_room(int fd) {
    struct pollfd pollfd = {.fd = fd, .events = POLLOUT};
    return nd_real.poll(&pollfd, 1, 0) != 0;
}

/* A socket may be registered for room at all times (edge-triggered sets are); its clock runs only while there is none. */
static short wants_now(int fd, struct nd_sock *sock, short wants) {
    struct nd_wait_clock *out = &sock->clock[ND_OUT];
    if ((nd_sock_flags(sock) & ND_SOCK_CONNECTING) || !nd_clock_room(sock, wants))
        return wants;
    bool room = has_room(fd);
    if (room || !out->look)
        nd_clock_progress(out);
    return room ? (short)(wants & ~ND_WANTS_OUT) : wants;
}

/* The sockets' clocks run on by what the set has been waited for since they were last looked at. */
static void run_clocks(struct nd_sock *sock, const struct nd_epoll *set) {
    nd_time waited = set->waited - sock->epoll_seen;
    sock->epoll_seen = set->waited;
    sock->clock[ND_IN].waited += waited;
    sock->clock[ND_OUT].waited += waited;
}

static void settle_connect(int fd, struct nd_sock *sock) {
    struct pollfd pollfd = {.fd = fd, .events = POLLOUT};
    if ((nd_sock_flags(sock) & ND_SOCK_CONNECTING) && nd_real.poll(&pollfd, 1, 0) > 0)
        nd_clock_connected(fd, sock, pollfd.revents);
}

static struct nd_company company_of(int epfd, int highest) {
    struct nd_company company = {0, 0};
    for (int fd = 0; fd <= highest; fd++) {
        const struct nd_sock *sock = member(epfd, fd);
        if (sock && (nd_sock_flags(sock) & ND_SOCK_CONNECTED))
            nd_company_add(&company, sock);
    }
    return company;
}

/* Looks through the set's sockets: ends what is due, and notes when the next one will be. Returns whether anything ended. */
static bool look_through(const struct nd_epoll_wait *call, struct nd_epoll *set, nd_time now) {
    if (atomic_exchange(&set->looking, true))
        return false; /* another thread is at it */
    bool any = false;
    nd_time due = ND_NEVER;
    const struct nd_company company = company_of(call->epfd, set->highest);
    for (int fd = 0; fd <= set->highest; fd++) {
        struct nd_sock *sock = member(call->epfd, fd);
        if (!sock)
            continue;
        run_clocks(sock, set);
        settle_connect(fd, sock);
        short wants = wants_now(fd, sock, wants_of(sock->epoll_events));
        if (nd_clock_expire(call->operation, fd, sock, wants, nd_alone(&company, sock), now)) {
            any = true;
            continue;
        }
        nd_time its = nd_clock_due(sock, wants, now);
        due = its < due ? its : due;
    }
    nd_time cost = nd_now() - now; /* more than this only where we were not let run */
    set->cost = cost < COST_PER_SOCKET * (set->highest + 1) ? cost : COST_PER_SOCKET * (set->highest + 1);
    nd_time earliest = now + LOOK_SHARE * set->cost;
    set->due = due < earliest ? earliest : due;
    set->looking = false;
    return any;
}

static nd_time shorter(nd_time a, nd_time b) {
    return b && b < a ? b : a;
}

/* How long after something has happened the set is looked through. */
static nd_time delay(const struct nd_epoll *set) {
    const struct nd_limits *out = &nd_settings.outbound, *in = &nd_settings.inbound;
    nd_time limit = shorter(shorter(LONGEST_DELAY * LOOKS_PER_LIMIT, nd_settings.connect), nd_profile_shortest);
    limit = shorter(shorter(shorter(limit, out->recv), out->send), out->unacked);
    limit = shorter(shorter(shorter(limit, in->recv), in->send), in->unacked);
    nd_time soon = limit / LOOKS_PER_LIMIT;
    soon = soon < SHORTEST_DELAY ? SHORTEST_DELAY : soon;
    return soon < LOOK_SHARE * set->cost ? LOOK_SHARE * set->cost : soon;
}

/* When the set must be looked through, seen from the start of a wait. */
static nd_time due_at(struct nd_epoll *set, nd_time now) {
    nd_time unknown = 0;
    if (set->due == 0)
        atomic_compare_exchange_strong(&set->due, &unknown, now + delay(set));
    return set->due;
}

/* Something is ready: what the program does with it may start a clock, so the set is looked through soon after. */
static void happened(struct nd_epoll *set, nd_time now) {
    nd_time soon = now + delay(set), due = set->due;
    if (due > soon)
        atomic_compare_exchange_strong(&set->due, &due, soon);
}

static void count_wait(struct nd_epoll *set, nd_time began, nd_time ended) {
    nd_time from = set->accounted > began ? set->accounted : began;
    if (ended > from) {
        set->waited += ended - from;
        set->accounted = ended;
    }
}

int nd_epoll_run(const struct nd_epoll_wait *call) {
    struct nd_sock *sock = nd_sock_peek(call->epfd);
    if (!sock || !(nd_sock_flags(sock) & ND_SOCK_EPOLL) || call->timeout == 0)
        return call->wait(call, ND_AS_GIVEN);
    nd_timers_refresh(call->epfd, sock);
    struct nd_epoll *set = &sock->epoll;
    const int untouched = errno;
    nd_time now = nd_now(), timeout = ND_AS_GIVEN;
    const nd_time deadline = nd_time_after(now, call->timeout);
    for (;;) {
        nd_time due = due_at(set, now);
        if (due < deadline && !nd_observing)
            timeout = due > now ? due - now : 0;
        else if (timeout != ND_AS_GIVEN)
            timeout = deadline == ND_NEVER ? ND_NEVER : deadline > now ? deadline - now : 0;
        int ready = call->wait(call, timeout), error = errno;
        nd_time ended = nd_now();
        count_wait(set, now, ended);
        bool expired = ready >= 0 && ended >= due && look_through(call, set, ended);
        if (ready > 0)
            happened(set, ended);
        if (ready == 0 && expired && !nd_observing) {
            ready = call->wait(call, 0);
            error = errno;
        }
        if (ready != 0 || ended >= deadline) {
            errno = ready < 0 ? error : untouched;
            return ready;
        }
        now = ended;
        if (timeout == ND_AS_GIVEN)
            timeout = 0;
    }
}
