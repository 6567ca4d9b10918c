#include "shim/wait/epoll_set.h"
#include "shim/real.h"

#include "base/clock.h"
#include "base/compiler.h"
#include "shim/mode.h"
#include "shim/report/slots_fast.h"
#include "shim/socket/change.h"
#include "shim/socket/kernel_timers.h"
#include "shim/socket/limits.h"
#include "shim/wait/epoll_member.h"
#include "shim/wait/epoll_results.h"
#include "shim/wait/epoll_time.h"
#include "shim/wait/uring.h"

/* epoll_ctl costs little, so what it brings costs less: these are plain stores. Whoever finds `set` finds the rest. */
#define put(field, value) atomic_store_explicit(field, value, memory_order_relaxed)

/* A socket that is in sets has a limit on waits that it had not. */
static void member_limited(int fd, struct nd_sock *sock);

static const struct nd_sock_listener listener = {member_limited, nd_epoll_member_timeout_pending};

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
    if (nd_unlikely(!nd_sock_listener))
        nd_sock_listener = &listener;
    put(&free->generation, set->generation);
    put(&free->events, 0); /* the clock starts when it is waited for something */
    atomic_store_explicit(&free->set, epfd + 1, memory_order_release);
    return free;
}

/* A limit holds now for something in the set: waits for it, and for those that it is in, are watched. Who finds that there is
 * none left (settle_timed) sees `changes` move after he has said so, or is seen here to have said so. */
static void make_timed(int epfd, struct nd_sock *set, nd_time now) {
    set->epoll.used = true;
    set->epoll.changes++;
    nd_epoll_reschedule_within(set, now, nd_epoll_delay(&set->epoll));
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
    uint32_t self = nd_slots_self_or_ask(), owner = 0;
    if (nd_likely(set->thread == self))
        return false;
    if (!atomic_compare_exchange_strong(&set->thread, &owner, self))
        set->thread = ND_SEVERAL_THREADS;
    return set->thread != self;
}

/* The settings have changed since the set was waited for last: limits may hold now for what is in it. */
static void notice_settings(int epfd, struct nd_sock *set) {
    nd_kernel_timers_refresh(epfd, set);
    const uint32_t now = set->settings;
    if (nd_likely(set->epoll.settings == now) || atomic_exchange(&set->epoll.settings, now) == now)
        return;
    set->epoll.due = 0;
    if (set->epoll.used)
        make_timed(epfd, set, nd_now_coarse());
}

static void remove_from(int epfd, struct nd_sock *set, int fd, struct nd_sock *sock) {
    struct nd_membership *member = nd_epoll_member(sock, epfd, set);
    if (member) {
        nd_epoll_run_clocks(sock, member, &set->epoll);
        put(&member->events, 0);
        put(&member->set, 0);
    }
    if (nd_unlikely(nd_sock_flags(sock) & ND_SOCK_EPOLL))
        nd_epoll_note_inner(&set->epoll, fd + 1, 0);
}

/* Where a one-shot registration is found again by its data, which is all that a delivered event tells: a hint that is checked. */
#define HINTS 1024
static _Atomic int hints[HINTS];

static _Atomic int *hint_for(uint64_t data) {
    return &hints[(data * UINT64_C(0x9E3779B97F4A7C15)) >> 54];
}

/* It was not known as a set: made before the library could see it, or its number was. */
ND_COLD static struct nd_sock *new_set(int epfd) {
    return nd_sock_created(epfd, ND_SOCK_EPOLL);
}

/* The record of the set behind *epfd, which becomes its home; NULL where there can be none. */
static inline struct nd_sock *set_behind(int *epfd) {
    struct nd_sock *set = nd_epoll_set_of(*epfd);
    if (nd_unlikely(!set))
        return new_set(*epfd);
    if (nd_likely(!set->epoll.copy_of))
        return set;
    *epfd = nd_epoll_home(*epfd);
    return nd_epoll_set_of(*epfd);
}

/* What a wait for room was before tells nothing of the one that begins, unless it had been looked at. */
static inline void begin_room(struct nd_sock *sock, const struct nd_membership *member, uint32_t events) {
    struct nd_wait_clock *out = &sock->clock[ND_OUT];
    if ((events & ~member->events & ND_WANTS_OUT) && !out->check_at)
        put(&out->progress, out->time.waited);
}

