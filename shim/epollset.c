#include "shim/epollset.h"

#include "shim/epollmember.h"
#include "shim/real.h"
#include "shim/slots.h"
#include "shim/straight.h"
#include "shim/timers.h"
#include "shim/uring.h"

/* After something has happened in a set, its sockets are looked through within an eighth of the shortest limit. */
#define LOOKS_PER_LIMIT 8
#define SHORTEST_DELAY (20 * ND_MSEC)
#define LONGEST_DELAY ND_SEC

/* A look may take this part of the time. */
#define LOOK_SHARE 100

/* Three system calls and the record, as measured on one socket. */
#define COST_PER_SOCKET ((nd_time)1000)

/* Sets in sets: no deeper than the kernel lets them be. */
#define DEEPEST 5

/* EPOLLIN and its kin have poll's values. */
static short wants_of(uint32_t events) {
    return (short)(nd_wants_of((short)events, (short)events) & (ND_WANTS_IN | ND_WANTS_OUT));
}

/* The sockets' clocks run on by what the set has been waited for since they were last looked at. */
static void run_clocks(struct nd_sock *sock, struct nd_membership *member, const struct nd_epoll *set) {
    nd_time waited = set->time.waited - member->seen;
    if (waited <= 0)
        return;
    member->seen += waited;
    if (!wants_of(member->events))
        return;
    sock->clock[ND_IN].time.waited += waited;
    sock->clock[ND_OUT].time.waited += waited;
    sock->pace.time.waited += waited;
}

static nd_time shorter(nd_time a, nd_time b) {
    return b && (b < a || !a) ? b : a;
}

/* How long after something has happened the set is looked through. */
static nd_time delay(const struct nd_epoll *set) {
    nd_time soon =
        shorter(shorter(LONGEST_DELAY * LOOKS_PER_LIMIT, set->shortest), nd_profile_shortest) / LOOKS_PER_LIMIT;
    soon = soon < SHORTEST_DELAY ? SHORTEST_DELAY : soon;
    return soon < LOOK_SHARE * set->cost ? LOOK_SHARE * set->cost : soon;
}

static nd_time shortest_of(const struct nd_limits *limits) {
    nd_time shortest = shorter(shorter(limits->recv, limits->send), shorter(limits->idle, limits->lifetime));
    shortest = shorter(shorter(shortest, limits->min_rate_window), limits->unacked);
    return shorter(shortest, shorter(limits->tls_handshake, limits->tls_shutdown));
}

#define LONGEST_PERIOD (2 * ND_SEC)

nd_time nd_epoll_period(void) {
    nd_time limit = shorter(shortest_of(&nd_settings.outbound), shortest_of(&nd_settings.inbound));
    limit = shorter(shorter(limit, nd_settings.connect), shorter(nd_settings.accept, nd_profile_shortest));
    nd_time period = limit ? limit / 4 : LONGEST_PERIOD;
    period = period < LONGEST_PERIOD ? period : LONGEST_PERIOD;
    return period > ND_EPOLL_SHORTEST_PERIOD ? period : ND_EPOLL_SHORTEST_PERIOD;
}

/* What the set will have been waited for when a thread that may be waiting just now comes back: the clock of what is added
 * meanwhile runs from here, not from where that wait began. */
static nd_time waited_by_now(const struct nd_epoll *set) {
    nd_time under_way = *nd_straight_single ? 0 : nd_now_coarse() - set->time.accounted;
    nd_time period = nd_epoll_period();
    return set->time.waited + (under_way < period ? under_way : period);
}

/* In more sets than are noted: the latest counts. */
static struct nd_membership *new_membership(struct nd_sock *sock, int epfd, const struct nd_sock *set) {
    struct nd_membership *free = NULL;
    for (int i = 0; !free && i < ND_MEMBERSHIPS; i++) {
        int holder = sock->in[i].set - 1;
        if (holder < 0 || !nd_epoll_membership(sock, holder)) /* none, or a set that has been closed */
            free = &sock->in[i];
    }
    if (!free)
        free = &sock->in[ND_MEMBERSHIPS - 1];
    free->generation = atomic_load(&set->generation);
    free->events = 0; /* the clock starts when it is waited for something */
    free->set = epfd + 1;
    return free;
}

