#include "shim/wait/set.h"

#include "shim/limit/expiry.h"
#include "shim/limit/gone.h"
#include "shim/limit/pending_timeout.h"
#include "shim/socket/ended.h"
#include "shim/socket/kernel_timers.h"
#include "shim/socket/limits.h"
#include "shim/wait/epoll_results.h"
#include "shim/wait/epoll_scan.h"
#include "shim/wait/epoll_set.h"

/* The record of the entry if its clocks run, else NULL. Applies changed settings to it first. */
static inline struct nd_sock *watched(const struct nd_wait_entry *entry) {
    const unsigned watch = nd_watch_exact(entry->fd), wants = nd_watch_events(entry->wants);
    const bool is = (watch & wants) || (nd_watch_gone(watch) && (wants & ND_WATCH_WAIT_IN));
    struct nd_sock *sock = is ? nd_sock_lookup(entry->fd) : NULL;
    if (sock)
        nd_kernel_timers_refresh(entry->fd, sock);
    return sock && !(nd_sock_flags(sock) & ND_SOCK_EXPIRED) ? sock : NULL;
}

static bool is_epoll(const struct nd_sock *sock) {
    return (nd_sock_flags(sock) & ND_SOCK_EPOLL) != 0;
}

/* Whether the entry waits for exceptions and its connection was ended by a limit: the kernel reports no exception for
 * that. */
static bool ended_unreported(const struct nd_wait_entry *entry) {
    const struct nd_sock *sock = nd_unlikely(entry->wants & ND_WAIT_URGENT) ? nd_sock_lookup(entry->fd) : NULL;
    return sock && (nd_sock_flags(sock) & ND_SOCK_EXPIRED);
}

/* Whether the entry has a pending timeout to report, or is an epoll set with a member that has. */
static bool shows(const struct nd_wait_entry *entry, const struct nd_sock *sock) {
    if (!is_epoll(sock))
        return nd_pending_timeout_shows(sock, entry->wants);
    return (entry->wants & ND_WANTS_IN) && sock->shown < ND_PENDING_TIMEOUT_SHOWN && nd_epoll_shows(entry->fd);
}

/* Whether the entry waits for a pending connect, but not for send-buffer space: the kernel does not wake it when the
 * connection is established. */
static bool connects_unseen(const struct nd_wait_entry *entry, const struct nd_sock *sock) {
    return nd_unlikely(nd_sock_flags(sock) & ND_SOCK_CONNECTING) && !(entry->wants & ND_WANTS_OUT);
}

/* Whether a limit holds for waits for the connection once it is established. */
static bool limited_later(const struct nd_sock *sock) {
    const uint32_t flags = nd_sock_flags(sock) | ND_SOCK_CONNECTED;
    const struct nd_limits *limits = nd_sock_limits_by(sock, flags);
    return nd_recv_limit_by(flags, limits) || nd_connection_limited_by(flags, limits);
}

/* When such a connect is looked at again: after a quarter of the time that it has taken so far, so that the limits of
 * the connection begin late by no more than that. */
#define SHORTEST_LOOK (10 * ND_MSEC)

static nd_time next_look(const struct nd_sock *sock, nd_time now) {
    const nd_time part = (now - sock->connect_began) / 4;
    return now + (part > SHORTEST_LOOK ? part : SHORTEST_LOOK);
}

static nd_time sock_due(const struct nd_wait_entry *entry, struct nd_sock *sock, nd_time now) {
    if (nd_unlikely(shows(entry, sock)))
        return now;
    if (connects_unseen(entry, sock) && limited_later(sock))
        return nd_time_sooner(next_look(sock, now), nd_wait_clock_due(sock, entry->wants, now));
    return is_epoll(sock) ? nd_epoll_due(entry->fd, now) : nd_wait_clock_due(sock, entry->wants, now);
}

static nd_time entry_due(const struct nd_wait_entry *entry, nd_time now) {
    if (ended_unreported(entry))
        return now;
    struct nd_sock *sock = watched(entry);
    return sock ? sock_due(entry, sock, now) : ND_NEVER;
}

/* Remembers an entry whose clocks run, or that has something to report that the kernel does not know of. */
static void note(struct nd_wait_set *set, unsigned index, const struct nd_wait_entry *entry, const struct nd_sock *sock,
                 nd_time now) {
    if (set->noted_count < ND_WAIT_NOTED)
        set->noted[set->noted_count] = index;
    if (!set->noted_count++ && sock) {
        set->shown.fd = entry->fd;
        set->shown.limit = nd_wait_clock_bound(sock, entry->wants, now, &set->shown.deadline);
    }
}