/* What is rare in a registration. */
ND_COLD static void note_further(struct nd_epoll *set, int fd, bool is_set, const struct epoll_event *event) {
    if (event->events & EPOLLONESHOT) {
        *hint_for(event->data.u64) = fd;
        set->one_shots = true;
    }
    if (is_set)
        nd_epoll_note_inner(set, 0, fd + 1);
    if (fd > set->highest)
        set->highest = fd;
}

/* Whether more than silence bounds a socket, so that when it is due is not a matter of how long it is waited for. */
static inline bool is_busy(const struct nd_sock *sock, uint32_t flags) {
    return nd_unlikely(flags & ND_SOCK_CONNECTING) || nd_unlikely(sock->operation.timeout) ||
           nd_unlikely(nd_connection_limited_by(flags, nd_sock_limits_by(sock, flags)));
}

/* A limit holds for what was registered. Nothing is to be done where the set is to be looked through soon enough already. */
static void note_timed(int epfd, struct nd_sock *set, const struct nd_sock *sock, short wants, bool busy) {
    const nd_time delay = nd_epoll_delay(&set->epoll), its = nd_wait_clock_left(sock, wants);
    if (nd_likely(set->epoll.timed) && nd_likely(!busy) &&
        nd_likely(nd_epoll_is_rescheduled(&set->epoll, its < delay ? its : delay)))
        return;
    const nd_time now = nd_now_coarse();
    make_timed(epfd, set, now);
    if (busy)
        nd_epoll_reschedule(set, nd_wait_clock_due(sock, wants, now));
    else if (its < delay)
        nd_epoll_reschedule_within(set, now, its);
}

/* Writes down how a socket of the set is waited for from now on. */
static inline void write_member(struct nd_sock *sock, struct nd_membership *member, const struct nd_epoll *set,
                                const struct epoll_event *event) {
    if (!nd_epoll_wants(member->events))
        put(&member->seen, nd_epoll_waited_by_now(set));
    begin_room(sock, member, event->events);
    put(&member->reading, set->reading);
    put(&member->data, event->data.u64);
    put(&member->shown, false);
    put(&member->events, event->events);
}

static void note_registered(int epfd, struct nd_sock *set, int fd, struct nd_sock *sock,
                            const struct epoll_event *event) {
    const uint32_t flags = nd_sock_flags(sock), events = event->events;
    const bool is_set = (flags & ND_SOCK_EPOLL) != 0, busy = is_busy(sock, flags), fresh = !set->epoll.used;
    struct nd_membership *member = nd_epoll_member(sock, epfd, set);
    const bool is_new = !member;
    if (fresh)
        put(&set->epoll.settings, set->settings);
    if (is_new)
        member = new_membership(sock, epfd, set);
    else
        nd_epoll_run_clocks(sock, member, &set->epoll);
    write_member(sock, member, &set->epoll, event);
    if (nd_unlikely((events & EPOLLONESHOT) || is_set || fd > set->epoll.highest))
        note_further(&set->epoll, fd, is_set, event);
    if (!is_set && (is_new || busy))
        nd_epoll_note_limit(&set->epoll, sock);
    if (!*nd_one_thread)
        atomic_thread_fence(memory_order_seq_cst); /* nd_sock_change in another thread sees it, or is seen here */
    if (nd_unlikely(nd_sock_flags(sock) & ND_SOCK_TIMEOUT_PENDING))
        set->epoll.timeout_pending = true;
    const bool several = note_thread(&set->epoll);
    if (several)
        set->epoll.changes++;
    else
        put(&set->epoll.changes, set->epoll.changes + 1);
    const bool timed = nd_epoll_is_timed(fd, sock, events);
    if (timed && !is_set)
        note_timed(epfd, set, sock, nd_epoll_wants(events), busy);
    else if (timed || several || fresh) /* the first wait shows which thread waits */
        make_timed(epfd, set, nd_now_coarse());
}

