#include "resolver/dns_schedule.h"

#include "tests/unit/unit.h"

static struct nd_schedule schedule;

static void make(int servers, int timeout, int attempts, nd_time budget) {
    struct nd_resolv_conf conf = {.server_count = servers, .timeout_s = timeout, .attempts = attempts};
    nd_schedule_make(&schedule, &conf, 0, budget);
}

static nd_time total(void) {
    nd_time sum = 0;
    for (int i = 0; i < schedule.count; i++)
        sum += schedule.slots[i].wait;
    return sum;
}

/* 10, 20 and 28 s: what libc took on silent servers when measured. */
START_TEST(takes_libc_s_times_where_there_is_no_deadline) {
    make(1, 5, 2, ND_NEVER);
    ck_assert_int_eq(total(), 10 * ND_SEC);
    make(2, 5, 2, ND_NEVER);
    ck_assert_int_eq(total(), 20 * ND_SEC);
    make(3, 5, 2, ND_NEVER);
    ck_assert_int_eq(total(), 28 * ND_SEC);
    ck_assert_int_eq(schedule.slots[1].server, 1);
    ck_assert_int_eq(schedule.slots[3].server, 0);
}
END_TEST

START_TEST(asks_every_server_within_the_budget) {
    for (int servers = 1; servers <= 3; servers++)
        for (int attempts = 1; attempts <= 5; attempts++)
            for (nd_time budget = 100 * ND_MSEC; budget < 20 * ND_SEC; budget *= 3) {
                make(servers, 5, attempts, budget);
                nd_time at = 0;
                for (int i = 0; i < servers; i++)
                    at += schedule.slots[i].wait;
                ck_assert_int_le(total(), budget);
                ck_assert_int_le(at - schedule.slots[servers - 1].wait, budget * 2 / 3);
                if (servers > 1)
                    ck_assert_int_le(schedule.slots[0].wait, budget / 3);
            }
}
END_TEST

START_TEST(asks_for_the_first_time_as_soon_with_much_time_as_with_little) {
    nd_time waits[3];
    make(3, 5, 2, 5 * ND_SEC);
    for (int i = 0; i < 3; i++)
        waits[i] = schedule.slots[i].wait;
    make(3, 5, 2, 28 * ND_SEC);
    for (int i = 0; i < 3; i++)
        ck_assert_int_eq(schedule.slots[i].wait, waits[i]);
    ck_assert_int_eq(schedule.slots[3].wait, schedule.slots[3].full_wait);
}
END_TEST

START_TEST(tells_when_libc_would_ask) {
    const int seconds[] = {0, 5, 8, 14, 19, 22};
    make(3, 5, 2, 2 * ND_SEC);
    for (int i = 0; i < 6; i++)
        ck_assert_int_eq(schedule.slots[i].libc_start, seconds[i] * ND_SEC);
}
END_TEST

START_TEST(tells_how_long_libc_would_wait) {
    const int seconds[] = {0, 10, 20, 28};
    for (int servers = 1; servers <= 3; servers++) {
        struct nd_resolv_conf conf = {.server_count = servers, .timeout_s = 5, .attempts = 2};
        ck_assert_int_eq(nd_schedule_patience(&conf), seconds[servers] * ND_SEC);
        make(servers, 5, 2, ND_SEC);
        ck_assert_int_eq(nd_schedule_patience(&conf), schedule.full_length);
    }
}
END_TEST

START_TEST(short_timeouts_stay_as_they_are) {
    make(1, 1, 2, 5 * ND_SEC);
    ck_assert_int_eq(schedule.slots[0].wait, ND_SEC);
    ck_assert_int_eq(schedule.full_length, 2 * ND_SEC);
}
END_TEST

START_TEST(tcp_asks_each_once) {
    struct nd_resolv_conf conf = {.server_count = 2, .timeout_s = 5, .attempts = 4, .use_vc = true};
    nd_schedule_make(&schedule, &conf, 0, ND_NEVER);
    ck_assert_int_eq(schedule.count, 2);
}
END_TEST

START_TEST(rotates) {
    struct nd_resolv_conf conf = {.server_count = 3, .timeout_s = 1, .attempts = 1, .rotate = true};
    int last = -1;
    for (int i = 0; i < 6; i++) {
        nd_schedule_make(&schedule, &conf, 0, ND_NEVER);
        int first = schedule.slots[0].server;
        if (last >= 0)
            ck_assert_int_eq(first, (last + 1) % 3);
        last = first;
    }
}
END_TEST

START_TEST(odd_settings_do_no_harm) {
    make(1, -3, 0, 0);
    ck_assert_int_eq(schedule.count, 1);
    ck_assert_int_eq(total(), 0);
    make(3, 30, 5, -5);
    ck_assert_int_eq(total(), 0);
    ck_assert_int_eq(schedule.count, 15);
}
END_TEST

void add_tests(TCase *tests) {
    tcase_add_test(tests, takes_libc_s_times_where_there_is_no_deadline);
    tcase_add_test(tests, asks_every_server_within_the_budget);
    tcase_add_test(tests, asks_for_the_first_time_as_soon_with_much_time_as_with_little);
    tcase_add_test(tests, tells_when_libc_would_ask);
    tcase_add_test(tests, tells_how_long_libc_would_wait);
    tcase_add_test(tests, short_timeouts_stay_as_they_are);
    tcase_add_test(tests, tcp_asks_each_once);
    tcase_add_test(tests, rotates);
    tcase_add_test(tests, odd_settings_do_no_harm);
}
