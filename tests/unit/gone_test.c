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

void add_tests(TCase *test_case);

void add_tests(TCase *test_case) {
    tcase_add_test(test_case, the_kernel_tells_of_four_minutes);
    tcase_add_test(test_case, the_last_check_tells_of_more);
    tcase_add_test(test_case, an_acknowledgement_since_then_counts);
    tcase_add_test(test_case, the_kernel_may_know_more_than_the_last_check);
}
