#include "shim/wait/epoll_scan.h"

#include "shim/limit/pending_timeout.h"
#include "shim/poll.h"
#include "shim/socket/limits.h"
#include "shim/wait/epoll_member.h"
#include "shim/wait/epoll_set.h"

/* The measured cost of scanning one socket: three system calls and the reading of its record. */
#define COST_PER_SOCKET ((nd_time)1000)

static bool has_send_space(int fd) {
    struct pollfd pollfd = {.fd = fd, .events = POLLOUT};
    return nd_poll_now(&pollfd) != 0;
}

/* The events that the clocks of a socket registered for `events` run for now. A socket may be registered for EPOLLOUT
 * at all times, as in edge-triggered sets; its ND_OUT clock runs only while there is no send-buffer space. */
static short wants_now(int fd, struct nd_sock *sock, uint32_t events) {
    struct nd_wait_clock *out = &sock->clock[ND_OUT];
    short wants = nd_epoll_wants(events);
    if (!(wants & ND_WANTS_OUT) || (nd_sock_flags(sock) & ND_SOCK_CONNECTING) ||
        !(nd_wait_clock_send_space(sock, wants) || nd_sock_connection_limited(sock)))
        return wants;
    bool send_space = has_send_space(fd);
    if (send_space || !out->check_at)
        nd_wait_clock_progress(out);
    return send_space ? (short)(wants & ~ND_WANTS_OUT) : wants;
}

static struct nd_connections connections_of(int epfd, const struct nd_sock *set, int depth) {
    struct nd_connections connections = {.all = 0};
    struct nd_membership *member;
    for (int fd = 0; fd <= set->epoll.highest; fd++) {
        const struct nd_sock *sock = nd_epoll_member_of(epfd, fd, &member);
        if (sock)
            nd_connections_add(&connections, sock);
    }
    for (int at = 0, fd; depth < ND_EPOLL_DEEPEST && (fd = nd_epoll_next_inner(epfd, set, &at)) >= 0;) {
        const int home = nd_epoll_home(fd);
        const struct nd_sock *inner = nd_epoll_set_of(home);
        if (inner) {
            const struct nd_connections its = connections_of(home, inner, depth + 1);
            nd_connections_join(&connections, &its);
        }
    }
    return connections;
}

struct nd_connections nd_epoll_connections(int epfd) {
    epfd = nd_epoll_home(epfd);
    const struct nd_sock *set = nd_epoll_set_of(epfd);
    return set ? connections_of(epfd, set, 0) : (struct nd_connections){.all = 0};
}

/* A scan of one set. */
struct scan {
    const char *operation;
    int epfd;
    struct nd_epoll *set;
    const struct nd_connections *connections;
    nd_time now;
    nd_time due; /* when the first of the sockets scanned so far is due next */
    bool timed;  /* a limit holds for one of them */
    bool gone;   /* UNACKED holds for a socket in it */
};

/* Whether `fd` is a member whose connection was ended by a limit: waits still have to report it (results.h). */
static bool is_ended_member(int epfd, int fd) {
    struct nd_sock *sock = nd_sock_lookup(fd);
    return sock && (nd_sock_flags(sock) & ND_SOCK_EXPIRED) && nd_epoll_membership(sock, epfd);
}

/* Scans one socket of the set. Returns whether its connection was ended; else lowers scan->due to when the socket is
 * due next. */