/* What is due is never put off by what happens again and again. */
static void hurry(struct nd_sock *sock, nd_time soon) {
    struct nd_epoll *set = &sock->epoll;
    nd_time due = set->due;
    if (due > soon)
        atomic_compare_exchange_strong(&set->due, &due, soon);
}

/* The shortest limit that may come to hold for a socket; 0 for none. */
static nd_time shortest_limit(const struct nd_sock *sock) {
    const struct nd_limits *limits = nd_sock_limits(sock);
    nd_time shortest = shorter(nd_sock_recv_limit(sock), nd_sock_send_limit(sock));
    shortest = shorter(shorter(shortest, limits->unacked), nd_sock_accept_limit(sock));
    shortest = shorter(shortest, sock->operation.timeout);
    if (nd_sock_flags(sock) & ND_SOCK_CONNECTING)
        shortest = shorter(shortest, nd_sock_connect_limit(sock));
    if (nd_sock_paced(sock))
        shortest = shorter(shorter(shorter(shortest, limits->idle), limits->lifetime), limits->min_rate_window);
    return shortest;
}

/* A limit holds now for something in the set: waits for it, and for those that it is in, are watched. Who finds that there is
 * none left (settle_timed) sees `changes` move after he has said so, or is seen here to have said so. */
static void make_timed(int epfd, struct nd_sock *set, nd_time now) {
    set->epoll.used = true;
    set->epoll.changes++;
    hurry(set, now + delay(&set->epoll));
    if (set->epoll.timed)
        return;
    set->epoll.timed = true;
    nd_sock_change(epfd, set, 0, 0);
    for (int i = 0; i < ND_MEMBERSHIPS; i++) {
        int outer = set->in[i].set - 1;
        struct nd_sock *its = outer >= 0 ? nd_epoll_set_of(outer) : NULL;
        if (its)
            make_timed(outer, its, now);
    }
}

/* True where several threads put sockets into the set. Then one of them may do so while another waits for the set, and that wait
 * must be one that looks. */
static bool note_thread(struct nd_epoll *set) {
    uint32_t self = nd_slots_thread(), owner = 0;
    if (!atomic_compare_exchange_strong(&set->thread, &owner, self) && owner != self)
        set->thread = ND_SEVERAL_THREADS;
    return set->thread != self;
}

/* Whether a limit holds for a socket, or an inner set, as it is waited for. One-shots are followed in any case: that they are
 * over is only known from what was delivered. */
static bool is_timed(int fd, const struct nd_sock *sock, uint32_t events) {
    if (nd_sock_flags(sock) & ND_SOCK_EPOLL)
        return nd_sock_peek(nd_epoll_home(fd))->epoll.timed;
    return (nd_watch_exact(fd) & nd_watch_events((short)events)) || (events & EPOLLONESHOT);
}

void nd_epoll_limits_changed(int epfd, struct nd_sock *set) {
    set->epoll.due = 0;
    if (set->epoll.used)
        make_timed(epfd, set, nd_now_coarse());
}

static void remove_from(int epfd, int fd, struct nd_sock *sock) {
    struct nd_membership *member = nd_epoll_membership(sock, epfd);
    struct nd_sock *set = nd_epoll_set_of(epfd);
    if (member) {
        if (set)
            run_clocks(sock, member, &set->epoll);
        member->events = 0;
        member->set = 0;
    }
    if (set && (nd_sock_flags(sock) & ND_SOCK_EPOLL))
        nd_epoll_note_inner(&set->epoll, fd + 1, 0);
}

/* Where a one-shot registration is found again by its data, which is all that a delivered event tells: a hint that is checked. */
#define HINTS 1024
static _Atomic int hints[HINTS];

static _Atomic int *hint_for(uint64_t data) {
    return &hints[(data * UINT64_C(0x9E3779B97F4A7C15)) >> 54];
}