/* The pass before the first wait: remembers the entries whose clocks run, and returns when the first of them is due. */
static nd_time first_due(struct nd_wait_set *set, nd_time now) {
    nd_time earliest = ND_NEVER;
    struct nd_wait_entry entry;
    set->began = now;
    for (unsigned i = set->first; i < set->count; i++) {
        struct nd_sock *sock = set->entry(set, i, &entry) ? watched(&entry) : NULL;
        if (!sock && !(entry.fd >= 0 && ended_unreported(&entry)))
            continue;
        if (sock && connects_unseen(&entry, sock) && limited_later(sock))
            nd_wait_clock_settle_connect(entry.fd, sock);
        note(set, i, &entry, sock, now);
        nd_time its = sock ? sock_due(&entry, sock, now) : now;
        earliest = its < earliest ? its : earliest;
    }
    return earliest;
}

/* How many entries the later passes check, and each of them: those remembered by first_due, or all. */
static unsigned noted_count(const struct nd_wait_set *set) {
    return set->noted_count <= ND_WAIT_NOTED ? set->noted_count : set->count - set->first;
}

static bool noted_entry(const struct nd_wait_set *set, unsigned i, unsigned *index, struct nd_wait_entry *entry) {
    *index = set->noted_count <= ND_WAIT_NOTED ? set->noted[i] : set->first + i;
    return set->entry(set, *index, entry);
}

static nd_time due(void *arg, nd_time now) {
    struct nd_wait_set *set = arg;
    nd_time earliest = ND_NEVER;
    unsigned index;
    struct nd_wait_entry entry;
    if (!set->began)
        return first_due(set, now);
    for (unsigned i = 0; i < noted_count(set); i++) {
        nd_time its = noted_entry(set, i, &index, &entry) ? entry_due(&entry, now) : ND_NEVER;
        earliest = its < earliest ? its : earliest;
    }
    return earliest;
}

/* Whether KEEPALIVE may have ended the connection that a wait reports as ready: nothing has come for that long. A
 * result of select does not tell an error from input, and poll's is asked by wait/results.h. */
static bool may_have_ended(const struct nd_wait_entry *entry, const struct nd_sock *sock) {
    const nd_time limit = nd_sock_limits(sock)->keepalive;
    return (entry->ready & ND_WANTS_IN) && (nd_sock_flags(sock) & ND_SOCK_KEEPALIVE) && limit &&
           nd_wait_clock_silence(&sock->clock[ND_IN]) >= limit;
}

static void settle_entry(const struct nd_wait_set *set, const struct nd_wait_entry *entry, struct nd_sock *sock,
                         nd_time began, nd_time ended) {
    if (is_epoll(sock)) {
        nd_epoll_waited(entry->fd, began, ended);
        return;
    }
    if (nd_sock_flags(sock) & ND_SOCK_CONNECTING) {
        if (!entry->ready && began != ended && connects_unseen(entry, sock) && limited_later(sock))
            nd_wait_clock_settle_connect(entry->fd, sock);
        else
            nd_wait_clock_connected(entry->fd, sock, entry->ready);
        return;
    }
    nd_wait_clock_add(sock, entry->wants, began, ended);
    if (nd_unlikely(may_have_ended(entry, sock)))
        nd_expiry_by_timer_found(entry->fd, sock, nd_operation_names[set->operation]);
    /* Progress in either direction counts for a wait for both: an upload may go on without an answer. */
    if (entry->ready & entry->wants & ND_WANTS_OUT || entry->ready & (ND_WANTS_IN | ND_ENDED))
        nd_wait_clock_progress(&sock->clock[ND_IN]);
    if (entry->ready & (ND_WANTS_OUT | ND_ENDED))
        nd_wait_clock_progress(&sock->clock[ND_OUT]);
}

/* After a wait from `began` to `ended`: advances the clocks, and restarts those of entries that are ready. */
static void settle(void *arg, nd_time began, nd_time ended, bool ready) {
    const struct nd_wait_set *set = arg;
    unsigned index, count = noted_count(set);
    struct nd_wait_entry entry;
    for (unsigned i = 0; i < count; i++) {
        struct nd_sock *sock = noted_entry(set, i, &index, &entry) ? watched(&entry) : NULL;
        if (!sock)
            continue;
        if (!ready)
            entry.ready = 0;
        settle_entry(set, &entry, sock, began, ended);
    }
}

