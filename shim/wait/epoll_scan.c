#include "shim/wait/epoll_scan.h"

#include "base/clock.h"
#include "shim/limit/pending_timeout.h"
#include "shim/limit/wait_clock.h"
#include "shim/real.h"
#include "shim/report/slots.h"
#include "shim/socket/change.h"
#include "shim/socket/kernel_timers.h"
#include "shim/socket/limits.h"
#include "shim/wait/epoll_member.h"
#include "shim/wait/epoll_set.h"
#include "shim/wait/epoll_time.h"

/* Three system calls and the record, as measured on one socket. */
#define COST_PER_SOCKET ((nd_time)1000)

/* Sets in sets: no deeper than the kernel lets them be. */
#define DEEPEST 5

static bool has_room(int fd) {
    struct pollfd pollfd = {.fd = fd, .events = POLLOUT};
    return nd_real.poll(&pollfd, 1, 0) != 0;
}

/* A socket may be registered for room at all times (edge-triggered sets are); its clock runs only while there is none. */
static short wants_now(int fd, struct nd_sock *sock, uint32_t events) {
    struct nd_wait_clock *out = &sock->clock[ND_OUT];
    short wants = nd_epoll_wants(events);
    if (!(wants & ND_WANTS_OUT) || (nd_sock_flags(sock) & ND_SOCK_CONNECTING) ||
        !(nd_wait_clock_send_space(sock, wants) || nd_sock_connection_limited(sock)))
        return wants;
    bool room = has_room(fd);
    if (room || !out->check_at)
        nd_wait_clock_progress(out);
    return room ? (short)(wants & ~ND_WANTS_OUT) : wants;
}

static struct nd_connections company_of(int epfd, struct nd_epoll *set, int depth) {
    struct nd_connections company = {.all = 0};
    struct nd_membership *member;
    for (int fd = 0; fd <= set->highest; fd++) {
        const struct nd_sock *sock = nd_epoll_member_of(epfd, fd, &member);
        if (sock)
            nd_connections_add(&company, sock);
    }
    for (int i = 0; set->nested && depth < DEEPEST && i < ND_INNER_SETS; i++) {
        const int home = set->inner[i] ? nd_epoll_home(set->inner[i] - 1) : -1;
        struct nd_sock *inner = home >= 0 ? nd_epoll_set_of(home) : NULL;
        if (inner) {
            const struct nd_connections its = company_of(home, &inner->epoll, depth + 1);
            nd_connections_join(&company, &its);
        }
    }
    return company;
}

struct nd_connections nd_epoll_connections(int epfd) {
    epfd = nd_epoll_home(epfd);
    struct nd_sock *set = nd_epoll_set_of(epfd);
    return set ? company_of(epfd, &set->epoll, 0) : (struct nd_connections){.all = 0};
}

/* One look through a set. */
struct look {
    const char *operation;
    int epfd;
    struct nd_epoll *set;
    const struct nd_connections *company;
    nd_time now;
    nd_time due; /* when something in it is due next */
    bool timed;  /* a limit holds for something in it */
};

/* A stream that was ended is still to be shown (results.h). */
static bool is_ended_member(int epfd, int fd) {
    struct nd_sock *sock = nd_sock_lookup(fd);
    return sock && (nd_sock_flags(sock) & ND_SOCK_EXPIRED) && nd_epoll_membership(sock, epfd);
}

/* One socket of the set. Returns whether it ended; else look->due is lowered to when it is to be looked at next. */
static bool look_at(struct look *look, int fd) {
    struct nd_membership *member;
    struct nd_sock *sock = nd_epoll_member_of(look->epfd, fd, &member);
    if (!sock) {
        look->timed |= is_ended_member(look->epfd, fd);
        return false;
    }
    nd_epoll_run_clocks(sock, member, look->set);
    nd_wait_clock_settle_connect(fd, sock);
    look->timed |= nd_epoll_is_timed(fd, sock, member->events);
    short wants = wants_now(fd, sock, member->events);
    nd_epoll_note_limit(look->set, sock);
    if (nd_pending_timeout_applies(sock))
        nd_pending_timeout_check(look->operation, fd, sock, wants, look->company, look->now);
    else if (nd_wait_clock_expire(look->operation, fd, sock, wants, nd_connections_is_only(look->company, sock),
                                  look->now))
        return true;
    nd_time its = nd_wait_clock_due(sock, wants, look->now);
    look->due = its < look->due ? its : look->due;
    return false;
}

/* No limit holds for anything in the set (any more): waits for it go straight, unless something has changed meanwhile. Only
 * where the thread that waits is the one that puts sockets into it. */
static void settle_timed(struct look *look, uint32_t changes) {
    struct nd_epoll *set = look->set;
    struct nd_sock *sock = nd_epoll_set_of(look->epfd);
    for (int i = 0; set->nested && i < ND_INNER_SETS; i++) {
        const struct nd_sock *inner = set->inner[i] ? nd_epoll_set_of(nd_epoll_home(set->inner[i] - 1)) : NULL;
        look->timed |= inner && inner->epoll.timed;
    }
    if (!sock || look->timed || set->one_shots || set->thread != nd_slots_thread())
        return;
    set->timed = false;
    nd_sock_change(look->epfd, sock, 0, 0);
    if (set->changes != changes) {
        set->timed = true;
        nd_sock_change(look->epfd, sock, 0, 0);
    }
}

static bool look_through(struct look *look) {
    bool any = false;
    struct nd_epoll *set = look->set;
    const uint32_t changes = set->changes;
    set->shortest = 0;
    set->delay = 0;
    for (int fd = 0; fd <= set->highest; fd++)
        any |= look_at(look, fd);
    nd_time cost = nd_now() - look->now; /* more than this only where we were not let run */
    set->cost = cost < COST_PER_SOCKET * (set->highest + 1) ? cost : COST_PER_SOCKET * (set->highest + 1);
    set->delay = nd_epoll_delay_anew(set);
    nd_time earliest = look->now + ND_EPOLL_SCAN_SHARE * set->cost;
    set->due = look->due < earliest ? earliest : look->due;
    set->rescheduled = 0;
    settle_timed(look, changes);
    return any;
}

/* A thread that was cancelled in a look does not come back to say that it is over. */
#define LONGEST_LOOK ND_SEC

static bool begin_look(struct nd_epoll *set, nd_time now) {
    nd_time other = set->scanning;
    return (other == 0 || now - other > LONGEST_LOOK) && atomic_compare_exchange_strong(&set->scanning, &other, now);
}

bool nd_epoll_scan(const char *operation, int epfd, const struct nd_connections *company, nd_time now) {
    epfd = nd_epoll_home(epfd);
    struct nd_sock *sock = nd_epoll_set_of(epfd);
    if (!sock || !begin_look(&sock->epoll, now))
        return false; /* another thread is at it */
    struct nd_epoll *set = &sock->epoll;
    if (now >= set->due)
        nd_epoll_read_rings(epfd, set);
    struct nd_connections own = company_of(epfd, set, 0);
    if (company && company->all > own.all)
        own = *company;
    struct look look = {operation, epfd, set, &own, now, ND_NEVER, false};
    bool any = now >= set->due && look_through(&look);
    set->scanning = 0;
    for (int i = 0; set->nested && i < ND_INNER_SETS; i++)
        if (set->inner[i])
            any |= nd_epoll_scan(operation, set->inner[i] - 1, &own, now);
    return any;
}
