#include "shim/limit/send_space.h"

#include <stdlib.h>

#include "shim/settings/settings.h"
#include "shim/socket/change.h"
#include "tests/unit/fake_kernel.h"
#include "tests/unit/unit.h"

#define FD 700
#define BEGAN (1000 * ND_SEC)

static struct nd_sock *sock;
static struct nd_send_space space;
static struct nd_expiry expiry;
static nd_time next;

static void start(void) {
    fake_start();
    sock = nd_sock_created(FD, ND_SOCK_STREAM | ND_SOCK_INET | ND_SOCK_CONNECTED);
}

static bool check_at(nd_time after) {
    return nd_send_space_check(FD, sock, &space, BEGAN + after, &expiry, &next);
}

static void answered_ago(nd_time time) {
    fake.info.tcpi_last_ack_recv = (uint32_t)(time / ND_MSEC);
}

START_TEST(nothing_fires_without_limits) {
    fake.info.tcpi_unacked = 5;
    space = nd_send_space_begin(FD, BEGAN);
    ck_assert(!check_at(3600 * ND_SEC));
    ck_assert_int_eq(next, ND_NEVER);
}
END_TEST

START_TEST(a_gone_peer_fires_at_the_limit) {
    nd_settings.outbound.unacked = 10 * ND_SEC;
    fake.info.tcpi_unacked = 5;
    space = nd_send_space_begin(FD, BEGAN);
    answered_ago(10 * ND_SEC - ND_MSEC);
    ck_assert(!check_at(10 * ND_SEC - ND_MSEC));
    ck_assert_int_eq(next, BEGAN + 10 * ND_SEC);
    answered_ago(10 * ND_SEC);
    ck_assert(check_at(10 * ND_SEC));
    ck_assert_str_eq(expiry.limit, "UNACKED");
    ck_assert_int_eq(expiry.timeout, 10 * ND_SEC);
    ck_assert_int_eq(expiry.elapsed, 10 * ND_SEC);
}
END_TEST

START_TEST(an_inbound_peer_has_its_own_limit) {
    nd_settings.inbound.unacked = 2 * ND_SEC;
    sock = nd_sock_created(FD, ND_SOCK_STREAM | ND_SOCK_INET | ND_SOCK_CONNECTED | ND_SOCK_INBOUND);
    fake.info.tcpi_unacked = 1;
    space = nd_send_space_begin(FD, BEGAN);
    answered_ago(2 * ND_SEC);
    ck_assert(check_at(2 * ND_SEC));
    ck_assert_str_eq(expiry.limit, "INBOUND_UNACKED");
}
END_TEST

START_TEST(an_answer_starts_unacked_anew) {
    nd_settings.outbound.unacked = 10 * ND_SEC;
    fake.info.tcpi_unacked = 5;
    space = nd_send_space_begin(FD, BEGAN);
    answered_ago(ND_SEC);
    ck_assert(!check_at(9 * ND_SEC));
    answered_ago(2 * ND_SEC);
    ck_assert(!check_at(10 * ND_SEC));
    answered_ago(11 * ND_SEC);
    ck_assert(check_at(19 * ND_SEC));
}
END_TEST

START_TEST(what_was_answered_is_not_held_against_the_next) {
    nd_settings.outbound.unacked = 10 * ND_SEC;
    fake.info.tcpi_unacked = 5;
    space = nd_send_space_begin(FD, BEGAN);
    fake.info.tcpi_unacked = 0;
    ck_assert(!check_at(ND_SEC));
    fake.info.tcpi_unacked = 1; /* sent just now, after a long silence */
    answered_ago(12 * ND_SEC);
    ck_assert(!check_at(12 * ND_SEC));
    answered_ago(22 * ND_SEC);
    ck_assert(check_at(22 * ND_SEC));
}
END_TEST

/* Between probes nothing is outstanding, however long the window is closed. */
START_TEST(a_closed_window_with_answered_probes_lives) {
    nd_settings.outbound.unacked = 10 * ND_SEC;
    space = nd_send_space_begin(FD, BEGAN);
    for (nd_time after = 0; after < 600 * ND_SEC; after += ND_SEC) {
        answered_ago(120 * ND_SEC);
        ck_assert(!check_at(after));
        ck_assert_int_gt(next, BEGAN + after);
    }
}
END_TEST

/* backoff, RTO in ms, probes: whether the silence after them counts */
static const struct {
    unsigned probes, backoff, rto_ms;
    bool counts;
} probing[] = {
    {0, 3, 200, false}, {1, 1, 200, false}, {1, 2, 200, false}, {1, 3, 200, true},
    {1, 0, 800, false}, {2, 1, 200, true},  {5, 6, 200, true},  {1, 40, 200, false},
};