void nd_epoll_noted(int epfd, int fd, const struct epoll_event *event) {
    epfd = nd_epoll_home(epfd);
    struct nd_sock *sock = nd_sock_peek(fd), *set = nd_sock_get(epfd);
    if (!sock || !set || !(nd_sock_flags(sock) & ND_SOCK_KNOWN))
        return;
    if (!event) {
        remove_from(epfd, fd, sock);
        return;
    }
    if (!(nd_sock_flags(set) & ND_SOCK_EPOLL))
        nd_sock_born(epfd, ND_SOCK_EPOLL);
    struct nd_membership *member = nd_epoll_membership(sock, epfd);
    if (member)
        run_clocks(sock, member, &set->epoll);
    else
        member = new_membership(sock, epfd, set);
    if (!wants_of(member->events))
        member->seen = waited_by_now(&set->epoll);
    member->reading = set->epoll.reading;
    member->data = event->data.u64;
    member->events = event->events;
    if (event->events & EPOLLONESHOT) {
        *hint_for(event->data.u64) = fd;
        set->epoll.one_shots = true;
    }
    bool is_set = (nd_sock_flags(sock) & ND_SOCK_EPOLL) != 0;
    if (is_set)
        nd_epoll_note_inner(&set->epoll, 0, fd + 1);
    if (fd > set->epoll.highest)
        set->epoll.highest = fd;
    const bool fresh = !set->epoll.used;
    if (!is_set)
        set->epoll.shortest = shorter(set->epoll.shortest, shortest_limit(sock));
    const bool timed = is_timed(fd, sock, event->events), several = note_thread(&set->epoll);
    if (!timed && !several && !fresh) /* the first wait shows which thread waits */
        return;
    const nd_time now = nd_now_coarse();
    make_timed(epfd, set, now);
    if (timed && !is_set)
        hurry(set, nd_clock_due(sock, wants_of(event->events), now));
}

void nd_epoll_member_changed(int fd, struct nd_sock *sock) {
    const nd_time now = nd_now_coarse();
    for (int i = 0; i < ND_MEMBERSHIPS; i++) {
        int epfd = sock->in[i].set - 1;
        struct nd_sock *set = epfd >= 0 && nd_epoll_membership(sock, epfd) ? nd_epoll_set_of(epfd) : NULL;
        if (!set || !is_timed(fd, sock, sock->in[i].events))
            continue;
        run_clocks(sock, &sock->in[i], &set->epoll);
        if (!(nd_sock_flags(sock) & ND_SOCK_EPOLL))
            set->epoll.shortest = shorter(set->epoll.shortest, shortest_limit(sock));
        make_timed(epfd, set, now);
    }
}

/* What rings may have done to the set is read before it is looked through next, and that soon. */
static void notice_rings(int epfd, struct nd_sock *set, nd_time now) {
    const struct nd_epoll *epoll = &set->epoll;
    if (epoll->rings == nd_uring_changes)
        return;
    make_timed(epfd, set, now);
    hurry(set, now + (LOOK_SHARE * epoll->cost > SHORTEST_DELAY ? LOOK_SHARE * epoll->cost : SHORTEST_DELAY));
}

static void read_rings(int epfd, struct nd_epoll *set) {
    uint32_t rings = nd_uring_changes;
    if (set->rings == rings)
        return;
    uint32_t reading = ++set->reading;
    if (nd_uring_members(epfd, nd_epoll_noted))
        for (int fd = 0; fd <= set->highest; fd++) {
            struct nd_sock *sock = nd_sock_peek(fd);
            const struct nd_membership *member = sock ? nd_epoll_membership(sock, epfd) : NULL;
            if (member && member->reading != reading)
                remove_from(epfd, fd, sock);
        }
    set->rings = rings;
}

void nd_epoll_closed(int epfd) {
    const struct nd_sock *set = nd_epoll_set_of(epfd);
    if (!set || nd_epoll_handed_over(epfd))
        return;
    for (int fd = 0; fd <= set->epoll.highest; fd++) {
        struct nd_sock *sock = nd_sock_peek(fd);
        if (sock && nd_epoll_membership(sock, epfd))
            remove_from(epfd, fd, sock);
    }
}

/* The record of `fd` if it is a live socket of the set. */
static struct nd_sock *member_of(int epfd, int fd, struct nd_membership **member) {
    struct nd_sock *sock = nd_sock_peek(fd);
    const uint32_t kinds = ND_SOCK_CONNECTED | ND_SOCK_CONNECTING | ND_SOCK_LISTENING;
    if (!sock || !(nd_sock_flags(sock) & kinds) || (nd_sock_flags(sock) & ND_SOCK_EXPIRED))
        return NULL;
    *member = nd_epoll_membership(sock, epfd);
    if (*member)
        nd_timers_refresh(fd, sock);
    return *member ? sock : NULL;
}

