#include "resolver/resolv_conf.h"
#include "resolver/resolver.h"

#include "tests/unit/unit.h"

#define LIMIT (15 * ND_SEC - 1)

static struct nd_resolv_conf conf = {.server_count = 2, .timeout_s = 5, .attempts = 2}; /* libc: 20 s */
static int calls;

static void count(struct nd_lookup *lookup) {
    (void)lookup;
    calls++;
}

START_TEST(a_default_is_put_off_to_libc_s_patience) {
    struct nd_lookup lookup = {.limit = LIMIT, .longest = 30 * ND_SEC, .on_start = count};
    nd_time deadline = nd_lookup_deadline(&lookup);
    nd_lookup_extend(&lookup, &conf);
    ck_assert_int_eq(lookup.limit, 20 * ND_SEC);
    ck_assert_int_eq(lookup.deadline, deadline + 20 * ND_SEC - LIMIT);
    nd_lookup_extend(&lookup, &conf);
    ck_assert_int_eq(lookup.limit, 20 * ND_SEC);
    ck_assert_int_eq(calls, 2);
}
END_TEST

START_TEST(it_has_an_end) {
    struct nd_resolv_conf slow = {.server_count = 3, .timeout_s = 30, .attempts = 5};
    struct nd_lookup lookup = {.limit = LIMIT, .longest = 30 * ND_SEC};
    nd_lookup_extend(&lookup, &slow);
    ck_assert_int_eq(lookup.limit, 30 * ND_SEC);
}
END_TEST

START_TEST(a_default_is_not_shortened) {
    struct nd_resolv_conf quick = {.server_count = 1, .timeout_s = 1, .attempts = 1};
    struct nd_lookup lookup = {.limit = LIMIT, .longest = 30 * ND_SEC, .deadline = 7};
    nd_lookup_extend(&lookup, &quick);
    ck_assert(lookup.limit == LIMIT && lookup.deadline == 7);
}
END_TEST

START_TEST(what_the_operator_has_set_stays) {
    struct nd_lookup lookup = {.limit = LIMIT, .deadline = 7};
    nd_lookup_extend(&lookup, &conf);
    ck_assert(lookup.limit == LIMIT && lookup.deadline == 7);
}
END_TEST

void add_tests(TCase *tests) {
    tcase_add_test(tests, a_default_is_put_off_to_libc_s_patience);
    tcase_add_test(tests, it_has_an_end);
    tcase_add_test(tests, a_default_is_not_shortened);
    tcase_add_test(tests, what_the_operator_has_set_stays);
}
