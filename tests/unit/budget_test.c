#include "shim/socket/budget.h"

#include <string.h>
#include <sys/socket.h>

#include "tests/unit/unit.h"

#define NOW (1000 * ND_SEC)
#define LIMIT (15 * ND_SEC)

enum { NAME = 7, THREAD = 1, OTHER = 2 };

static struct nd_budget budget;
static unsigned others;

/* The lookup of a name with so many addresses, 100 and up, that took a second and is over at NOW. */
static void look_up(unsigned addresses) {
    budget = nd_budget_of_lookup(NAME, THREAD, NOW - ND_SEC);
    for (unsigned i = 0; i < addresses; i++)
        nd_budget_add(&budget, 100 + i);
    budget.families = nd_budget_family(AF_INET);
    budget.found = budget.until = NOW;
}

/* A connect to an address. Returns its deadline, or 0 where it is refused. */
static nd_time attempt(int address, nd_time now) {
    const bool goes_on = nd_budget_attempt(&budget, address, THREAD, LIMIT, now, &others);
    return goes_on ? now + nd_budget_share(budget.began + LIMIT - now, others) : 0;
}

/* Connects to a dead address at `now`. Returns when that is over. */
static nd_time die(int address, nd_time now) {
    const nd_time ended = attempt(address, now);
    ck_assert_int_gt(ended, now);
    nd_budget_failed(&budget, budget.attempts, ended);
    return ended;
}

static const struct {
    nd_time left, share;
    unsigned others;
} shares[] = {
    {15 * ND_SEC, 15 * ND_SEC, 0},    {15 * ND_SEC, 7500 * ND_MSEC, 1}, {15 * ND_SEC, 5 * ND_SEC, 2},
    {15 * ND_SEC, 2500 * ND_MSEC, 5}, {15 * ND_SEC, 2 * ND_SEC, 9},     {3 * ND_SEC, 1500 * ND_MSEC, 5},
    {4 * ND_MSEC, 2 * ND_MSEC, 31},
};

START_TEST(no_address_has_more_than_half_while_others_are_left) {
    ck_assert_int_eq(nd_budget_share(shares[_i].left, shares[_i].others), shares[_i].share);
}
END_TEST

START_TEST(dead_addresses_have_the_limit_together) {
    look_up(6);
    nd_time now = NOW;
    for (int i = 0; i < 6; i++)
        now = die(i, now);
    ck_assert_int_eq(now, NOW - ND_SEC + LIMIT);
    ck_assert_int_eq(others, 0);
}
END_TEST

START_TEST(order_does_not_matter) {
    look_up(3);
    nd_time now = die(2, die(0, die(1, NOW)));
    ck_assert_int_eq(now, NOW - ND_SEC + LIMIT);
}
END_TEST

START_TEST(a_second_connect_to_an_address_is_part_of_it) {
    look_up(2);
    nd_time now = die(0, NOW);
    now = die(0, now); /* another port, say: the other address still has its half */
    ck_assert_int_eq(others, 1);
    ck_assert_int_eq(die(1, now), NOW - ND_SEC + LIMIT);
}
END_TEST

START_TEST(what_is_used_up_refuses_each_address_once) {
    look_up(2);
    nd_time now = die(1, die(0, NOW));
    ck_assert_int_eq(attempt(0, now), 0);
    ck_assert_int_eq(attempt(1, now + ND_MSEC), 0);
    ck_assert_int_eq(attempt(0, now + 2 * ND_MSEC), now + 2 * ND_MSEC + LIMIT / 2);
}
END_TEST

START_TEST(a_pause_ends_it) {
    look_up(2);
    nd_time now = die(0, NOW);
    ck_assert_int_eq(nd_budget_rank(&budget, THREAD, now + ND_BUDGET_PAUSE), ND_BUDGET_OWN);
    now += ND_BUDGET_PAUSE + 1;
    ck_assert_int_eq(nd_budget_rank(&budget, THREAD, now), ND_BUDGET_UNFIT);
    ck_assert_int_eq(attempt(1, now), now + LIMIT / 2);
    ck_assert_int_eq(budget.began, now);
}
END_TEST

START_TEST(a_pause_after_it_is_used_up_ends_it) {
    look_up(1);
    nd_time now = die(0, NOW);
    ck_assert_int_eq(attempt(0, now + ND_BUDGET_PAUSE + 1), now + ND_BUDGET_PAUSE + 1 + LIMIT);
}
END_TEST

START_TEST(a_stale_lookup_does_not_count) {
    look_up(1);
    ck_assert_int_eq(attempt(0, NOW + 60 * ND_SEC), NOW + 60 * ND_SEC + LIMIT);
}
END_TEST

