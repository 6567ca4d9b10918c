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

void add_tests(TCase *test_case);

void add_tests(TCase *test_case) {
    tcase_add_test(test_case, gives_up_after_the_limit);
    tcase_add_test(test_case, gives_up_no_sooner_than_the_kernel_can);
    tcase_add_test(test_case, leaves_a_kernel_alone_that_gives_up_sooner);
    tcase_add_test(test_case, counts_fewer_retransmissions);
}
