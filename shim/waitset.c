#include "shim/waitset.h"

#include "shim/epollmember.h"
#include "shim/epollset.h"
#include "shim/expiry.h"
#include "shim/timers.h"
#include "shim/waitloop.h"

/* The record of an entry whose clocks run, or NULL. */
static struct nd_sock *watched(const struct nd_wait_entry *entry) {
    struct nd_sock *sock = nd_watch_exact(entry->fd) & nd_watch_events(entry->wants) ? nd_sock_peek(entry->fd) : NULL;
    if (sock)
        nd_timers_refresh(entry->fd, sock);
    return sock && !(nd_sock_flags(sock) & ND_SOCK_EXPIRED) ? sock : NULL;
}

static bool is_set(const struct nd_sock *sock) {
    return (nd_sock_flags(sock) & ND_SOCK_EPOLL) != 0;
}

/* An exception set alone does not show that a connection has ended: only we know. */
static bool ended_unshown(const struct nd_wait_entry *entry) {
    const struct nd_sock *sock = entry->wants & ND_WAIT_URGENT ? nd_sock_peek(entry->fd) : NULL;
    return sock && (nd_sock_flags(sock) & ND_SOCK_EXPIRED);
}

/* Counts the connections, also those that no limit is set for, and finds when the first clock is due. One that stands in the
 * set twice in a row counts once. */
static nd_time due(void *arg, nd_time now) {
    struct nd_waitset *set = arg;
    nd_time wake = ND_NEVER;
    int last = -1;
    struct nd_wait_entry entry;
    set->company = (struct nd_company){0, 0};
    set->began = set->began ? set->began : now;
    for (unsigned i = 0; i < set->count; i++) {
        if (!set->entry(set, i, &entry))
            continue;
        const struct nd_sock *sock = nd_sock_peek(entry.fd);
        if (sock && entry.fd != last)
            nd_company_add(&set->company, is_set(sock) ? nd_sock_peek(nd_epoll_home(entry.fd)) : sock);
        last = entry.fd;
        if (ended_unshown(&entry))
            return now;
        sock = watched(&entry);
        if (!sock)
            continue;
        nd_time its = is_set(sock) ? nd_epoll_due(entry.fd, now) : nd_clock_due(sock, entry.wants, now);
        wake = its < wake ? its : wake;
    }
    return wake;
}

static void settle_entry(struct nd_wait_entry *entry, struct nd_sock *sock, nd_time began, nd_time ended) {
    if (is_set(sock)) {
        nd_epoll_waited(entry->fd, began, ended, entry->ready != 0);
        return;
    }
    if (nd_sock_flags(sock) & ND_SOCK_CONNECTING) {
        nd_clock_connected(entry->fd, sock, entry->ready);
        return;
    }
    nd_clock_add(sock, entry->wants, began, ended);
    /* Who waits for both is content with either: an upload may go on without an answer. */
    if (entry->ready & entry->wants & ND_WANTS_OUT || entry->ready & (ND_WANTS_IN | ND_ENDED))
        nd_clock_progress(&sock->clock[ND_IN]);
    if (entry->ready & (ND_WANTS_OUT | ND_ENDED))
        nd_clock_progress(&sock->clock[ND_OUT]);
}

/* After a wait from `began` to `ended`: the clocks have run, and what is ready has made progress. */
static void settle(void *arg, nd_time began, nd_time ended, bool ready) {
    const struct nd_waitset *set = arg;
    struct nd_wait_entry entry;
    for (unsigned i = 0; i < set->count; i++) {
        struct nd_sock *sock = set->entry(set, i, &entry) ? watched(&entry) : NULL;
        if (!sock)
            continue;
        if (!ready)
            entry.ready = 0;
        settle_entry(&entry, sock, began, ended);
    }
}

static bool expire(void *arg, nd_time now) {
    const struct nd_waitset *set = arg;
    bool any = false;
    struct nd_wait_entry entry;
    for (unsigned i = 0; i < set->count; i++) {
        struct nd_sock *sock = set->entry(set, i, &entry) ? watched(&entry) : NULL;
        if (!sock)
            continue;
        if (is_set(sock))
            any |= nd_epoll_look(set->operation, entry.fd, &set->company, now);
        else if (nd_sock_flags(sock) & ND_SOCK_LISTENING)
            nd_clock_late(set->operation, entry.fd, sock, entry.wants, &set->company);
        else
            any |= nd_clock_expire(set->operation, entry.fd, sock, entry.wants, nd_alone(&set->company, sock), now);
    }
    return any;
}

/* What the kernel does not show: a listener that is late is not ended, and a connection that is has no exception. */
static bool is_unshown(const struct nd_wait_entry *entry) {
    if (ended_unshown(entry))
        return !entry->ready && nd_expired(entry->fd, nd_sock_peek(entry->fd));
    const struct nd_sock *sock = watched(entry);
    return sock && (nd_sock_flags(sock) & ND_SOCK_LATE) && (entry->wants & ~entry->ready & ND_WANTS_IN);
}

static int show(void *arg, int ready) {
    struct nd_waitset *set = arg;
    struct nd_wait_entry entry;
    for (unsigned i = 0; i < set->count; i++) {
        bool any = set->entry(set, i, &entry);
        if (ready == 0)
            entry.ready = 0;
        if (any && is_unshown(&entry)) {
            set->show(set, i);
            ready++;
        }
    }
    return ready;
}

static int wait_for(void *arg, nd_time timeout) {
    struct nd_waitset *set = arg;
    return set->wait(set, timeout);
}

/* The first entry that is bounded, and by what. */
static struct nd_wait_shown shown_of(const struct nd_waitset *set) {
    struct nd_wait_shown shown = {set->operation, -1, ND_NEVER, ND_LIMIT_NONE};
    struct nd_wait_entry entry;
    for (unsigned i = 0; i < set->count; i++) {
        const struct nd_sock *sock = set->entry(set, i, &entry) ? watched(&entry) : NULL;
        if (!sock)
            continue;
        shown.fd = entry.fd;
        shown.limit = nd_clock_bound(sock, entry.wants, nd_now_coarse(), &shown.deadline);
        break;
    }
    return shown;
}

int nd_waitset_run(struct nd_waitset *set) {
    const struct nd_waiting how = {due, wait_for, settle, expire, show, set->masked};
    const struct nd_wait_shown shown = shown_of(set);
    return nd_wait_loop(&how, set, set->timeout, &shown);
}
