#include "shim/limit/wait_clock.h"

#include <stdlib.h>

#include "shim/report/slots.h"
#include "shim/socket/change.h"
#include "tests/unit/fake_kernel.h"
#include "tests/unit/unit.h"

enum { FD = 700, TCP = ND_SOCK_STREAM | ND_SOCK_INET | ND_SOCK_CONNECTED };
#define LIMIT (2 * ND_SEC)
#define COUNT(array) ((int)(sizeof(array) / sizeof(array)[0]))

static struct nd_sock *sock;
static short ready; /* what poll finds */

static int fake_poll(struct pollfd *fds, nfds_t count, int timeout) {
    (void)timeout;
    ck_assert_uint_eq(count, 1);
    fds->revents = ready & fds->events;
    return fds->revents != 0;
}

static void create(uint32_t flags) {
    nd_sock_clear(FD);
    sock = nd_sock_created(FD, flags);
}

static void start(void) {
    fake_start();
    nd_real.poll = fake_poll;
    ready = 0;
    create(TCP);
    fake.info.tcpi_last_data_recv = fake.info.tcpi_last_data_sent = fake.info.tcpi_last_ack_recv = 3600 * 1000;
}

static void passes(nd_time time) {
    fake.now += time;
    fake.info.tcpi_last_data_recv += (uint32_t)(time / ND_MSEC);
    fake.info.tcpi_last_data_sent += (uint32_t)(time / ND_MSEC);
    fake.info.tcpi_last_ack_recv += (uint32_t)(time / ND_MSEC);
}

/* A wait of this length, after which the clocks are checked. Returns whether the connection was ended. */
static bool wait_for(short wants, nd_time length, bool alone) {
    nd_wait_clock_add(sock, wants, fake.now, fake.now + length);
    passes(length);
    return nd_wait_clock_expire("poll", FD, sock, wants, alone, fake.now);
}

static void expect_expired(const char *limit, nd_time timeout, nd_time elapsed) {
    ck_assert_uint_eq(fake.told, 1);
    ck_assert_str_eq(fake.last.operation, "poll");
    ck_assert_str_eq(fake.last.limit, limit);
    ck_assert_int_eq(fake.last.timeout, timeout);
    ck_assert_int_eq(fake.last.elapsed, elapsed);
    ck_assert(nd_sock_flags(sock) & ND_SOCK_EXPIRED);
    ck_assert_int_gt(fake.disconnects, 0);
}

START_TEST(no_limit_never_runs) {
    for (int wants = 0; wants <= (POLLIN | POLLOUT); wants++) {
        ck_assert_int_eq(nd_wait_clock_left(sock, (short)wants), ND_NEVER);
        ck_assert_int_eq(nd_wait_clock_due(sock, (short)wants, fake.now), ND_NEVER);
        ck_assert(!wait_for((short)wants, 3600 * ND_SEC, true));
    }
    ck_assert_int_eq(fake.info_reads, 0);
}
END_TEST

START_TEST(waits_add_up_and_count_once) {
    nd_time began = fake.now;
    nd_wait_clock_add(sock, POLLIN, began, began + 5);
    nd_wait_clock_add(sock, POLLIN | POLLOUT, began + 3, began + 8); /* another thread, at the same time */
    nd_wait_clock_add(sock, POLLIN, began + 20, began + 21);
    nd_wait_clock_add(sock, POLLIN, began + 30, began + 29); /* by the coarse clock */
    ck_assert_int_eq(nd_wait_clock_silence(&sock->clock[ND_IN]), 9);
    ck_assert_int_eq(nd_wait_clock_silence(&sock->clock[ND_OUT]), 5);
    sock->clock[ND_OUT].check_at = 4;
    nd_wait_clock_progress(&sock->clock[ND_OUT]);
    ck_assert_int_eq(nd_wait_clock_silence(&sock->clock[ND_OUT]), 0);
    ck_assert_int_eq(sock->clock[ND_OUT].check_at, 0);
    ck_assert_int_eq(nd_wait_clock_silence(&sock->clock[ND_IN]), 9);
    ck_assert_int_eq(sock->connection_clock.time.waited, 0); /* no limit of that kind is on */
}
END_TEST

