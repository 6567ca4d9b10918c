#include "shim/socket/retransmit.h"

#include "tests/unit/unit.h"

/* By default the kernel makes 15 retransmissions. */
START_TEST(gives_up_after_the_limit) {
    ck_assert_int_eq(nd_retransmit_longest(60 * ND_SEC, 15), 4900); /* 6.2 s, then 11 times 4.9 s */
    ck_assert_int_eq(nd_retransmit_longest(20 * ND_SEC, 15), 1500); /* 1.4 s, then 13 times 1.5 s */
}
END_TEST

START_TEST(gives_up_no_sooner_than_the_kernel_can) {
    ck_assert_int_eq(nd_retransmit_longest(3 * ND_SEC, 15), 1000);
}
END_TEST

START_TEST(leaves_a_kernel_alone_that_gives_up_sooner) {
    ck_assert_int_eq(nd_retransmit_longest(3600 * ND_SEC, 15), 0);
    ck_assert_int_eq(nd_retransmit_longest(60 * ND_SEC, 5), 0); /* 12.6 s */
    ck_assert_int_eq(nd_retransmit_longest(60 * ND_SEC, 0), 0); /* not known */
}
END_TEST

START_TEST(counts_fewer_retransmissions) {
    ck_assert_int_eq(nd_retransmit_longest(60 * ND_SEC, 8), 17300); /* 25.4 s, then twice 17.3 s */
}
END_TEST

/* After 0.2, 0.4 and 0.8 s, the last of which is to come in half a second. */
static const struct nd_tcp_info silent = {.known = ND_TCP_TIMES,
                                          .state = 1,
                                          .unacked = 1,
                                          .backoff = 2,
                                          .rto = 800 * ND_MSEC,
                                          .last_data_sent = 300 * ND_MSEC};

START_TEST(spreads_what_is_left) {
    /* The next after 1.4 s; then 3.6 s are left, of which a little is kept for late timers. */
    ck_assert_int_eq(nd_retransmit_spread(&silent, 900 * ND_MSEC, 5 * ND_SEC, 1000), 1162);
    ck_assert_int_eq(nd_retransmit_spread(&silent, 900 * ND_MSEC, 20 * ND_SEC, 1600), 1638);
}
END_TEST

/* The time between two grows to the shortest that the kernel may be given first. */
START_TEST(spreads_what_is_left_of_a_long_limit) {
    const int ms = nd_retransmit_spread(&silent, 900 * ND_MSEC, 60 * ND_SEC, 5000);
    ck_assert_int_ge(ms, 5000);
    ck_assert_int_lt(ms, 6000);
}
END_TEST

START_TEST(makes_none_sooner_than_the_kernel_can) {
    ck_assert_int_eq(nd_retransmit_spread(&silent, 900 * ND_MSEC, 2 * ND_SEC, 1000), 1000);
}
END_TEST

START_TEST(leaves_long_round_trips_alone) {
    struct nd_tcp_info far = silent;
    far.rto = 4 * 600 * ND_MSEC;
    ck_assert_int_eq(nd_retransmit_spread(&far, 900 * ND_MSEC, 10 * ND_SEC, 1000), 0);
    ck_assert_int_ne(nd_retransmit_spread(&far, 900 * ND_MSEC, 10 * ND_SEC, 1200), 0);
}
END_TEST

void add_tests(TCase *test_case);

void add_tests(TCase *test_case) {
    tcase_add_test(test_case, gives_up_after_the_limit);
    tcase_add_test(test_case, gives_up_no_sooner_than_the_kernel_can);
    tcase_add_test(test_case, leaves_a_kernel_alone_that_gives_up_sooner);
    tcase_add_test(test_case, counts_fewer_retransmissions);
    tcase_add_test(test_case, spreads_what_is_left);
    tcase_add_test(test_case, spreads_what_is_left_of_a_long_limit);
    tcase_add_test(test_case, makes_none_sooner_than_the_kernel_can);
    tcase_add_test(test_case, leaves_long_round_trips_alone);
}
