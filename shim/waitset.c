#include "shim/waitset.h"

#include <errno.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <string.h>

#include "shim/expiry.h"
#include "shim/real.h"
#include "shim/room.h"
#include "shim/start.h"
#include "shim/timers.h"

#define WANTS_IN (POLLIN | POLLRDNORM | POLLPRI | POLLRDHUP)
#define WANTS_OUT (POLLOUT | POLLWRNORM)
#define ENDED (POLLERR | POLLHUP | POLLNVAL)

/* A wait for room is looked into this long after it began: not at once, since most find room. */
#define FIRST_LOOK (10 * ND_MSEC)

/* What the watched sockets of a set ask for. */
struct survey {
    unsigned watched;
    unsigned connected; /* distinct connected internet sockets in the whole set, counted up to 2 */
    int first_connected;
    nd_time wake; /* when the first of their clocks is due */
};

static nd_time sooner(nd_time a, nd_time b) {
    return a < b ? a : b;
}

static void clock_add(struct nd_wait_clock *clock, nd_time began, nd_time ended) {
    nd_time from = clock->accounted > began ? clock->accounted : began;
    if (ended > from) {
        clock->waited += ended - from;
        clock->accounted = ended;
    }
}

static void clock_progress(struct nd_wait_clock *clock) {
    clock->progress = clock->waited;
    clock->look = 0;
}

static bool waits_for_room(const struct nd_sock *sock, short wants) {
    return (wants & WANTS_OUT) &&
           (nd_sock_send_limit(sock) || ((nd_sock_flags(sock) & ND_SOCK_INET) && nd_sock_limits(sock)->unacked));
}

/* When, seen from `now`, the clocks of one entry are due. */
static nd_time due(const struct nd_sock *sock, short wants, nd_time now) {
    uint32_t flags = nd_sock_flags(sock);
    nd_time wake = ND_NEVER;
    if (flags & ND_SOCK_CONNECTING)
        return nd_connect_deadline(sock->connect_began);
    nd_time limit = nd_sock_recv_limit(sock);
    if ((wants & WANTS_IN) && limit)
        wake = nd_time_after(now, limit - (sock->clock[ND_IN].waited - sock->clock[ND_IN].progress));
    if (waits_for_room(sock, wants)) {
        const struct nd_wait_clock *out = &sock->clock[ND_OUT];
        wake = sooner(wake, now + (out->look ? out->look - out->waited : FIRST_LOOK));
    }
    return wake;
}

/* The record of an entry whose clocks run, or NULL. */
static struct nd_sock *watched(const struct nd_wait_entry *entry) {
    struct nd_sock *sock = entry->wants && nd_watch_exact(entry->fd) & ND_WATCH_WAIT ? nd_sock_peek(entry->fd) : NULL;
    return sock && !(nd_sock_flags(sock) & ND_SOCK_EXPIRED) ? sock : NULL;
}

static struct survey survey_set(const struct nd_waitset *set, nd_time now) {
    struct survey survey = {.first_connected = -1, .wake = ND_NEVER};
    struct nd_wait_entry entry;
    for (unsigned i = 0; i < set->count; i++) {
        if (!set->entry(set, i, &entry))
            continue;
        const struct nd_sock *sock = watched(&entry);
        if (!sock)
            continue;
        survey.watched++;
        survey.wake = sooner(survey.wake, due(sock, entry.wants, now));
        const uint32_t connected = ND_SOCK_CONNECTED | ND_SOCK_INET;
        if ((nd_sock_flags(sock) & connected) == connected && entry.fd != survey.first_connected) {
            survey.connected++;
            survey.first_connected = entry.fd;
        }
    }
    return survey;
}

static void settle_connecting(int fd, struct nd_sock *sock, short ready) {
    if (!(ready & (WANTS_IN | WANTS_OUT | ENDED)))
        return;
    nd_sock_change(fd, sock, ready & ENDED ? 0 : ND_SOCK_CONNECTED, ND_SOCK_CONNECTING);
    if (!(ready & ENDED))
        nd_timers_arm(fd, sock);
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
            settle_connecting(entry.fd, sock, ready);
            continue;
        }
        if (entry.wants & WANTS_IN)
            clock_add(&sock->clock[ND_IN], began, ended);
        if (entry.wants & WANTS_OUT)
            clock_add(&sock->clock[ND_OUT], began, ended);
        if (ready & (WANTS_IN | ENDED))
            clock_progress(&sock->clock[ND_IN]);
        if (ready & (WANTS_OUT | ENDED))
            clock_progress(&sock->clock[ND_OUT]);
    }
}