START_TEST(recv_alone) {
    nd_settings.outbound.recv = LIMIT;
    ck_assert(!wait_for(POLLIN, LIMIT - ND_MSEC, true));
    ck_assert_int_eq(nd_wait_clock_left(sock, POLLIN), ND_MSEC);
    ck_assert_int_eq(nd_wait_clock_left(sock, POLLOUT), ND_NEVER);
    passes(3600 * ND_SEC); /* no thread waits */
    ck_assert_int_eq(nd_wait_clock_due(sock, POLLIN, fake.now), fake.now + ND_MSEC);
    ck_assert(wait_for(POLLIN, ND_MSEC, true));
    expect_expired("RECV", LIMIT, LIMIT);
}
END_TEST

START_TEST(recv_of_an_accepted_socket_has_its_own_limit) {
    create(TCP | ND_SOCK_INBOUND);
    nd_settings.outbound.recv = ND_MSEC;
    nd_settings.inbound.recv = LIMIT;
    ck_assert(!wait_for(POLLIN, LIMIT - 1, true));
    ck_assert(wait_for(POLLIN, 1, true));
    expect_expired("INBOUND_RECV", LIMIT, LIMIT);
}
END_TEST

/* Milliseconds ago that the last bytes were sent and received, flags, and whether RECV then ends one connection among
 * several. */
static const struct {
    uint32_t sent, received, flags;
    bool ends;
} several[] = {
    {5000, 60000, 0, true},                                 /* a request without a reply */
    {60000, 5000, 0, false},                                /* idle since the reply */
    {5000, 5000, 0, false},                                 /* within a tick: not known */
    {5000, 5000, ND_SOCK_SENT_LAST, true},                  /* known by the record */
    {6000, 5000, ND_SOCK_SENT_LAST, false},                 /* unseen bytes came since */
    {6000, 5000, ND_SOCK_SENT_LAST | ND_SOCK_SCOPED, true}, /* which may be TLS' own */
    {1000, 60000, ND_SOCK_SENT_LAST, false},                /* the request is younger than the limit */
};

START_TEST(recv_among_several) {
    nd_settings.outbound.recv = LIMIT;
    create(TCP | several[_i].flags);
    nd_wait_clock_add(sock, POLLIN, fake.now, fake.now + LIMIT);
    fake.now += LIMIT;
    fake.info.tcpi_last_data_sent = several[_i].sent;
    fake.info.tcpi_last_data_recv = several[_i].received;
    ck_assert(nd_wait_clock_expire("poll", FD, sock, POLLIN, false, fake.now) == several[_i].ends);
    ck_assert_uint_eq(fake.told, several[_i].ends);
}
END_TEST

/* The clock takes the kernel's word for how long the connection has been silent. */
START_TEST(bytes_received_without_a_wait_count) {
    nd_settings.outbound.recv = LIMIT;
    ck_assert(!wait_for(POLLIN, ND_SEC, true));
    fake.info.tcpi_last_data_recv = 0;
    ck_assert(!wait_for(POLLIN, ND_SEC, true));
    ck_assert_int_eq(nd_wait_clock_left(sock, POLLIN), ND_SEC);
    ck_assert(wait_for(POLLIN, ND_SEC, true));
}
END_TEST

START_TEST(a_request_has_the_whole_limit) {
    nd_settings.outbound.recv = LIMIT;
    ck_assert(!wait_for(POLLIN, LIMIT - ND_MSEC, true));
    nd_sock_sent(sock);
    fake.info.tcpi_last_data_sent = 0;
    ck_assert(!wait_for(POLLIN, LIMIT - 2 * ND_MSEC, true));
    ck_assert(wait_for(POLLIN, 2 * ND_MSEC, true));
}
END_TEST

/* A wait for both ends with either: an upload may go on without a reply. */
START_TEST(sending_is_progress_of_a_wait_for_both) {
    const short wants = (short)(_i ? POLLIN | POLLOUT : POLLIN);
    nd_settings.outbound.recv = LIMIT;
    ck_assert(!wait_for(wants, LIMIT - ND_SEC, true));
    fake.info.tcpi_last_data_sent = 0;
    ck_assert(wait_for(wants, ND_SEC, true) == !_i);
}
END_TEST

