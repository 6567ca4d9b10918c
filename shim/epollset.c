#include "shim/epollset.h"

#include "shim/epollmember.h"
#include "shim/epolltime.h"
#include "shim/real.h"
#include "shim/slots.h"
#include "shim/timers.h"
#include "shim/uring.h"

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

/* A limit holds now for something in the set: waits for it, and for those that it is in, are watched. Who finds that there is
 * none left (settle_timed) sees `changes` move after he has said so, or is seen here to have said so. */
static void make_timed(int epfd, struct nd_sock *set, nd_time now) {
    set->epoll.used = true;
    set->epoll.changes++;
    nd_epoll_hurry(set, now + nd_epoll_delay(&set->epoll));
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
            nd_epoll_run_clocks(sock, member, &set->epoll);
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
        nd_epoll_run_clocks(sock, member, &set->epoll);
    else
        member = new_membership(sock, epfd, set);
    if (!nd_epoll_wants(member->events))
        member->seen = nd_epoll_waited_by_now(&set->epoll);
    member->reading = set->epoll.reading;
    member->data = event->data.u64;
    member->shown = false;
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
    if (nd_sock_flags(sock) & ND_SOCK_LATE)
        set->epoll.late = true;
    const bool fresh = !set->epoll.used;
    if (!is_set)
        set->epoll.shortest = nd_epoll_shorter(set->epoll.shortest, nd_epoll_shortest_limit(sock));
    const bool timed = nd_epoll_is_timed(fd, sock, event->events), several = note_thread(&set->epoll);
    if (!timed && !several && !fresh) /* the first wait shows which thread waits */
        return;
    const nd_time now = nd_now_coarse();
    make_timed(epfd, set, now);
    if (timed && !is_set)
        nd_epoll_hurry(set, nd_clock_due(sock, nd_epoll_wants(event->events), now));
}

void nd_epoll_member_changed(int fd, struct nd_sock *sock) {
    const nd_time now = nd_now_coarse();
    for (int i = 0; i < ND_MEMBERSHIPS; i++) {
        int epfd = sock->in[i].set - 1;
        struct nd_sock *set = epfd >= 0 && nd_epoll_membership(sock, epfd) ? nd_epoll_set_of(epfd) : NULL;
        if (!set || !nd_epoll_is_timed(fd, sock, sock->in[i].events))
            continue;
        nd_epoll_run_clocks(sock, &sock->in[i], &set->epoll);
        if (!(nd_sock_flags(sock) & ND_SOCK_EPOLL))
            set->epoll.shortest = nd_epoll_shorter(set->epoll.shortest, nd_epoll_shortest_limit(sock));
        make_timed(epfd, set, now);
    }
}

/* What rings may have done to the set is read before it is looked through next, and that soon. */
static void notice_rings(int epfd, struct nd_sock *set, nd_time now) {
    const struct nd_epoll *epoll = &set->epoll;
    if (epoll->rings == nd_uring_changes)
        return;
    make_timed(epfd, set, now);
    nd_epoll_hurry(set, now + nd_epoll_soonest(epoll));
}

void nd_epoll_read_rings(int epfd, struct nd_epoll *set) {
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

static void deliver(int epfd, struct nd_sock *set, const struct epoll_event *event) {
    uint64_t data = event->data.u64;
    int fd = *hint_for(data);
    struct nd_membership *member = NULL;
    struct nd_sock *sock = nd_epoll_member_of(epfd, fd, &member);
    for (int other = 0; (!sock || member->data != data) && other <= set->epoll.highest; other++)
        sock = nd_epoll_member_of(epfd, fd = other, &member);
    if (!sock || member->data != data || !(member->events & EPOLLONESHOT))
        return;
    nd_epoll_run_clocks(sock, member, &set->epoll);
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

void nd_epoll_look_by(int epfd, nd_time now, nd_time period) {
    struct nd_sock *sock = nd_epoll_set_of(nd_epoll_home(epfd));
    if (!sock || !sock->epoll.timed)
        return;
    const struct nd_epoll *set = &sock->epoll;
    const nd_time soonest = nd_epoll_soonest(set);
    nd_epoll_hurry(sock, now + (period > soonest ? period : soonest));
    for (int i = 0; set->nested && i < ND_INNER_SETS; i++)
        if (set->inner[i])
            nd_epoll_look_by(set->inner[i] - 1, now, period);
}

void nd_epoll_waited(int epfd, nd_time began, nd_time ended, bool ready) {
    struct nd_sock *sock = nd_epoll_set_of(nd_epoll_home(epfd));
    if (!sock)
        return;
    struct nd_epoll *set = &sock->epoll;
    if (ended > began)
        nd_stopwatch_add(&set->time, began, ended);
    if (ready)
        nd_epoll_hurry(sock, ended + nd_epoll_delay(set));
    for (int i = 0; set->nested && i < ND_INNER_SETS; i++)
        if (set->inner[i])
            nd_epoll_waited(set->inner[i] - 1, began, ended, ready);
}