static bool scan_socket(struct scan *scan, int fd) {
    struct nd_membership *member;
    struct nd_sock *sock = nd_epoll_member_of(scan->epfd, fd, &member);
    if (!sock) {
        scan->timed |= is_ended_member(scan->epfd, fd);
        return false;
    }
    nd_epoll_run_clocks(sock, member, scan->set);
    nd_wait_clock_settle_connect(fd, sock);
    scan->timed |= nd_epoll_is_timed(fd, sock, member->events);
    short wants = wants_now(fd, sock, member->events);
    scan->gone |= nd_gone_limit(sock) != 0;
    nd_epoll_note_limit(scan->set, sock);
    if (nd_pending_timeout_applies(sock))
        nd_pending_timeout_check(scan->operation, fd, sock, wants, scan->connections, scan->now);
    else if (nd_wait_clock_expire(scan->operation, fd, sock, wants, nd_connections_is_only(scan->connections, sock),
                                  scan->now))
        return true;
    nd_time its = nd_wait_clock_due(sock, wants, scan->now);
    scan->due = its < scan->due ? its : scan->due;
    return false;
}

/* Stops watching the waits for a set in which no limit holds for any member, unless the set or the settings have
 * changed during the scan. Done only if the thread that waits is the only one that registers sockets: waits in other
 * threads must notice what it registers. */
static void settle_timed(struct scan *scan, uint32_t changes) {
    struct nd_epoll *set = scan->set;
    struct nd_sock *sock = nd_epoll_set_of(scan->epfd);
    for (int at = 0, fd; sock && (fd = nd_epoll_next_inner(scan->epfd, sock, &at)) >= 0;) {
        const struct nd_sock *inner = nd_epoll_set_of(nd_epoll_home(fd));
        scan->timed |= inner && inner->epoll.timed;
        scan->gone |= inner && inner->epoll.gone;
    }
    set->gone = scan->gone;
    if (!sock || scan->timed || set->one_shots || set->thread != nd_slots_thread())
        return;
    set->timed = false;
    nd_sock_change(scan->epfd, sock, 0, 0);
    if (set->changes != changes || set->settings != nd_settings_generation) {
        set->timed = true;
        nd_sock_change(scan->epfd, sock, 0, 0);
    }
}

static bool scan_set(struct scan *scan) {
    bool any = false;
    struct nd_epoll *set = scan->set;
    const uint32_t changes = set->changes;
    set->shortest = 0;
    set->delay = 0;
    for (int fd = 0; fd <= set->highest; fd++)
        any |= scan_socket(scan, fd);
    nd_time cost = nd_now() - scan->now; /* bounded below: the thread may have been preempted */
    set->cost = cost < COST_PER_SOCKET * (set->highest + 1) ? cost : COST_PER_SOCKET * (set->highest + 1);
    set->delay = nd_epoll_delay_anew(set);
    nd_time earliest = scan->now + ND_EPOLL_SCAN_SHARE * set->cost;
    set->due = scan->due < earliest ? earliest : scan->due;
    set->rescheduled = 0;
    settle_timed(scan, changes);
    return any;
}

/* A thread that is cancelled during a scan does not clear `looking`: after this time another thread may scan. */
#define LONGEST_SCAN ND_SEC

static bool begin_scan(struct nd_epoll *set, nd_time now) {
    nd_time other = set->scanning;
    return (other == 0 || now - other > LONGEST_SCAN) && atomic_compare_exchange_strong(&set->scanning, &other, now);
}

bool nd_epoll_scan(const char *operation, int epfd, const struct nd_connections *connections, nd_time now) {
    epfd = nd_epoll_home(epfd);
    struct nd_sock *sock = nd_epoll_set_of(epfd);
    if (!sock || !begin_scan(&sock->epoll, now))
        return false;
    struct nd_epoll *set = &sock->epoll;
    if (now >= set->due)
        nd_epoll_read_rings(epfd, set);
    struct nd_connections own = connections_of(epfd, sock, 0);
    if (connections && connections->all > own.all)
        own = *connections;
    struct scan scan = {operation, epfd, set, &own, now, ND_NEVER, false, false};
    bool any = now >= set->due && scan_set(&scan);
    set->scanning = 0;
    for (int at = 0, fd; (fd = nd_epoll_next_inner(epfd, sock, &at)) >= 0;)
        any |= nd_epoll_scan(operation, fd, &own, now);
    return any;
}