START_TEST(unread_bytes_restart_recv) {
    nd_settings.outbound.recv = LIMIT;
    ready = POLLIN;
    ck_assert(!wait_for(POLLIN, LIMIT, true));
    ready = 0;
    ck_assert(!wait_for(POLLIN, LIMIT - ND_MSEC, true));
    ck_assert(wait_for(POLLIN, ND_MSEC, true));
}
END_TEST

START_TEST(a_stale_record_restarts_recv) {
    nd_settings.outbound.recv = LIMIT;
    fake.info_fails = _i == 0;
    fake.info.tcpi_state = TCP_CLOSE;
    ck_assert(!wait_for(POLLIN, LIMIT, true));
    ck_assert_int_eq(nd_wait_clock_left(sock, POLLIN), LIMIT);
}
END_TEST

/* Where the kernel reports no times the clock decides. */
START_TEST(recv_under_an_emulator) {
    nd_settings.outbound.recv = LIMIT;
    fake.info_length = 4;
    ck_assert(wait_for(POLLIN, LIMIT, true));
}
END_TEST

START_TEST(recv_of_local_streams) {
    create(ND_SOCK_STREAM | ND_SOCK_LOCAL | ND_SOCK_CONNECTED);
    nd_settings.outbound.recv = LIMIT;
    ck_assert(!wait_for(POLLIN, LIMIT, false));
    ck_assert_int_eq(nd_wait_clock_left(sock, POLLIN), LIMIT);
    ck_assert(wait_for(POLLIN, LIMIT, true));
    ck_assert_int_eq(fake.info_reads, 0);
}
END_TEST

/* Checked when the wait is over: the bytes that ended it do not make the silence before them undone. */
START_TEST(observed_recv_is_reported_and_ends_nothing) {
    nd_settings.outbound.recv = LIMIT;
    nd_observing = true;
    ready = POLLIN;
    fake.info.tcpi_last_data_recv = 0;
    ck_assert(!wait_for(POLLIN, LIMIT, false));
    ck_assert_uint_eq(fake.told, 0);
    nd_sock_sent(sock);
    wait_for(POLLIN, LIMIT, false);
    ck_assert_uint_eq(fake.told, 1);
    wait_for(POLLIN, LIMIT, true);
    ck_assert_uint_eq(fake.told, 2);
    ck_assert_int_eq(fake.disconnects, 0);
    ck_assert(!(nd_sock_flags(sock) & ND_SOCK_EXPIRED));
}
END_TEST

/* UNACKED, SEND, and when a wait for space is checked first */
static const struct {
    nd_time unacked, send, first;
} firsts[] = {
    {60 * ND_SEC, 0, 60 * ND_SEC / 64}, {60 * ND_SEC, 6400 * ND_MSEC, 100 * ND_MSEC},
    {0, 6400 * ND_MSEC, 100 * ND_MSEC}, {ND_SEC, 3600 * ND_SEC, ND_SEC / 64},
    {3600 * ND_SEC, 0, ND_SEC},         {100 * ND_MSEC, 0, 10 * ND_MSEC},
};

START_TEST(a_wait_for_space_is_checked_after_a_part_of_the_limit) {
    nd_settings.outbound.unacked = firsts[_i].unacked;
    nd_settings.outbound.send = firsts[_i].send;
    ck_assert_int_eq(nd_wait_clock_left(sock, POLLOUT), firsts[_i].first);
    ck_assert(nd_wait_clock_send_space(sock, POLLOUT));
    ck_assert(!nd_wait_clock_send_space(sock, POLLIN));
    ck_assert_int_eq(nd_wait_clock_left(sock, POLLIN), ND_NEVER);
}
END_TEST

