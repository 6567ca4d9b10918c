#include "resolver/stale_cache.h"

#include <stdio.h>
#include <string.h>

#include "tests/unit/unit.h"

#define HOUR (3600 * ND_SEC)

/* An answer with one A record for "x". */
static struct nd_dns_message answer(unsigned char ttl[4]) {
    static uint8_t bytes[64];
    static const uint8_t text[] = {0, 0, 0x81, 0x80, 0, 1, 0, 1, 0, 0, 0, 0,    1, 'x', 0, 0, 1, 0,
                                   1, 1, 'x',  0,    0, 1, 0, 1, 0, 0, 0, 0x3c, 0, 4,   1, 2, 3, 4};
    memcpy(bytes, text, sizeof text);
    if (ttl)
        memcpy(bytes + 26, ttl, 4);
    return (struct nd_dns_message){.bytes = bytes, .size = sizeof text};
}

static void store(uint64_t state, const char *name, int type, nd_time now) {
    struct nd_dns_message answers[2] = {answer(NULL)};
    nd_stale_store(state, name, type, answers, now);
}

static bool has(uint64_t state, const char *name, int type, nd_time now) {
    struct nd_stale_answer *found = nd_stale_find(state, name, type, HOUR, now);
    nd_stale_put(found);
    return found;
}

START_TEST(an_answer_is_given_for_so_long_after_it_was_fresh) {
    store(1, "a", 1, 5 * ND_SEC);
    nd_time fresh = 65 * ND_SEC;
    ck_assert(has(1, "a", 1, 6 * ND_SEC));
    ck_assert(has(1, "a", 1, fresh + HOUR - 1));
    ck_assert(!has(1, "a", 1, fresh + HOUR));
    ck_assert(!has(1, "a", 28, 6 * ND_SEC));
    ck_assert(!has(1, "b", 1, 6 * ND_SEC));
}
END_TEST

START_TEST(the_copy_is_its_own) {
    struct nd_dns_message answers[2] = {answer(NULL)};
    nd_stale_store(1, "a", 1, answers, 0);
    answers[0].bytes[35] = 9;
    struct nd_stale_answer *found = nd_stale_find(1, "a", 1, HOUR, 0);
    ck_assert_ptr_nonnull(found);
    store(1, "a", 1, 1);
    ck_assert_uint_eq(found->messages[0].bytes[35], 4);
    ck_assert_int_eq(found->stored, 0);
    ck_assert_ptr_null(found->messages[1].bytes);
    nd_stale_put(found);
}
END_TEST

START_TEST(a_time_to_live_with_the_highest_bit_is_none) {
    struct nd_dns_message answers[2] = {answer((unsigned char[]){0x80, 0, 0, 1})};
    nd_stale_store(1, "a", 1, answers, 0);
    ck_assert(has(1, "a", 1, HOUR - 1) && !has(1, "a", 1, HOUR));
}
END_TEST

START_TEST(all_is_forgotten_where_a_file_has_changed) {
    store(1, "a", 1, 0);
    store(1, "b", 1, 0);
    ck_assert(!has(2, "a", 1, 0));
    ck_assert(!has(1, "b", 1, 0));
    store(1, "a", 1, 0); /* the file changed while this was asked */
    ck_assert(!has(2, "a", 1, 0));
}
END_TEST

START_TEST(a_name_can_be_forgotten) {
    store(1, "a", 1, 0);
    store(1, "a", 28, 0);
    nd_stale_forget("a", 1);
    nd_stale_forget("none", 1);
    ck_assert(!has(1, "a", 1, 0) && has(1, "a", 28, 0));
}
END_TEST

START_TEST(it_is_bounded_and_the_newest_stay) {
    char name[16];
    int there = 0;
    for (int i = 0; i < 2000; i++) {
        snprintf(name, sizeof name, "n%d", i);
        store(1, name, 1, i);
    }
    ck_assert(has(1, "n1999", 1, 0));
    for (int i = 0; i < 2000; i++) {
        snprintf(name, sizeof name, "n%d", i);
        there += has(1, name, 1, 0);
    }
    ck_assert_int_le(there, 256);
    ck_assert_int_ge(there, 128);
    static uint8_t large[4097];
    nd_stale_store(1, "large", 1, (struct nd_dns_message[2]){{.bytes = large, .size = sizeof large}}, 0);
    ck_assert(!has(1, "large", 1, 0));
}
END_TEST

void add_tests(TCase *tests) {
    tcase_add_test(tests, an_answer_is_given_for_so_long_after_it_was_fresh);
    tcase_add_test(tests, the_copy_is_its_own);
    tcase_add_test(tests, a_time_to_live_with_the_highest_bit_is_none);
    tcase_add_test(tests, all_is_forgotten_where_a_file_has_changed);
    tcase_add_test(tests, a_name_can_be_forgotten);
    tcase_add_test(tests, it_is_bounded_and_the_newest_stay);
}
