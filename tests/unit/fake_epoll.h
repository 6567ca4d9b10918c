/* What tests of epoll sets share, beside fake_kernel.h: sets and connections by number, and a wait that only moves the
 * fake clock. To be included by one file. */
#pragma once

#include <check.h>
#include <poll.h>
#include <sys/epoll.h>

#include "shim/socket/change.h"
#include "shim/socket/duplicates.h"
#include "shim/wait/epoll_member.h"
#include "shim/wait/epoll_scan.h"
#include "shim/wait/epoll_set.h"
#include "tests/unit/fake_kernel.h"

#define CONNECTION (ND_SOCK_STREAM | ND_SOCK_INET | ND_SOCK_CONNECTED)
#define LIMIT (2 * ND_SEC)

/* Descriptors. */
enum { SET = 700, OTHER_SET, THIRD_SET, FOURTH_SET, FIFTH_SET, COPY, OTHER_COPY, SOCK, SOCK2, SOCK3, LAST };

static struct {
    bool send_space;
    nd_time poll_lasts;     /* how long each poll of one descriptor takes */
    int polls, scans, mods; /* calls: of poll, of nd_epoll_scan in wait_for, of epoll_ctl by the library */
} fake_sets;

static int fake_poll(struct pollfd *fds, nfds_t count, int timeout) {
    (void)count, (void)timeout;
    fake_sets.polls++;
    fake.now += fake_sets.poll_lasts;
    fds->revents = fds->events & POLLOUT && fake_sets.send_space ? POLLOUT : 0;
    return fds->revents != 0;
}

static int fake_epoll_ctl(int epfd, int op, int fd, struct epoll_event *event) {
    (void)epfd, (void)op, (void)fd, (void)event;
    fake_sets.mods++;
    return 0;
}

static void fake_sets_start(void) {
    static const char one_thread = 1;
    fake_start();
    memset(&fake_sets, 0, sizeof fake_sets);
    nd_real.poll = fake_poll;
    nd_real.epoll_ctl = fake_epoll_ctl;
    nd_one_thread = &one_thread;
    for (int fd = SET; fd < LAST; fd++)
        nd_sock_clear(fd);
    nd_sock_created(SET, ND_SOCK_EPOLL);
    fake.info.tcpi_last_data_recv = fake.info.tcpi_last_data_sent = 3600 * 1000;
}

static struct nd_epoll *set_of(int epfd) {
    return &nd_sock_lookup(epfd)->epoll;
}

static void add(int epfd, int fd, uint32_t events) {
    struct epoll_event event = {.events = events, .data.u64 = (uint64_t)fd};
    nd_epoll_noted(epfd, fd, &event);
}

static struct nd_sock *add_new(int epfd, int fd, uint32_t flags, uint32_t events) {
    struct nd_sock *sock = nd_sock_created(fd, flags);
    add(epfd, fd, events);
    return sock;
}

/* A set in the set. */
static inline void nest(void) {
    nd_sock_created(OTHER_SET, ND_SOCK_EPOLL);
    add(SET, OTHER_SET, EPOLLIN);
}

static inline struct nd_membership *member_of(int fd, int epfd) {
    return nd_epoll_membership(nd_sock_lookup(fd), epfd);
}

/* What close does. */
static inline void close_fd(int fd) {
    nd_epoll_closed(fd);
    nd_sock_clear(fd);
}

/* How long the clock of input has run, once it has been brought up to date with each of the sets. */
static inline nd_time waited_for(int fd) {
    struct nd_sock *sock = nd_sock_lookup(fd);
    for (int i = 0; i < ND_MEMBERSHIPS; i++)
        if (sock->in[i].set && nd_epoll_membership(sock, sock->in[i].set - 1))
            nd_epoll_run_clocks(sock, &sock->in[i], set_of(sock->in[i].set - 1));
    return sock->clock[ND_IN].time.waited;
}

/* Waits for the set as wait/loop.c does while nothing becomes ready. Returns whether something ended. */
static bool wait_for(int epfd, nd_time lasts) {
    const nd_time end = fake.now + lasts;
    for (int rounds = 0; fake.now < end; rounds++) {
        ck_assert_int_lt(rounds, 2000); /* a spinning wait */
        const nd_time began = fake.now, due = nd_epoll_due(epfd, began), until = nd_time_sooner(due, end);
        fake.now = until > began ? until : began;
        nd_epoll_waited(epfd, began, fake.now);
        if (fake.now < due)
            continue;
        fake_sets.scans++;
        if (nd_epoll_scan("epoll_wait", epfd, NULL, fake.now))
            return true;
    }
    return false;
}

static bool has_expired(int fd) {
    return (nd_sock_flags(nd_sock_lookup(fd)) & ND_SOCK_EXPIRED) != 0;
}