START_TEST(unacked_ends_a_wait_for_space) {
    nd_settings.outbound.unacked = 16 * ND_SEC;
    fake.info.tcpi_unacked = 3;
    ck_assert(!wait_for(POLLOUT, 250 * ND_MSEC, false)); /* the first check: from here on it counts */
    const int reads = fake.info_reads;
    ck_assert_int_eq(nd_wait_clock_left(sock, POLLOUT), ND_SEC);
    ck_assert(!wait_for(POLLOUT, ND_SEC - 1, false)); /* not due */
    ck_assert_int_eq(fake.info_reads, reads);
    ck_assert(!wait_for(POLLOUT, 1, false));
    ck_assert_int_gt(fake.info_reads, reads);
    passes(3600 * ND_SEC); /* no thread waits */
    ck_assert(!wait_for(POLLOUT, 14 * ND_SEC, false));
    ck_assert_int_eq(nd_wait_clock_left(sock, POLLOUT), 750 * ND_MSEC);
    ck_assert(wait_for(POLLOUT, 750 * ND_MSEC, false));
    expect_expired("UNACKED", 16 * ND_SEC, 16 * ND_SEC);
}
END_TEST

START_TEST(a_check_of_unacked_that_fails_is_not_due_again_at_once) {
    nd_settings.outbound.unacked = 16 * ND_SEC;
    fake.info_fails = true;
    for (int i = 0; i < 100; i++) {
        nd_time due = nd_wait_clock_due(sock, POLLIN, fake.now);
        ck_assert_int_gt(due, fake.now);
        ck_assert(!wait_for(POLLIN, due - fake.now, true));
    }
    ck_assert_int_ge(fake.now, 100 * ND_SEC);
    ck_assert_uint_eq(fake.told, 0);
}
END_TEST

START_TEST(acknowledgements_restart_unacked) {
    nd_settings.outbound.unacked = 4 * ND_SEC;
    fake.info.tcpi_unacked = 3;
    for (int i = 0; i < 20; i++) {
        fake.info.tcpi_last_ack_recv = 0;
        ck_assert(!wait_for(POLLOUT, ND_SEC, false));
    }
    fake.info.tcpi_unacked = 0; /* a closed window, between two probes */
    for (int i = 0; i < 20; i++)
        ck_assert(!wait_for(POLLOUT, ND_SEC, false));
}
END_TEST

START_TEST(send_ends_a_wait_for_space) {
    nd_settings.outbound.send = 4 * ND_SEC;
    fake.queued = 1000;
    ck_assert(!wait_for(POLLOUT, 2 * ND_SEC, false));
    fake.queued = 900; /* bytes move, though none has space yet */
    ck_assert(!wait_for(POLLOUT, 2 * ND_SEC, false));
    ck_assert(!wait_for(POLLOUT, 4 * ND_SEC - ND_MSEC, false));
    ck_assert(wait_for(POLLOUT, ND_MSEC, false));
    expect_expired("SEND", 4 * ND_SEC, 4 * ND_SEC);
}
END_TEST

START_TEST(space_restarts_send) {
    nd_settings.outbound.send = 4 * ND_SEC;
    ck_assert(!wait_for(POLLOUT, 3 * ND_SEC, false));
    nd_wait_clock_progress(&sock->clock[ND_OUT]); /* a wait found the socket writable */
    ck_assert(!wait_for(POLLOUT, 3 * ND_SEC, false));
    ck_assert(wait_for(POLLOUT, ND_SEC, false));
}
END_TEST

static void connecting(void) {
    create(ND_SOCK_STREAM | ND_SOCK_INET | ND_SOCK_CONNECTING);
    nd_settings.connect = LIMIT;
    sock->connect_began = fake.now;
    fake.info.tcpi_state = TCP_SYN_SENT;
}

START_TEST(connect_ends_at_its_deadline) {
    connecting();
    nd_settings.outbound.recv = nd_settings.outbound.unacked = ND_MSEC; /* not before it is established */
    ck_assert_int_eq(nd_wait_clock_due(sock, POLLIN | POLLOUT, fake.now + ND_SEC), sock->connect_began + LIMIT);
    ck_assert(!wait_for(POLLIN | POLLOUT, ND_SEC, true));
    passes(ND_SEC - ND_MSEC); /* also while no thread waits */
    ck_assert(!wait_for(POLLIN | POLLOUT, 0, true));
    ck_assert_int_eq(fake.info_reads, 0);
    ck_assert(wait_for(POLLIN | POLLOUT, ND_MSEC, true));
    ck_assert_str_eq(fake.last.operation, "connect");
    ck_assert_str_eq(fake.last.limit, "CONNECT");
    ck_assert_int_eq(fake.last.elapsed, LIMIT);
    ck_assert_uint_eq(nd_sock_flags(sock) & (ND_SOCK_CONNECTING | ND_SOCK_EXPIRED), ND_SOCK_EXPIRED);
}
END_TEST