static bool tcp_info(int fd, struct tcp_info *info) {
    socklen_t len = sizeof *info;
    memset(info, 0, sizeof *info);
    return nd_real.getsockopt(fd, IPPROTO_TCP, TCP_INFO, info, &len) == 0;
}

/* The connect's time is up; unless the kernel says that it has come about, unseen by us. */
static bool expire_connecting(int fd, struct nd_sock *sock, nd_time now) {
    struct tcp_info info;
    nd_time elapsed = now - sock->connect_began;
    if (now < nd_connect_deadline(sock->connect_began))
        return false;
    if (!tcp_info(fd, &info) || info.tcpi_state != TCP_SYN_SENT) {
        nd_sock_change(fd, sock, info.tcpi_state == TCP_ESTABLISHED ? ND_SOCK_CONNECTED : 0, ND_SOCK_CONNECTING);
        return false;
    }
    struct nd_expiry expiry = {.operation = "connect",
                               .limit = "CONNECT",
                               .timeout = nd_settings.connect,
                               .elapsed = elapsed,
                               .peer = (const struct sockaddr *)&sock->peer,
                               .peer_len = sizeof sock->peer};
    nd_expire_stream(fd, sock, &expiry);
    nd_sock_change(fd, sock, 0, ND_SOCK_CONNECTING);
    return true;
}

/* RECV is up by our clock. Bytes that came without a wait of ours (a non-blocking recv between two polls) are known to the
 * kernel; and among several connections only one that owes a reply is bounded: we sent last and have heard nothing since. */
static bool expire_in(const struct nd_waitset *set, int fd, struct nd_sock *sock, bool alone) {
    struct nd_wait_clock *clock = &sock->clock[ND_IN];
    nd_time limit = nd_sock_recv_limit(sock), silent = clock->waited - clock->progress;
    if (!limit || silent < limit)
        return false;
    if (nd_sock_flags(sock) & ND_SOCK_INET) {
        struct tcp_info info;
        if (!tcp_info(fd, &info) || info.tcpi_state == TCP_CLOSE) {
            clock_progress(clock); /* not the connection we knew: its number was given to something else unseen */
            return false;
        }
        nd_time heard = (nd_time)info.tcpi_last_data_recv * ND_MSEC, sent = (nd_time)info.tcpi_last_data_sent * ND_MSEC;
        nd_time since = alone ? heard : sent < heard ? sent : 0;
        if (since + ND_MSEC < limit) { /* the kernel counts whole milliseconds */
            clock->progress = clock->waited - since;
            return false;
        }
    }
    struct nd_expiry expiry = {
        .operation = set->operation, .limit = ND_LIMIT_NAME(sock, "RECV"), .timeout = limit, .elapsed = silent};
    clock_progress(clock);
    nd_expire_stream(fd, sock, &expiry);
    return true;
}

static bool expire_out(const struct nd_waitset *set, int fd, struct nd_sock *sock) {
    struct nd_wait_clock *clock = &sock->clock[ND_OUT];
    struct nd_expiry expiry;
    nd_time next;
    if (!clock->look) {
        struct nd_room room = nd_room_begin(fd, clock->progress);
        clock->unacked = room.unacked_since;
        clock->queued = room.queued;
    } else if (clock->waited < clock->look) {
        return false;
    }
    struct nd_room room = {clock->progress, clock->unacked, clock->queued};
    bool fired = nd_room_look(fd, sock, &room, clock->waited, &expiry, &next);
    clock->progress = room.progress;
    clock->unacked = room.unacked_since;
    clock->queued = room.queued;
    clock->look = next;
    if (fired) {
        expiry.operation = set->operation;
        clock_progress(clock);
        nd_expire_stream(fd, sock, &expiry);
    }
    return fired;
}

/* Nothing became ready: ends what is due. Returns whether anything was. */
static bool expire_due(const struct nd_waitset *set, const struct survey *survey, nd_time now) {
    bool any = false;
    struct nd_wait_entry entry;
    for (unsigned i = 0; i < set->count; i++) {
        struct nd_sock *sock = set->entry(set, i, &entry) ? watched(&entry) : NULL;
        if (!sock)
            continue;
        if (nd_sock_flags(sock) & ND_SOCK_CONNECTING)
            any |= expire_connecting(entry.fd, sock, now);
        else if ((entry.wants & WANTS_IN) && expire_in(set, entry.fd, sock, survey->connected <= 1))
            any = true;
        else if (waits_for_room(sock, entry.wants))
            any |= expire_out(set, entry.fd, sock);
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
