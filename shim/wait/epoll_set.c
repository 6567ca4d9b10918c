#include "shim/wait/epoll_set.h"

#include "shim/report/slots_fast.h"
#include "shim/socket/kernel_timers.h"
#include "shim/socket/limits.h"
#include "shim/wait/epoll_member.h"
#include "shim/wait/epoll_results.h"

/* A plain store: epoll_ctl is a cheap call, and noting it must cost less. The store to a membership's `set` releases
 * the others. */
#define put(field, value) atomic_store_explicit(field, value, memory_order_relaxed)

static void member_limited(int fd, struct nd_sock *sock);

static const struct nd_sock_listener listener = {member_limited, nd_epoll_member_timeout_pending};

/* Returns an unused membership of `sock` for the set. If there is none, the socket is in more sets than can be noted,
 * and this one replaces the last. */
static struct nd_membership *new_membership(struct nd_sock *sock, int epfd, const struct nd_sock *set) {
    struct nd_membership *unused = NULL;
    for (int i = 0; !unused && i < ND_MEMBERSHIPS; i++) {
        int holder = sock->in[i].set - 1;
        if (holder < 0 || !nd_epoll_membership(sock, holder)) /* never used, or of a set that is closed */
            unused = &sock->in[i];
    }
    if (!unused)
        unused = &sock->in[ND_MEMBERSHIPS - 1];
    if (nd_unlikely(!nd_sock_listener))
        nd_sock_listener = &listener;
    put(&unused->generation, set->generation);
    put(&unused->events, 0); /* the clocks start when events are registered */
    atomic_store_explicit(&unused->set, epfd + 1, memory_order_release);
    return unused;
}

/* The record of the set that is noted at place `i` as one that `sock` is in, and its descriptor in *epfd; NULL: none. */
static struct nd_sock *outer_set(const struct nd_sock *sock, int i, int *epfd) {
    *epfd = sock->in[i].set - 1;
    return *epfd >= 0 ? nd_epoll_set_of(*epfd) : NULL;
}

/* A limit holds now for a member of the set: watches the waits for it, and for the sets that it is a member of.
 * settle_timed in another thread, which clears `timed`, sees `changes` advance afterwards, or this function sees
 * `timed` cleared. */
static void make_timed(int epfd, struct nd_sock *set, nd_time now) {
    set->epoll.used = true;
    set->epoll.changes++;
    nd_epoll_reschedule_within(set, now, nd_epoll_delay(&set->epoll));
    if (set->epoll.timed)
        return;
    set->epoll.timed = true;
    nd_sock_change(epfd, set, 0, 0);
    for (int i = 0, outer_fd; i < ND_MEMBERSHIPS; i++) {
        struct nd_sock *outer = outer_set(set, i, &outer_fd);
        if (outer)
            make_timed(outer_fd, outer, now);
    }
}

/* UNACKED holds for a socket in the set: waits for it are the program's own for a while, and so are those for the sets
 * around it. */
static void make_gone(int epfd, struct nd_sock *set) {
    if (set->epoll.gone)
        return;
    set->epoll.gone = true;
    nd_sock_change(epfd, set, 0, 0);
    for (int i = 0, outer_fd; i < ND_MEMBERSHIPS; i++) {
        struct nd_sock *outer = outer_set(set, i, &outer_fd);
        if (outer)
            make_gone(outer_fd, outer);
    }
}

/* Whether UNACKED bounds waits for a socket with these flags, now or when its connect has been established. */
static inline bool may_be_gone(const struct nd_sock *sock, uint32_t flags) {
    return nd_gone_limit_by(flags & ND_SOCK_CONNECTING ? flags | ND_SOCK_CONNECTED : flags,
                            nd_sock_limits_by(sock, flags)) != 0;
}

/* Notes that the calling thread registers a socket. Returns true if several threads do: one may do so during another's
 * wait for the set, so waits must be watched. */
static bool note_thread(struct nd_epoll *set) {
    uint32_t self = nd_slots_self_or_ask(), owner = 0;
    if (nd_likely(set->thread == self))
        return false;
    if (!atomic_compare_exchange_strong(&set->thread, &owner, self))
        set->thread = ND_SEVERAL_THREADS;
    return set->thread != self;
}

/* If the settings have changed since the last wait for the set, limits may hold now for its members: schedules a scan
 * at once. */
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

/* A delivered event carries only the data of its registration. These are the descriptors of one-shot registrations by a
 * hash of their data: hints that are checked, since several may share a place. */
#define HINTS 1024
static _Atomic int hints[HINTS];

static _Atomic int *hint_for(uint64_t data) {
    return &hints[(data * UINT64_C(0x9E3779B97F4A7C15)) >> 54];
}

/* Makes a record for a set that is not known as one: it was created before the library could see it, or the number is
 * reused. */
ND_COLD static struct nd_sock *new_set(int epfd) {
    return nd_sock_created(epfd, ND_SOCK_EPOLL);
}

/* The record of the set behind *epfd, which is set to the set's home. Returns NULL if there can be no record. */
static inline struct nd_sock *set_behind(int *epfd) {
    struct nd_sock *set = nd_epoll_set_of(*epfd);
    if (nd_unlikely(!set))
        return new_set(*epfd);
    if (nd_likely(!set->epoll.copy_of))
        return set;
    *epfd = nd_epoll_home(*epfd);
    return nd_epoll_set_of(*epfd);
}

/* Restarts the ND_OUT clock if EPOLLOUT is registered anew. The time of earlier waits does not count, unless the send
 * queue was checked in one of them. */
