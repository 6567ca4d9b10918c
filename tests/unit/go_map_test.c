#include "cli/process/go_map.h"

#include <string.h>
#include <unistd.h>

#include "tests/unit/unit.h"

/* Maps as runtimes of Go lay them out, in this process's own memory. */
enum { BUCKET = 14, FIRST_ELEMENT = 5, NEXT = 13, GROUP = 17 };

static uint64_t map[6], array[64 * GROUP], more[BUCKET], tables[4][4], directory[8];
static uint64_t holder[4], stream[8], stranger[8];

static uint64_t at(const void *address) {
    return (uint64_t)(uintptr_t)address;
}

static bool is_found(void) {
    return go_map_has_elements_of(getpid(), at(map), at(holder));
}

static void start(void) {
    memset(map, 0, sizeof map);
    memset(array, 0, sizeof array);
    memset(more, 0, sizeof more);
    memset(tables, 0, sizeof tables);
    memset(stranger, 0, sizeof stranger);
    stream[3] = at(holder);
    map[0] = 1;
    map[2] = at(array);
}

/* Until Go 1.23, with two to the power of `log` buckets; the seed of its hashes is above. */
static void start_buckets(unsigned log) {
    start();
    map[1] = (uint64_t)0xfedcba98 << 32 | (uint64_t)log << 8;
}

START_TEST(the_last_of_many_buckets_counts) {
    start_buckets(5);
    ck_assert(!is_found());
    array[31 * BUCKET + FIRST_ELEMENT + 7] = at(stream);
    ck_assert(is_found());
    map[0] = 0;
    ck_assert(!is_found());
}
END_TEST

START_TEST(a_bucket_that_overflows_goes_on_in_another) {
    start_buckets(1);
    array[BUCKET + NEXT] = at(more);
    ck_assert(!is_found());
    more[FIRST_ELEMENT] = at(stream);
    ck_assert(is_found());
    more[FIRST_ELEMENT] = 0;
    more[NEXT] = at(more); /* memory may have anything in it, also a circle */
    ck_assert(!is_found());
}
END_TEST

START_TEST(while_a_map_grows_its_old_buckets_count) {
    start_buckets(2);
    map[3] = at(array + 32 * BUCKET);
    array[34 * BUCKET + FIRST_ELEMENT] = at(stream);
    ck_assert(!is_found()); /* there were two before */
    map[1] |= 8;            /* it grows for order's sake: there were four */
    ck_assert(is_found());
}
END_TEST

/* Since Go 1.24, whose second word is random. */
static void start_groups(void) {
    start();
    map[1] = 0xfedcba9876543210;
}

START_TEST(a_small_map_is_one_group) {
    start_groups();
    ck_assert(!is_found());
    array[16] = at(stream);
    ck_assert(is_found());
}
END_TEST

/* Several places of the directory may have the same table. */
START_TEST(a_large_map_has_tables_of_groups) {
    start_groups();
    map[2] = at(directory);
    map[3] = 8;
    for (int i = 0; i < 8; i++)
        directory[i] = at(tables[i < 4 ? 0 : i - 4]);
    for (int i = 0; i < 4; i++)
        tables[i][2] = at(array + i * 16 * GROUP), tables[i][3] = 15;
    ck_assert(!is_found());
    array[64 * GROUP - 1] = at(stream);
    ck_assert(is_found());
    tables[3][3] = 14; /* no mask: this is no table */
    ck_assert(!is_found());
}
END_TEST

START_TEST(a_map_of_others_is_left) {
    start_buckets(5);
    for (int i = 0; i < 32; i++)
        for (int j = 0; j < 8; j++)
            array[i * BUCKET + FIRST_ELEMENT + j] = at(stranger);
    ck_assert(!is_found());
    array[31 * BUCKET + FIRST_ELEMENT] = at(stream);
    ck_assert(!is_found());
}
END_TEST

START_TEST(what_is_no_map_is_none) {
    start_groups();
    map[2] = 8;
    ck_assert(!is_found());
    map[2] = at(array) + 1;
    ck_assert(!is_found());
    map[2] = (uint64_t)1 << 46; /* nothing is there */
    map[3] = 1;
    ck_assert(!is_found());
    ck_assert(!go_map_has_elements_of(getpid(), 4096, at(holder)));
}
END_TEST

void add_tests(TCase *tests) {
    tcase_add_test(tests, the_last_of_many_buckets_counts);
    tcase_add_test(tests, a_bucket_that_overflows_goes_on_in_another);
    tcase_add_test(tests, while_a_map_grows_its_old_buckets_count);
    tcase_add_test(tests, a_small_map_is_one_group);
    tcase_add_test(tests, a_large_map_has_tables_of_groups);
    tcase_add_test(tests, a_map_of_others_is_left);
    tcase_add_test(tests, what_is_no_map_is_none);
}