void nd_epoll_noted(int epfd, int fd, const struct epoll_event *event) {
    struct nd_sock *sock = nd_sock_lookup(fd);
    struct nd_sock *set = sock && (nd_sock_flags(sock) & ND_SOCK_KNOWN) ? set_behind(&epfd) : NULL;
    if (!set)
        return;
    if (event)
        note_registered(epfd, set, fd, sock, event);
    else
        remove_from(epfd, set, fd, sock);
}

static void member_limited(int fd, struct nd_sock *sock) {
    const nd_time now = nd_now_coarse();
    for (int i = 0; i < ND_MEMBERSHIPS; i++) {
        int epfd = sock->in[i].set - 1;
        struct nd_sock *set = epfd >= 0 && nd_epoll_membership(sock, epfd) ? nd_epoll_set_of(epfd) : NULL;
        if (!set || !nd_epoll_is_timed(fd, sock, sock->in[i].events))
            continue;
        nd_epoll_run_clocks(sock, &sock->in[i], &set->epoll);
        if (!(nd_sock_flags(sock) & ND_SOCK_EPOLL))
            nd_epoll_note_limit(&set->epoll, sock);
        make_timed(epfd, set, now);
    }
}

/* What rings may have done to the set is read before it is looked through next, and that soon. */
static void notice_rings(int epfd, struct nd_sock *set, nd_time now) {
    const struct nd_epoll *epoll = &set->epoll;
    if (epoll->rings == nd_sock_uring_changes)
        return;
    make_timed(epfd, set, now);
    nd_epoll_reschedule(set, now + nd_epoll_soonest(epoll));
}

void nd_epoll_read_rings(int epfd, struct nd_epoll *set) {
    uint32_t rings = nd_sock_uring_changes;
    if (set->rings == rings)
        return;
    uint32_t reading = ++set->reading;
    if (nd_uring_members(epfd, nd_epoll_noted))
        for (int fd = 0; fd <= set->highest; fd++) {
            struct nd_sock *sock = nd_sock_lookup(fd);
            const struct nd_membership *member = sock ? nd_epoll_membership(sock, epfd) : NULL;
            if (member && member->reading != reading)
                remove_from(epfd, nd_sock_lookup(epfd), fd, sock);
        }
    set->rings = rings;
}

void nd_epoll_closed(int epfd) {
    struct nd_sock *set = nd_epoll_set_of(epfd);
    if (!set || nd_epoll_handed_over(epfd))
        return;
    for (int fd = 0; fd <= set->epoll.highest; fd++) {
        struct nd_sock *sock = nd_sock_lookup(fd);
        if (sock && nd_epoll_member(sock, epfd, set))
            remove_from(epfd, set, fd, sock);
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
        nd_wait_clock_progress(&sock->clock[ND_IN]);
    if (event->events & (ND_WANTS_OUT | ND_ENDED))
        nd_wait_clock_progress(&sock->clock[ND_OUT]);
    if (nd_sock_flags(sock) & ND_SOCK_CONNECTING)
        nd_wait_clock_connected(fd, sock, (short)event->events);
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
    if (!sock || (!sock->epoll.used && !nd_sock_uring_changes))
        return ND_NEVER;
    notice_settings(epfd, sock);
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

void nd_epoll_scan_by(int epfd, nd_time now, nd_time period) {
    struct nd_sock *sock = nd_epoll_set_of(nd_epoll_home(epfd));
    if (!sock || !sock->epoll.timed)
        return;
    const struct nd_epoll *set = &sock->epoll;
    const nd_time soonest = nd_epoll_soonest(set), delay = period > soonest ? period : soonest;
    if (!nd_epoll_is_rescheduled(set, delay))
        nd_epoll_reschedule_within(sock, now, delay);
    for (int i = 0; set->nested && i < ND_INNER_SETS; i++)
        if (set->inner[i])
            nd_epoll_scan_by(set->inner[i] - 1, now, period);
}

void nd_epoll_waited(int epfd, nd_time began, nd_time ended) {
    struct nd_sock *sock = nd_epoll_set_of(nd_epoll_home(epfd));
    if (!sock)
        return;
    const struct nd_epoll *set = &sock->epoll;
    nd_epoll_waited_here(sock, began, ended);
    for (int i = 0; set->nested && i < ND_INNER_SETS; i++)
        if (set->inner[i])
            nd_epoll_waited(set->inner[i] - 1, began, ended);
}