static inline void begin_send_space(struct nd_sock *sock, const struct nd_membership *member, uint32_t events) {
    struct nd_wait_clock *out = &sock->clock[ND_OUT];
    if ((events & ~member->events & ND_WANTS_OUT) && !out->check_at)
        put(&out->progress, out->time.waited);
}

/* The parts of a registration that are rarely needed. */
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

/* Whether the socket has a limit that does not count from its last progress, so that nd_wait_clock_left does not say
 * when it is due. */
static inline bool is_busy(const struct nd_sock *sock, uint32_t flags) {
    return nd_unlikely(flags & ND_SOCK_CONNECTING) || nd_unlikely(sock->operation.timeout) ||
           nd_unlikely(nd_connection_limited_by(flags, nd_sock_limits_by(sock, flags)));
}

/* A limit holds for the socket that was registered: schedules a scan in time for it, unless one is scheduled. */
static void note_timed(int epfd, struct nd_sock *set, struct nd_sock *sock, short wants, bool busy) {
    const nd_time delay = nd_epoll_delay(&set->epoll), left = nd_wait_clock_left(sock, wants);
    if (nd_likely(set->epoll.timed) && nd_likely(!busy) &&
        nd_likely(nd_epoll_is_rescheduled(&set->epoll, left < delay ? left : delay)))
        return;
    const nd_time now = nd_now_coarse();
    make_timed(epfd, set, now);
    if (busy)
        nd_epoll_reschedule(set, nd_wait_clock_due(sock, wants, now));
    else if (left < delay)
        nd_epoll_reschedule_within(set, now, left);
}

/* Notes what the socket is registered for from now on. */
static inline void write_member(struct nd_sock *sock, struct nd_membership *member, const struct nd_epoll *set,
                                const struct epoll_event *event) {
    if (!nd_epoll_wants(member->events))
        put(&member->seen, nd_epoll_waited_by_now(set));
    begin_send_space(sock, member, event->events);
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
        atomic_thread_fence(
            memory_order_seq_cst); /* nd_sock_change in another thread sees the membership, or its change shows here */
    if (nd_unlikely(nd_sock_flags(sock) & ND_SOCK_TIMEOUT_PENDING))
        set->epoll.timeout_pending = nd_epoll_any_timeout_pending = true;
    const bool several = note_thread(&set->epoll);
    if (several)
        set->epoll.changes++;
    else
        put(&set->epoll.changes, set->epoll.changes + 1);
    if (nd_unlikely(!set->epoll.gone) && (is_set ? sock->epoll.gone : may_be_gone(sock, flags)))
        make_gone(epfd, set);
    const bool timed = nd_epoll_is_timed(fd, sock, events);
    if (timed && !is_set)
        note_timed(epfd, set, sock, nd_epoll_wants(events), busy);
    else if (timed || several || fresh) /* at first it is not known which thread waits: settle_timed finds out */
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

/* nd_sock_listener.limited. */
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

/* If io_uring instances have been given work since the members of the set were read, schedules a scan, which reads them
 * first. */
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
    struct nd_sock *home = nd_sock_lookup(epfd), *sock;
    struct nd_membership *member;
    if (nd_uring_members(epfd, nd_epoll_noted))
        for (int fd = -1; (sock = nd_epoll_next_member(epfd, home, &fd, &member));)
            if (member->reading != reading)
                remove_from(epfd, home, fd, sock);
    set->rings = rings;
}

void nd_epoll_closed(int epfd) {
    struct nd_sock *set = nd_epoll_set_of(epfd);
    if (!set || nd_epoll_handed_over(epfd))
        return;
    for (int i = 0, outer_fd; i < ND_MEMBERSHIPS; i++) {
        struct nd_sock *outer = outer_set(set, i, &outer_fd);
        if (outer)
            nd_epoll_note_inner(&outer->epoll, epfd + 1, 0);
    }
    struct nd_sock *sock;
    struct nd_membership *member;
    for (int fd = -1; (sock = nd_epoll_next_member(epfd, set, &fd, &member));)
        remove_from(epfd, set, fd, sock);
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
    if (!set->timed && !set->gone)
        return ND_NEVER;
    nd_time due = set->due;
    for (int at = 0, fd; (fd = nd_epoll_next_inner(epfd, sock, &at)) >= 0;)
        due = nd_time_sooner(due, nd_epoll_due(fd, now));
    return due;
}

void nd_epoll_scan_by(int epfd, nd_time now, nd_time period) {
    epfd = nd_epoll_home(epfd);
    struct nd_sock *sock = nd_epoll_set_of(epfd);
    if (!sock || !sock->epoll.timed)
        return;
    const struct nd_epoll *set = &sock->epoll;
    const nd_time soonest = nd_epoll_soonest(set), delay = period > soonest ? period : soonest;
    if (!nd_epoll_is_rescheduled(set, delay))
        nd_epoll_reschedule_within(sock, now, delay);
    for (int at = 0, fd; (fd = nd_epoll_next_inner(epfd, sock, &at)) >= 0;)
        nd_epoll_scan_by(fd, now, period);
}

void nd_epoll_waited(int epfd, nd_time began, nd_time ended) {
    epfd = nd_epoll_home(epfd);
    struct nd_sock *sock = nd_epoll_set_of(epfd);
    if (!sock)
        return;
    nd_epoll_waited_here(sock, began, ended);
    for (int at = 0, fd; (fd = nd_epoll_next_inner(epfd, sock, &at)) >= 0;)
        nd_epoll_waited(fd, began, ended);
}