static void deliver(int epfd, struct nd_sock *set, const struct epoll_event *event) {
    uint64_t data = event->data.u64;
    int fd = *hint_for(data);
    struct nd_membership *member = NULL;
    struct nd_sock *sock = member_of(epfd, fd, &member);
    for (int other = 0; (!sock || member->data != data) && other <= set->epoll.highest; other++)
        sock = member_of(epfd, fd = other, &member);
    if (!sock || member->data != data || !(member->events & EPOLLONESHOT))
        return;
    run_clocks(sock, member, &set->epoll);
    if (event->events & (ND_WANTS_IN | ND_WAIT_URGENT | ND_ENDED))
        nd_clock_progress(&sock->clock[ND_IN]);
    if (event->events & (ND_WANTS_OUT | ND_ENDED))
        nd_clock_progress(&sock->clock[ND_OUT]);
    if (nd_sock_flags(sock) & ND_SOCK_CONNECTING)
        nd_clock_connected(fd, sock, (short)event->events);
    member->events &= ~(uint32_t)(ND_WANTS_IN | ND_WANTS_OUT | ND_WAIT_URGENT);
}

void nd_epoll_delivered(int epfd, const struct epoll_event *events, int count) {
    epfd = nd_epoll_home(epfd);
    struct nd_sock *set = nd_epoll_set_of(epfd);
    for (int i = 0; set && set->epoll.one_shots && i < count; i++)
        deliver(epfd, set, &events[i]);
}

static bool has_room(int fd) {
    struct pollfd pollfd = {.fd = fd, .events = POLLOUT};
    return nd_real.poll(&pollfd, 1, 0) != 0;
}

/* A socket may be registered for room at all times (edge-triggered sets are); its clock runs only while there is none. */
static short wants_now(int fd, struct nd_sock *sock, uint32_t events) {
    struct nd_wait_clock *out = &sock->clock[ND_OUT];
    short wants = wants_of(events);
    if (!(wants & ND_WANTS_OUT) || (nd_sock_flags(sock) & ND_SOCK_CONNECTING) ||
        !(nd_clock_room(sock, wants) || nd_sock_paced(sock)))
        return wants;
    bool room = has_room(fd);
    if (room || !out->look)
        nd_clock_progress(out);
    return room ? (short)(wants & ~ND_WANTS_OUT) : wants;
}

static struct nd_company company_of(int epfd, struct nd_epoll *set, int depth) {
    struct nd_company company = {0, 0};
    struct nd_membership *member;
    for (int fd = 0; fd <= set->highest; fd++) {
        const struct nd_sock *sock = member_of(epfd, fd, &member);
        if (sock)
            nd_company_add(&company, sock);
    }
    for (int i = 0; set->nested && depth < DEEPEST && i < ND_INNER_SETS; i++) {
        const int home = set->inner[i] ? nd_epoll_home(set->inner[i] - 1) : -1;
        struct nd_sock *inner = home >= 0 ? nd_epoll_set_of(home) : NULL;
        if (inner) {
            const struct nd_company its = company_of(home, &inner->epoll, depth + 1);
            company.all += its.all;
            company.inet += its.inet;
        }
    }
    return company;
}

struct nd_company nd_epoll_company(int epfd) {
    epfd = nd_epoll_home(epfd);
    struct nd_sock *set = nd_epoll_set_of(epfd);
    return set ? company_of(epfd, &set->epoll, 0) : (struct nd_company){0, 0};
}

/* One look through a set. */
struct look {
    const char *operation;
    int epfd;
    struct nd_epoll *set;
    const struct nd_company *company;
    nd_time now;
    nd_time due; /* when something in it is due next */
    bool timed;  /* a limit holds for something in it */
};

/* A stream that was ended is still to be shown (shown.h). */
static bool is_ended_member(int epfd, int fd) {
    struct nd_sock *sock = nd_sock_peek(fd);
    return sock && (nd_sock_flags(sock) & ND_SOCK_EXPIRED) && nd_epoll_membership(sock, epfd);
}

