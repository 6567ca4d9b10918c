#include "shim/limit/gone.h"

#include "tests/unit/unit.h"

static const nd_time now = 100000 * ND_SEC;

/* Data that was sent an hour and some ago, after two hours of silence: the last retransmission was a minute ago, and two
 * of them are as far apart as they get. */
static const struct nd_tcp_info at_the_longest = {
    .known = ND_TCP_TIMES,
    .state = 1, /* TCP_ESTABLISHED */
    .unacked = 1,
    .backoff = 15,
    .rto = 120 * ND_SEC,
    .last_data_sent = 60 * ND_SEC,
    .last_data_recv = 3 * 3600 * ND_SEC,
    .last_ack_recv = 3 * 3600 * ND_SEC,
};

START_TEST(the_kernel_tells_of_four_minutes) {
    struct nd_sock sock = {0};
    ck_assert_int_le(nd_gone_for(&sock, &at_the_longest, now), 240 * ND_SEC);
    ck_assert_int_ge(nd_gone_for(&sock, &at_the_longest, now), 170 * ND_SEC);
}
END_TEST

START_TEST(the_last_check_tells_of_more) {
    struct nd_sock sock = {.unacked_since = now - 3600 * ND_SEC};
    ck_assert_int_eq(nd_gone_for(&sock, &at_the_longest, now), 3600 * ND_SEC);
}
END_TEST

START_TEST(an_acknowledgement_since_then_counts) {
    struct nd_sock sock = {.unacked_since = now - 3600 * ND_SEC};
    struct nd_tcp_info info = at_the_longest;
    info.last_ack_recv = 300 * ND_SEC;
    ck_assert_int_le(nd_gone_for(&sock, &info, now), 240 * ND_SEC);
    info.unacked = 0;
    ck_assert_int_eq(nd_gone_for(&sock, &info, now), 0);
}
END_TEST

START_TEST(the_kernel_may_know_more_than_the_last_check) {
    struct nd_sock sock = {.unacked_since = now - ND_SEC};
    ck_assert_int_ge(nd_gone_for(&sock, &at_the_longest, now), 170 * ND_SEC);
}
END_TEST

/* Retransmissions can be spread over the limit only by a check that comes early. */
START_TEST(what_was_just_sent_is_checked_early) {
    struct nd_tcp_info info = {.unacked = 1, .last_data_sent = 50 * ND_MSEC};
    ck_assert_int_eq(nd_gone_next_check(&info, 50 * ND_MSEC, 4 * ND_SEC), 500 * ND_MSEC);
    ck_assert_int_eq(nd_gone_next_check(&info, 1 * ND_SEC, 4 * ND_SEC), 3 * ND_SEC);
    ck_assert_int_le(nd_gone_next_check(&info, 4 * ND_SEC, 4 * ND_SEC), 0);
}
END_TEST

START_TEST(a_connection_that_sends_is_checked_more_often) {
    struct nd_tcp_info info = {.last_data_sent = 300 * ND_MSEC};
    ck_assert_int_eq(nd_gone_next_check(&info, 0, 4 * ND_SEC), 500 * ND_MSEC);
    info.last_data_sent = 1 * ND_SEC;
    ck_assert_int_eq(nd_gone_next_check(&info, 0, 4 * ND_SEC), 4 * ND_SEC);
}
END_TEST

START_TEST(a_wait_brings_its_check_forward) {
    struct nd_sock sock = {.flags = ND_SOCK_STREAM | ND_SOCK_INET | ND_SOCK_CONNECTED,
                           .gone_check_at = now + 3 * ND_SEC};
    nd_settings.outbound.unacked = 4 * ND_SEC;
    nd_gone_wait_begins(&sock, now);
    ck_assert_int_eq(nd_gone_due(&sock, now), now + 500 * ND_MSEC);
    nd_gone_wait_begins(&sock, now + 400 * ND_MSEC);
    ck_assert_int_eq(nd_gone_due(&sock, now), now + 500 * ND_MSEC);
}
END_TEST

void add_tests(TCase *test_case);

void add_tests(TCase *test_case) {
    tcase_add_test(test_case, the_kernel_tells_of_four_minutes);
    tcase_add_test(test_case, the_last_check_tells_of_more);
    tcase_add_test(test_case, an_acknowledgement_since_then_counts);
    tcase_add_test(test_case, the_kernel_may_know_more_than_the_last_check);
    tcase_add_test(test_case, what_was_just_sent_is_checked_early);
    tcase_add_test(test_case, a_connection_that_sends_is_checked_more_often);
    tcase_add_test(test_case, a_wait_brings_its_check_forward);
}