START_TEST(the_time_before_the_first_connect_does_not_count) {
    look_up(1);
    ck_assert_int_eq(attempt(0, NOW + 1900 * ND_MSEC), NOW + 1900 * ND_MSEC - ND_SEC + LIMIT);
}
END_TEST

START_TEST(a_connection_ends_it) {
    look_up(2);
    attempt(0, NOW);
    nd_budget_succeeded(&budget);
    ck_assert_int_eq(nd_budget_rank(&budget, THREAD, NOW), ND_BUDGET_UNFIT);
    ck_assert_int_eq(attempt(1, NOW + ND_MSEC), NOW + ND_MSEC + LIMIT / 2);
}
END_TEST

START_TEST(an_expired_handshake_takes_that_back) {
    look_up(2);
    attempt(0, NOW);
    nd_budget_succeeded(&budget);
    nd_budget_reopen(&budget, NOW - ND_SEC + LIMIT);
    ck_assert_int_eq(attempt(1, NOW - ND_SEC + LIMIT), 0);
}
END_TEST

START_TEST(connects_side_by_side) {
    look_up(2);
    ck_assert_int_eq(attempt(0, NOW), NOW + 7 * ND_SEC);
    const uint64_t first = budget.attempts;
    ck_assert_int_eq(attempt(1, NOW + 200 * ND_MSEC), NOW - ND_SEC + LIMIT);
    nd_budget_failed(&budget, first, NOW + ND_SEC); /* the second one goes on */
    ck_assert_int_eq(nd_budget_rank(&budget, THREAD, NOW + 10 * ND_SEC), ND_BUDGET_OWN);
}
END_TEST

START_TEST(threads) {
    look_up(1);
    ck_assert_int_eq(nd_budget_rank(&budget, OTHER, NOW), ND_BUDGET_FRESH);
    nd_budget_attempt(&budget, 0, OTHER, LIMIT, NOW, &others);
    ck_assert_int_eq(nd_budget_rank(&budget, OTHER, NOW), ND_BUDGET_CONTINUED);
    ck_assert_int_eq(nd_budget_rank(&budget, 3, NOW), ND_BUDGET_UNFIT);
    ck_assert_int_eq(nd_budget_rank(&budget, THREAD, NOW), ND_BUDGET_OWN);
}
END_TEST

START_TEST(lookups_of_two_families_are_one_establishment) {
    look_up(1);
    ck_assert(nd_budget_continues(&budget, AF_INET6, NOW));
    ck_assert(!nd_budget_continues(&budget, AF_INET, NOW));
    ck_assert(!nd_budget_continues(&budget, AF_INET6, NOW + ND_BUDGET_PAUSE + 1));
    attempt(0, NOW);
    ck_assert(!nd_budget_continues(&budget, AF_INET6, NOW));
}
END_TEST

START_TEST(addresses_count_once_and_have_an_end) {
    look_up(2);
    nd_budget_add(&budget, 100);
    ck_assert_uint_eq(budget.count, 2);
    for (unsigned i = 0; i < 2 * ND_BUDGET_ADDRESSES; i++)
        nd_budget_add(&budget, 1000 + i);
    ck_assert_uint_eq(budget.count, ND_BUDGET_ADDRESSES);
    ck_assert_int_eq(nd_budget_find(&budget, 101), 1);
    ck_assert_int_eq(nd_budget_find(&budget, 5000), -1);
    attempt(ND_BUDGET_ADDRESSES - 1, NOW);
    ck_assert_int_eq(others, ND_BUDGET_ADDRESSES - 1);
}
END_TEST

void add_tests(TCase *tests) {
    tcase_add_loop_test(tests, no_address_has_more_than_half_while_others_are_left, 0,
                        (int)(sizeof shares / sizeof shares[0]));
    tcase_add_test(tests, dead_addresses_have_the_limit_together);
    tcase_add_test(tests, order_does_not_matter);
    tcase_add_test(tests, a_second_connect_to_an_address_is_part_of_it);
    tcase_add_test(tests, what_is_used_up_refuses_each_address_once);
    tcase_add_test(tests, a_pause_ends_it);
    tcase_add_test(tests, a_pause_after_it_is_used_up_ends_it);
    tcase_add_test(tests, a_stale_lookup_does_not_count);
    tcase_add_test(tests, the_time_before_the_first_connect_does_not_count);
    tcase_add_test(tests, a_connection_ends_it);
    tcase_add_test(tests, an_expired_handshake_takes_that_back);
    tcase_add_test(tests, connects_side_by_side);
    tcase_add_test(tests, threads);
    tcase_add_test(tests, lookups_of_two_families_are_one_establishment);
    tcase_add_test(tests, addresses_count_once_and_have_an_end);
}