/* Counts the connections of the wait, also those without limits. A descriptor with two entries in a row counts once. */
static struct nd_connections connections_of(const struct nd_wait_set *set) {
    struct nd_connections connections = {.all = 0};
    struct nd_wait_entry entry;
    int last = -1;
    for (unsigned i = 0; i < set->count; i++) {
        if (!set->entry(set, i, &entry))
            continue;
        const struct nd_sock *sock = nd_sock_lookup(entry.fd);
        if (sock && entry.fd != last && is_epoll(sock)) {
            const struct nd_connections inner = nd_epoll_connections(entry.fd);
            nd_connections_join(&connections, &inner);
        } else if (sock && entry.fd != last) {
            nd_connections_add(&connections, sock);
        }
        last = entry.fd;
    }
    return connections;
}

static void renew(void *arg) {
    struct nd_wait_set *set = arg;
    set->first = 0; /* clocks may run for entries that had no limit */
    set->noted_count = 0;
    set->began = 0;
}

static bool expire(void *arg, nd_time now) {
    const struct nd_wait_set *set = arg;
    const char *operation = nd_operation_names[set->operation];
    const struct nd_connections connections = connections_of(set);
    bool any = false;
    unsigned index, count = noted_count(set);
    struct nd_wait_entry entry;
    for (unsigned i = 0; i < count; i++) {
        struct nd_sock *sock = noted_entry(set, i, &index, &entry) ? watched(&entry) : NULL;
        if (!sock)
            continue;
        if (is_epoll(sock))
            any |= nd_epoll_scan(operation, entry.fd, &connections, now);
        else if (nd_pending_timeout_applies(sock))
            nd_pending_timeout_check(operation, entry.fd, sock, entry.wants, &connections, now);
        else
            any |= nd_wait_clock_expire(operation, entry.fd, sock, entry.wants,
                                        nd_connections_is_only(&connections, sock), now);
    }
    return any;
}

/* Whether the entry is ready though the kernel does not report it: it has a pending timeout, or an exception that the
 * kernel does not know of. Counts the report. */
static bool is_unreported(const struct nd_wait_entry *entry) {
    if (ended_unreported(entry))
        return !entry->ready && nd_expired(entry->fd, nd_sock_lookup(entry->fd));
    struct nd_sock *sock = entry->ready & ND_WANTS_IN ? NULL : watched(entry);
    if (!sock || !shows(entry, sock))
        return false;
    sock->shown++;
    return true;
}

static int show(void *arg, int ready) {
    struct nd_wait_set *set = arg;
    unsigned index, count = noted_count(set);
    struct nd_wait_entry entry;
    for (unsigned i = 0; i < count; i++) {
        bool any = noted_entry(set, i, &index, &entry);
        if (ready == 0)
            entry.ready = 0;
        if (any && is_unreported(&entry))
            ready += set->show(set, index);
    }
    return ready;
}

_Atomic uint32_t nd_wait_set_count;

bool nd_wait_set_check(struct nd_wait_set *set) {
    const int saved = errno;
    const nd_time now = nd_now_coarse();
    struct nd_wait_entry entry;
    bool any = false;
    for (unsigned i = set->first; i < set->count; i++) {
        struct nd_sock *sock = set->entry(set, i, &entry) ? watched(&entry) : NULL;
        if (sock && !is_epoll(sock) && (entry.wants & ND_WANTS_IN) && now >= nd_gone_due(sock, now))
            any |= nd_wait_clock_expire_gone(nd_operation_names[set->operation], entry.fd, sock, now);
    }
    errno = saved;
    return any;
}

static int wait_for(void *arg, nd_time timeout) {
    struct nd_wait_set *set = arg;
    return set->wait(set, timeout);
}

int nd_wait_set_run(struct nd_wait_set *set) {
    static const struct nd_waiting how = {due, wait_for, settle, renew, expire, show};
    set->noted_count = 0;
    set->began = 0;
    set->shown = (struct nd_wait_row){set->operation, -1, ND_NEVER, ND_LIMIT_NONE};
    return nd_wait_loop(&how, set->masked, set, set->timeout, &set->shown);
}