/* A state that the kernel reports at the deadline, and the flag it leaves. */
static const struct {
    uint8_t state;
    uint32_t flag;
} outcomes[] = {{TCP_ESTABLISHED, ND_SOCK_CONNECTED}, {TCP_CLOSE, 0}};

START_TEST(an_outcome_that_no_wait_has_shown) {
    connecting();
    fake.info.tcpi_state = outcomes[_i].state;
    ck_assert(!wait_for(POLLOUT, LIMIT, true));
    ck_assert_uint_eq(nd_sock_flags(sock) & (ND_SOCK_CONNECTING | ND_SOCK_CONNECTED), outcomes[_i].flag);
    ck_assert_uint_eq(fake.told, 0);
}
END_TEST

START_TEST(a_connect_under_an_unseen_number_is_dropped) {
    connecting();
    fake.info_fails = true;
    ck_assert(!wait_for(POLLOUT, LIMIT, true));
    ck_assert_uint_eq(nd_sock_flags(sock) & (ND_SOCK_CONNECTING | ND_SOCK_CONNECTED), 0);
}
END_TEST

static const struct {
    short ready;
    uint32_t flags;
} shown[] = {{0, ND_SOCK_CONNECTING},      {POLLOUT, ND_SOCK_CONNECTED}, {POLLWRNORM, ND_SOCK_CONNECTED},
             {POLLIN, ND_SOCK_CONNECTED},  {POLLERR | POLLHUP, 0},       {POLLOUT | POLLERR, 0},
             {POLLPRI, ND_SOCK_CONNECTING}};

START_TEST(a_wait_shows_the_outcome_of_a_connect) {
    connecting();
    nd_wait_clock_connected(FD, sock, shown[_i].ready);
    ck_assert_uint_eq(nd_sock_flags(sock) & (ND_SOCK_CONNECTING | ND_SOCK_CONNECTED), shown[_i].flags);
}
END_TEST

START_TEST(the_kernel_is_asked_for_the_outcome_of_a_connect) {
    connecting();
    errno = 42;
    nd_wait_clock_settle_connect(FD, sock);
    ck_assert(nd_sock_flags(sock) & ND_SOCK_CONNECTING);
    ready = POLLOUT;
    nd_wait_clock_settle_connect(FD, sock);
    ck_assert_uint_eq(nd_sock_flags(sock) & (ND_SOCK_CONNECTING | ND_SOCK_CONNECTED), ND_SOCK_CONNECTED);
    ck_assert_int_eq(errno, 42);
}
END_TEST

START_TEST(an_operation_ends_at_its_deadline) {
    nd_sock_begin_operation(FD, sock, "SSL_connect", "TLS_HANDSHAKE", LIMIT);
    ck_assert_int_eq(nd_wait_clock_due(sock, 0, fake.now + 7), fake.now + LIMIT);
    ck_assert(!wait_for(POLLIN, LIMIT - 1, true));
    ck_assert(wait_for(POLLIN, 1, true));
    ck_assert_str_eq(fake.last.operation, "SSL_connect");
    ck_assert_str_eq(fake.last.limit, "TLS_HANDSHAKE");
    ck_assert_int_eq(fake.last.elapsed, LIMIT);
    ck_assert_int_eq(nd_wait_clock_due(sock, POLLIN, fake.now), ND_NEVER);
}
END_TEST

START_TEST(unread_bytes_give_an_operation_a_grace_period) {
    nd_sock_begin_operation(FD, sock, "SSL_connect", "TLS_HANDSHAKE", LIMIT);
    ready = POLLIN;
    ck_assert(!wait_for(POLLIN, LIMIT + 5, true));
    ck_assert_int_eq(nd_wait_clock_due(sock, POLLIN, fake.now), fake.now + ND_SEC);
    ck_assert(!wait_for(POLLIN, ND_SEC - 1, true));
    ck_assert(wait_for(POLLIN, 1, true)); /* there still: nobody reads them */
    ck_assert_int_eq(fake.last.elapsed, LIMIT + ND_SEC + 5);
}
END_TEST

