#include "shim/waitset.h"

#include <errno.h>

#include "shim/start.h"
#include "shim/timers.h"
#include "shim/waitclock.h"

/* What the watched sockets of a set ask for. */
struct survey {
    unsigned watched;
    struct nd_company company; /* the connected sockets in it; one that stands in it twice in a row counts once */
    int last_connected;
    nd_time wake; /* when the first of their clocks is due */
};

/* The record of an entry whose clocks run, or NULL. */
static struct nd_sock *watched(const struct nd_wait_entry *entry) {
    struct nd_sock *sock = nd_watch_exact(entry->fd) & nd_watch_events(entry->wants) ? nd_sock_peek(entry->fd) : NULL;
    if (sock)
        nd_timers_refresh(entry->fd, sock);
    return sock && !(nd_sock_flags(sock) & ND_SOCK_EXPIRED) ? sock : NULL;
}

static struct survey survey_set(const struct nd_waitset *set, nd_time now) {
    struct survey survey = {.last_connected = -1, .wake = ND_NEVER};
    struct nd_wait_entry entry;
    for (unsigned i = 0; i < set->count; i++) {
        if (!set->entry(set, i, &entry))
            continue;
        const struct nd_sock *sock = nd_sock_peek(entry.fd);
        if (sock && (nd_sock_flags(sock) & ND_SOCK_CONNECTED) && entry.fd != survey.last_connected) {
            nd_company_add(&survey.company, sock); /* also those that no limit is set for */
            survey.last_connected = entry.fd;
        }
        sock = watched(&entry);
        if (!sock)
            continue;
        survey.watched++;
        nd_time due = nd_clock_due(sock, entry.wants, now);
        survey.wake = due < survey.wake ? due : survey.wake;
    }
    return survey;
}

/* After a wait from `began` to `ended`: the clocks have run, and what is ready has made progress. */
static void settle(const struct nd_waitset *set, nd_time began, nd_time ended, bool any_ready) {
    struct nd_wait_entry entry;
    for (unsigned i = 0; i < set->count; i++) {
        struct nd_sock *sock = set->entry(set, i, &entry) ? watched(&entry) : NULL;
        if (!sock)
            continue;
        short ready = any_ready ? entry.ready : (short)0;
        if (nd_sock_flags(sock) & ND_SOCK_CONNECTING) {
            nd_clock_connected(entry.fd, sock, ready);
            continue;
        }
        if (entry.wants & ND_WANTS_IN)
            nd_clock_add(&sock->clock[ND_IN], began, ended);
        if (entry.wants & ND_WANTS_OUT)
            nd_clock_add(&sock->clock[ND_OUT], began, ended);
        /* Who waits for both is content with either: an upload may go on without an answer. */
        if (ready & entry.wants & ND_WANTS_OUT || ready & (ND_WANTS_IN | ND_ENDED))
            nd_clock_progress(&sock->clock[ND_IN]);
        if (ready & (ND_WANTS_OUT | ND_ENDED))
            nd_clock_progress(&sock->clock[ND_OUT]);
    }
}

/* Ends what is due. Returns whether anything was. */
static bool expire_due(const struct nd_waitset *set, const struct survey *survey, nd_time now) {
    bool any = false;
    struct nd_wait_entry entry;
    for (unsigned i = 0; i < set->count; i++) {
        struct nd_sock *sock = set->entry(set, i, &entry) ? watched(&entry) : NULL;
        if (sock && nd_clock_expire(set->operation, entry.fd, sock, entry.wants, nd_alone(&survey->company, sock), now))
            any = true;
    }
    return any;
}

/* MODE=observe: the wait is the program's own, and its clocks are read when it returns. */
static int run_observed(struct nd_waitset *set) {
    nd_time began = nd_now();
    struct survey survey = survey_set(set, began);
    int ready = set->wait(set, ND_AS_GIVEN), error = errno;
    nd_time ended = nd_now();
    settle(set, began, ended, false);
    if (ready >= 0)
        expire_due(set, &survey, ended);
    settle(set, ended, ended, ready > 0);
    errno = error;
    return ready;
}

int nd_waitset_run(struct nd_waitset *set) {
    if (nd_observing)
        return run_observed(set);
    const int untouched = errno;
    nd_time now = nd_now();
    const nd_time deadline = nd_time_after(now, set->timeout);
    nd_time timeout = ND_AS_GIVEN;
    for (;;) {
        struct survey survey = survey_set(set, now);
        if (survey.wake < deadline)
            timeout = survey.wake > now ? survey.wake - now : 0;
        else if (timeout != ND_AS_GIVEN)
            timeout = deadline == ND_NEVER ? ND_NEVER : deadline > now ? deadline - now : 0;
        int ready = set->wait(set, timeout);
        int error = errno;
        nd_time ended = nd_now();
        settle(set, now, ended, ready > 0);
        /* Also when others are ready, again and again; the next call then finds what was ended. */
        bool expired = ready >= 0 && (ready == 0 || ended >= survey.wake) && expire_due(set, &survey, ended);
        if (ready == 0 && expired) {
            ready = set->wait(set, 0); /* the kernel shows what ending it has made of the set */
            error = errno;
        }
        if (ready != 0 || ended >= deadline) {
            errno = ready < 0 ? error : untouched;
            return ready;
        }
        now = ended;
        if (timeout == ND_AS_GIVEN)
            timeout = 0; /* from here on the rest is counted by us */
    }
}
