#include "base/clock.h"

#include <errno.h>
#include <limits.h>

#include "tests/unit/unit.h"

START_TEST(goes_forward_and_keeps_errno) {
    errno = 7;
    nd_time first = nd_now(), coarse = nd_now_coarse(), second = nd_now();
    ck_assert_int_eq(errno, 7);
    ck_assert_int_gt(first, 0);
    ck_assert_int_le(first, second);
    ck_assert_int_le(coarse, second);
    ck_assert_int_lt(first - coarse, 20 * ND_MSEC);
}
END_TEST

START_TEST(a_deadline_never_overflows) {
    ck_assert_int_eq(nd_time_after(5, 7), 12);
    ck_assert_int_eq(nd_time_after(5, -7), -2);
    ck_assert_int_eq(nd_time_after(ND_SEC, ND_NEVER), ND_NEVER);
    ck_assert_int_eq(nd_time_after(ND_SEC, ND_NEVER - ND_SEC), ND_NEVER);
    ck_assert_int_eq(nd_time_after(ND_SEC, ND_NEVER - ND_SEC - 1), ND_NEVER - 1);
    ck_assert_int_eq(nd_time_after(ND_SEC, ND_NEVER - 1), ND_NEVER);
}
END_TEST

static const struct {
    nd_time deadline, now;
    int ms;
} polls[] = {
    {ND_NEVER, 0, -1},
    {ND_SEC, ND_SEC, 0},
    {ND_SEC, 2 * ND_SEC, 0},
    {ND_SEC, 0, 1000},
    {ND_SEC + 1, 0, 1001}, /* never early */
    {1, 0, 1},
    {(nd_time)INT_MAX * ND_MSEC + 1, 0, INT_MAX},
    {ND_NEVER / 2, 0, INT_MAX},
};

START_TEST(milliseconds_are_rounded_up) {
    ck_assert_int_eq(nd_time_poll_ms(polls[_i].deadline, polls[_i].now), polls[_i].ms);
}
END_TEST

void add_tests(TCase *tests) {
    tcase_add_test(tests, goes_forward_and_keeps_errno);
    tcase_add_test(tests, a_deadline_never_overflows);
    tcase_add_loop_test(tests, milliseconds_are_rounded_up, 0, (int)(sizeof polls / sizeof *polls));
}