/* A wait for space only will not read them; nor are they a reason where nothing is ended. */
START_TEST(no_grace_period) {
    nd_observing = _i;
    nd_sock_begin_operation(FD, sock, "SSL_connect", "TLS_HANDSHAKE", LIMIT);
    ready = POLLIN;
    ck_assert(wait_for(_i ? POLLIN : POLLOUT, LIMIT, true));
    ck_assert_uint_eq(fake.told, 1);
}
END_TEST

START_TEST(a_connect_within_an_operation_has_the_sooner_deadline) {
    connecting();
    nd_sock_begin_operation(FD, sock, "SSL_connect", "TLS_HANDSHAKE", LIMIT / 2);
    ck_assert_int_eq(nd_wait_clock_due(sock, POLLOUT, fake.now), fake.now + LIMIT / 2);
    nd_sock_begin_operation(FD, sock, "SSL_connect", "TLS_HANDSHAKE", LIMIT * 2);
    ck_assert_int_eq(nd_wait_clock_due(sock, POLLOUT, fake.now), fake.now + LIMIT);
}
END_TEST

START_TEST(idle_counts_in_either_direction) {
    nd_settings.outbound.idle = LIMIT;
    ck_assert_int_eq(nd_wait_clock_due(sock, POLLOUT, fake.now), fake.now + LIMIT);
    ck_assert(!wait_for(POLLIN, ND_SEC, false));
    ck_assert(!wait_for(POLLOUT, ND_SEC - ND_MSEC, false));
    ck_assert(wait_for(POLLIN, ND_MSEC, false));
    expect_expired("IDLE", LIMIT, LIMIT);
}
END_TEST

START_TEST(accept_runs_for_listeners) {
    nd_settings.accept = LIMIT;
    ck_assert_int_eq(nd_wait_clock_left(sock, POLLIN), ND_NEVER);
    create(ND_SOCK_STREAM | ND_SOCK_INET | ND_SOCK_LISTENING);
    ck_assert_int_eq(nd_wait_clock_left(sock, POLLIN), LIMIT);
}
END_TEST

/* What `netdeadline ps` shows. */
static const struct {
    uint32_t flags;
    short wants;
    unsigned limit;
    nd_time left;
} bounds[] = {
    {TCP, 0, ND_LIMIT_NONE, ND_NEVER},
    {TCP, POLLIN, ND_LIMIT_RECV, 3 * ND_SEC},
    {TCP, POLLOUT, ND_LIMIT_SEND, 4 * ND_SEC},
    {TCP, POLLIN | POLLOUT, ND_LIMIT_RECV, 3 * ND_SEC},
    {TCP | ND_SOCK_INBOUND, POLLIN, ND_LIMIT_NONE, ND_NEVER},
    {TCP | ND_SOCK_INBOUND, POLLOUT, ND_LIMIT_UNACKED | ND_LIMIT_INBOUND, ND_NEVER},
    {ND_SOCK_STREAM | ND_SOCK_INET | ND_SOCK_CONNECTING, POLLOUT, ND_LIMIT_CONNECT, 2 * ND_SEC},
    {ND_SOCK_STREAM | ND_SOCK_INET | ND_SOCK_LISTENING, POLLIN, ND_LIMIT_ACCEPT, ND_NEVER},
};

START_TEST(what_bounds_a_wait) {
    nd_time deadline, left = bounds[_i].left;
    nd_settings.connect = 2 * ND_SEC;
    nd_settings.outbound.recv = 3 * ND_SEC;
    nd_settings.outbound.send = 4 * ND_SEC;
    nd_settings.inbound.unacked = 5 * ND_SEC;
    create(bounds[_i].flags);
    sock->connect_began = fake.now;
    ck_assert_uint_eq(nd_wait_clock_bound(sock, bounds[_i].wants, fake.now, &deadline), bounds[_i].limit);
    ck_assert_int_eq(deadline, left == ND_NEVER ? ND_NEVER : fake.now + left);
}
END_TEST