START_TEST(unanswered_probes_count) {
    nd_settings.outbound.unacked = 10 * ND_SEC;
    fake.info.tcpi_probes = (uint8_t)probing[_i].probes;
    fake.info.tcpi_backoff = (uint8_t)probing[_i].backoff;
    fake.info.tcpi_rto = probing[_i].rto_ms * 1000;
    fake.info.tcpi_last_data_sent = 70000; /* what filled the window */
    space = nd_send_space_begin(FD, BEGAN);
    answered_ago(60 * ND_SEC);
    ck_assert_int_eq(check_at(10 * ND_SEC), probing[_i].counts);
}
END_TEST

START_TEST(send_fires_though_the_peer_is_alive) {
    nd_settings.outbound.send = 3 * ND_SEC;
    fake.queued = 1000;
    space = nd_send_space_begin(FD, BEGAN);
    ck_assert(!check_at(3 * ND_SEC - 1));
    ck_assert(check_at(3 * ND_SEC));
    ck_assert_str_eq(expiry.limit, "SEND");
    ck_assert_int_eq(expiry.elapsed, 3 * ND_SEC);
}
END_TEST

START_TEST(a_shrinking_queue_is_progress) {
    nd_settings.outbound.send = 3 * ND_SEC;
    fake.queued = 1000;
    space = nd_send_space_begin(FD, BEGAN);
    fake.queued = 999;
    ck_assert(!check_at(2 * ND_SEC));
    ck_assert(!check_at(4 * ND_SEC));
    ck_assert(check_at(5 * ND_SEC));
}
END_TEST

START_TEST(checks_are_neither_rare_nor_frequent) {
    nd_settings.outbound.unacked = 60 * ND_SEC;
    fake.info.tcpi_unacked = 1;
    space = nd_send_space_begin(FD, BEGAN);
    check_at(0);
    ck_assert_int_eq(next, BEGAN + ND_SEC);
    nd_settings.outbound.unacked = 40 * ND_MSEC;
    check_at(0);
    ck_assert_int_eq(next, BEGAN + 20 * ND_MSEC);
}
END_TEST

/* Its number was given to something else: nothing is known, nothing fires. */
START_TEST(no_tcp_never_fires_unacked) {
    nd_settings.outbound.unacked = 10 * ND_SEC;
    fake.info.tcpi_unacked = 1;
    fake.info_fails = true;
    space = nd_send_space_begin(FD, BEGAN);
    errno = 7;
    ck_assert(!check_at(100 * ND_SEC));
    ck_assert_int_eq(errno, 7);
}
END_TEST

/* An emulator passes on how many probes went out, but not when the last was answered. */
START_TEST(a_short_answer_never_fires_unacked) {
    nd_settings.outbound.unacked = 10 * ND_SEC;
    fake.info.tcpi_unacked = 1;
    fake.info.tcpi_probes = 2;
    fake.info_length = 4;
    space = nd_send_space_begin(FD, BEGAN);
    ck_assert_int_eq(space.unacked_since, -1);
    ck_assert(!check_at(100 * ND_SEC));
}
END_TEST

START_TEST(local_streams_have_no_unacked) {
    nd_settings.outbound.unacked = 10 * ND_SEC;
    sock = nd_sock_created(FD, ND_SOCK_STREAM | ND_SOCK_LOCAL | ND_SOCK_CONNECTED);
    fake.info.tcpi_unacked = 1;
    space = nd_send_space_begin(FD, BEGAN);
    ck_assert(!check_at(100 * ND_SEC));
    ck_assert_int_eq(next, ND_NEVER);
}
END_TEST

void add_tests(TCase *tests) {
    tcase_add_checked_fixture(tests, start, NULL);
    tcase_add_test(tests, nothing_fires_without_limits);
    tcase_add_test(tests, a_gone_peer_fires_at_the_limit);
    tcase_add_test(tests, an_inbound_peer_has_its_own_limit);
    tcase_add_test(tests, an_answer_starts_unacked_anew);
    tcase_add_test(tests, what_was_answered_is_not_held_against_the_next);
    tcase_add_test(tests, a_closed_window_with_answered_probes_lives);
    tcase_add_loop_test(tests, unanswered_probes_count, 0, (int)(sizeof probing / sizeof *probing));
    tcase_add_test(tests, send_fires_though_the_peer_is_alive);
    tcase_add_test(tests, a_shrinking_queue_is_progress);
    tcase_add_test(tests, checks_are_neither_rare_nor_frequent);
    tcase_add_test(tests, no_tcp_never_fires_unacked);
    tcase_add_test(tests, a_short_answer_never_fires_unacked);
    tcase_add_test(tests, local_streams_have_no_unacked);
}
