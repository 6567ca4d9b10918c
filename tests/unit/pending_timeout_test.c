#include "shim/limit/pending_timeout.h"

#include <poll.h>
#include <stdlib.h>

#include "shim/limit/datagram.h"
#include "shim/mode.h"
#include "shim/real.h"
#include "shim/settings/settings.h"
#include "shim/socket/change.h"
#include "tests/unit/fake_kernel.h"
#include "tests/unit/unit.h"

#define FD 700
#define RECV (2 * ND_SEC)

static struct nd_sock *sock;
static bool data;
static const struct nd_connections none, alone = {.inet = 1, .all = 1}, two = {.inet = 2, .all = 2},
                                         streams = {.inet = 1, .streams = 1, .all = 1};

static int fake_poll(struct pollfd *fds, nfds_t count, int timeout) {
    (void)count, (void)timeout;
    fds->revents = data ? POLLIN : 0;
    return data;
}

static void start(void) {
    fake_start();
    nd_settings.outbound.recv = nd_settings.accept = RECV;
    nd_real.poll = fake_poll;
    *fake_option(SOL_SOCKET, SO_TYPE) =
        (struct fake_option){.level = SOL_SOCKET, .name = SO_TYPE, .value.tv_sec = SOCK_DGRAM};
    data = false;
    nd_observing = false;
    sock = nd_sock_created(FD, ND_SOCK_INET);
}

/* A wait of this length, after which the socket is looked at. */
static bool waits(nd_time length, const struct nd_connections *connections) {
    unsigned told = fake.told;
    nd_wait_clock_add(sock, POLLIN, fake.now, fake.now + length);
    fake.now += length;
    nd_pending_timeout_check("poll", FD, sock, POLLIN, connections, fake.now);
    return fake.told > told;
}

START_TEST(who_owes_nothing_is_left_alone) {
    ck_assert(!waits(RECV, &none));
    nd_datagram_connected(FD, sock, true);
    ck_assert(!waits(RECV, &two));
}
END_TEST

START_TEST(the_only_connected_one_is_late) {
    nd_datagram_connected(FD, sock, true);
    ck_assert(!waits(RECV / 2, &alone));
    ck_assert(waits(RECV / 2, &alone));
    ck_assert_str_eq(fake.last.limit, "RECV");
    ck_assert_int_eq(fake.last.elapsed, RECV);
    ck_assert(nd_pending_timeout_shows(sock, POLLIN));
    ck_assert(!nd_pending_timeout_shows(sock, POLLOUT));
    ck_assert(nd_pending_timeout_take(FD, sock));
    ck_assert(!nd_pending_timeout_take(FD, sock));
    ck_assert(waits(RECV, &alone));
}
END_TEST

START_TEST(a_debt_runs_from_the_question) {
    nd_datagram_connected(FD, sock, true);
    ck_assert(!waits(RECV - ND_SEC, &two));
    nd_datagram_sent(FD, sock, NULL, 0);
    ck_assert(!waits(ND_SEC, &two));
    nd_datagram_sent(FD, sock, NULL, 0); /* asking again does not put it off */
    ck_assert(waits(RECV - ND_SEC, &two));
}
END_TEST

START_TEST(an_answer_pays_it) {
    nd_datagram_sent(FD, sock, NULL, 0);
    ck_assert(!waits(RECV - 1, &none));
    nd_datagram_received(FD, sock);
    ck_assert(!waits(RECV, &none));
}
END_TEST

/* The clock of an epoll set is brought up to date after the datagram was read. */
START_TEST(an_answer_counts_when_it_came) {
    nd_datagram_connected(FD, sock, true);
    fake.now += RECV;
    nd_datagram_received(FD, sock);
    fake.now -= RECV;
    ck_assert(!waits(RECV + ND_SEC, &alone));
    ck_assert(waits(RECV - ND_SEC, &alone));
}
END_TEST

START_TEST(what_has_come_is_no_silence) {
    nd_datagram_sent(FD, sock, NULL, 0);
    data = true;
    ck_assert(!waits(RECV, &none));
}
END_TEST

START_TEST(another_thing_under_the_number_is_left_alone) {
    nd_datagram_sent(FD, sock, NULL, 0);
    fake_option(SOL_SOCKET, SO_TYPE)->value.tv_sec = SOCK_STREAM;
    ck_assert(!waits(RECV, &none));
}
END_TEST

START_TEST(observed_ones_are_told_of_only) {
    nd_observing = true;
    nd_datagram_sent(FD, sock, NULL, 0);
    ck_assert(waits(RECV, &none));
    ck_assert(!nd_pending_timeout_shows(sock, POLLIN));
}
END_TEST

START_TEST(a_listener_is_late_where_no_connection_is_waited_for) {
    sock = nd_sock_created(FD, ND_SOCK_STREAM | ND_SOCK_INET | ND_SOCK_LISTENING);
    ck_assert(!waits(RECV, &streams));
    ck_assert(waits(RECV, &alone)); /* beside a datagram socket */
    ck_assert_str_eq(fake.last.limit, "ACCEPT");
    ck_assert(nd_pending_timeout_take(FD, sock));
}
END_TEST

void add_tests(TCase *tests) {
    tcase_add_checked_fixture(tests, start, NULL);
    tcase_add_test(tests, who_owes_nothing_is_left_alone);
    tcase_add_test(tests, the_only_connected_one_is_late);
    tcase_add_test(tests, a_debt_runs_from_the_question);
    tcase_add_test(tests, an_answer_pays_it);
    tcase_add_test(tests, an_answer_counts_when_it_came);
    tcase_add_test(tests, what_has_come_is_no_silence);
    tcase_add_test(tests, another_thing_under_the_number_is_left_alone);
    tcase_add_test(tests, observed_ones_are_told_of_only);
    tcase_add_test(tests, a_listener_is_late_where_no_connection_is_waited_for);
}