START_TEST(descriptors_of_one_socket_are_one_connection) {
    struct nd_connections connections = {0}, others = {.inet = 1, .streams = 1, .all = 1};
    struct nd_sock *local = nd_sock_created(FD + 1, ND_SOCK_STREAM | ND_SOCK_LOCAL | ND_SOCK_CONNECTED);
    struct nd_sock *idle = nd_sock_created(FD + 2, ND_SOCK_STREAM | ND_SOCK_INET);
    sock->group = 7;
    nd_connections_add(&connections, sock);
    nd_connections_add(&connections, sock);
    nd_connections_add(&connections, local);
    nd_connections_add(&connections, idle); /* not connected */
    ck_assert(connections.inet == 1 && connections.all == 2 && connections.streams == 2);
    ck_assert(nd_connections_is_only(&connections, sock));
    ck_assert(!nd_connections_is_only(&connections, local));
    nd_connections_join(&connections, &others);
    ck_assert(!nd_connections_is_only(&connections, sock));
    nd_sock_clear(FD + 1);
    nd_sock_clear(FD + 2);
}
END_TEST

START_TEST(a_wait_for_the_end_is_one_for_input) {
    ck_assert_int_eq(nd_wants_of(POLLRDHUP, POLLRDHUP), POLLRDHUP | POLLIN);
    ck_assert_int_eq(nd_wants_of(POLLRDHUP, POLLERR), POLLERR);
    ck_assert_int_eq(nd_wants_of(POLLOUT | POLLRDHUP, POLLRDHUP), POLLRDHUP);
}
END_TEST

void add_tests(TCase *tests) {
    tcase_add_checked_fixture(tests, start, NULL);
    tcase_add_test(tests, no_limit_never_runs);
    tcase_add_test(tests, waits_add_up_and_count_once);
    tcase_add_test(tests, recv_alone);
    tcase_add_test(tests, recv_of_an_accepted_socket_has_its_own_limit);
    tcase_add_loop_test(tests, recv_among_several, 0, COUNT(several));
    tcase_add_test(tests, bytes_received_without_a_wait_count);
    tcase_add_test(tests, a_request_has_the_whole_limit);
    tcase_add_loop_test(tests, sending_is_progress_of_a_wait_for_both, 0, 2);
    tcase_add_test(tests, unread_bytes_restart_recv);
    tcase_add_loop_test(tests, a_stale_record_restarts_recv, 0, 2);
    tcase_add_test(tests, recv_under_an_emulator);
    tcase_add_test(tests, recv_of_local_streams);
    tcase_add_test(tests, observed_recv_is_reported_and_ends_nothing);
    tcase_add_loop_test(tests, a_wait_for_space_is_checked_after_a_part_of_the_limit, 0, COUNT(firsts));
    tcase_add_test(tests, unacked_ends_a_wait_for_space);
    tcase_add_test(tests, a_check_of_unacked_that_fails_is_not_due_again_at_once);
    tcase_add_test(tests, acknowledgements_restart_unacked);
    tcase_add_test(tests, send_ends_a_wait_for_space);
    tcase_add_test(tests, space_restarts_send);
    tcase_add_test(tests, connect_ends_at_its_deadline);
    tcase_add_loop_test(tests, an_outcome_that_no_wait_has_shown, 0, COUNT(outcomes));
    tcase_add_test(tests, a_connect_under_an_unseen_number_is_dropped);
    tcase_add_loop_test(tests, a_wait_shows_the_outcome_of_a_connect, 0, COUNT(shown));
    tcase_add_test(tests, the_kernel_is_asked_for_the_outcome_of_a_connect);
    tcase_add_test(tests, an_operation_ends_at_its_deadline);
    tcase_add_test(tests, unread_bytes_give_an_operation_a_grace_period);
    tcase_add_loop_test(tests, no_grace_period, 0, 2);
    tcase_add_test(tests, a_connect_within_an_operation_has_the_sooner_deadline);
    tcase_add_test(tests, idle_counts_in_either_direction);
    tcase_add_test(tests, accept_runs_for_listeners);
    tcase_add_loop_test(tests, what_bounds_a_wait, 0, COUNT(bounds));
    tcase_add_test(tests, descriptors_of_one_socket_are_one_connection);
    tcase_add_test(tests, a_wait_for_the_end_is_one_for_input);
}