/* One socket of the set. Returns whether it ended; else look->due is lowered to when it is to be looked at next. */
static bool look_at(struct look *look, int fd) {
    struct nd_membership *member;
    struct nd_sock *sock = member_of(look->epfd, fd, &member);
    if (!sock) {
        look->timed |= is_ended_member(look->epfd, fd);
        return false;
    }
    run_clocks(sock, member, look->set);
    nd_clock_settle_connect(fd, sock);
    look->timed |= is_timed(fd, sock, member->events);
    short wants = wants_now(fd, sock, member->events);
    look->set->shortest = shorter(look->set->shortest, shortest_limit(sock));
    if (nd_sock_flags(sock) & ND_SOCK_LISTENING)
        nd_clock_late(look->operation, fd, sock, wants, look->company);
    else if (nd_clock_expire(look->operation, fd, sock, wants, nd_alone(look->company, sock), look->now))
        return true;
    nd_time its = nd_clock_due(sock, wants, look->now);
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
    for (int fd = 0; fd <= set->highest; fd++)
        any |= look_at(look, fd);
    nd_time cost = nd_now() - look->now; /* more than this only where we were not let run */
    set->cost = cost < COST_PER_SOCKET * (set->highest + 1) ? cost : COST_PER_SOCKET * (set->highest + 1);
    nd_time earliest = look->now + LOOK_SHARE * set->cost;
    set->due = look->due < earliest ? earliest : look->due;
    settle_timed(look, changes);
    return any;
}

/* A thread that was cancelled in a look does not come back to say that it is over. */
#define LONGEST_LOOK ND_SEC

static bool begin_look(struct nd_epoll *set, nd_time now) {
    nd_time other = set->looking;
    return (other == 0 || now - other > LONGEST_LOOK) && atomic_compare_exchange_strong(&set->looking, &other, now);
}

bool nd_epoll_look(const char *operation, int epfd, const struct nd_company *company, nd_time now) {
    epfd = nd_epoll_home(epfd);
    struct nd_sock *sock = nd_epoll_set_of(epfd);
    if (!sock || !begin_look(&sock->epoll, now))
        return false; /* another thread is at it */
    struct nd_epoll *set = &sock->epoll;
    if (now >= set->due)
        read_rings(epfd, set);
    struct nd_company own = company_of(epfd, set, 0);
    if (company && company->all > own.all)
        own = *company;
    struct look look = {operation, epfd, set, &own, now, ND_NEVER, false};
    bool any = now >= set->due && look_through(&look);
    set->looking = 0;
    for (int i = 0; set->nested && i < ND_INNER_SETS; i++)
        if (set->inner[i])
            any |= nd_epoll_look(operation, set->inner[i] - 1, &own, now);
    return any;
}

nd_time nd_epoll_due(int epfd, nd_time now) {
    epfd = nd_epoll_home(epfd);
    struct nd_sock *sock = nd_epoll_set_of(epfd);
    if (!sock || (!sock->epoll.used && !nd_uring_changes))
        return ND_NEVER;
    nd_timers_refresh(epfd, sock);
    notice_rings(epfd, sock, now);
    struct nd_epoll *set = &sock->epoll;
    if (!set->timed)
        return ND_NEVER;
    nd_time due = set->due;
    for (int i = 0; set->nested && i < ND_INNER_SETS; i++) {
        nd_time its = set->inner[i] ? nd_epoll_due(set->inner[i] - 1, now) : ND_NEVER;
        due = its < due ? its : due;
    }
    return due;
}

void nd_epoll_waited(int epfd, nd_time began, nd_time ended, bool ready) {
    struct nd_sock *sock = nd_epoll_set_of(nd_epoll_home(epfd));
    if (!sock)
        return;
    struct nd_epoll *set = &sock->epoll;
    if (ended > began)
        nd_stopwatch_add(&set->time, began, ended);
    if (ready)
        hurry(sock, ended + delay(set));
    for (int i = 0; set->nested && i < ND_INNER_SETS; i++)
        if (set->inner[i])
            nd_epoll_waited(set->inner[i] - 1, began, ended, ready);
}

int nd_epoll_show(int epfd, struct epoll_event *events, int ready, int count) {
    epfd = nd_epoll_home(epfd);
    const struct nd_sock *set = nd_epoll_set_of(epfd);
    struct nd_membership *member;
    for (int fd = 0; set && fd <= set->epoll.highest && ready < count; fd++) {
        const struct nd_sock *sock = nd_sock_peek(fd);
        if (!sock || !(nd_sock_flags(sock) & ND_SOCK_LATE) || !member_of(epfd, fd, &member))
            continue;
        bool shown = false;
        for (int i = 0; i < ready; i++)
            shown |= events[i].data.u64 == member->data;
        if (!shown && (member->events & ND_WANTS_IN))
            events[ready++] = (struct epoll_event){.events = EPOLLIN, .data.u64 = member->data};
    }
    return ready;
}
