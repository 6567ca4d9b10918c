/* Which versions of Python are known, and what 3.13 tells of itself. */
#include "cli/process/python_layout.h"

#include <string.h>

#include "tests/unit/unit.h"

static uint64_t told[PYTHON_TOLD_WORDS];
static struct python_layout layout;

static void start(void) {
    for (size_t i = 0; i < PYTHON_TOLD_WORDS; i++)
        told[i] = i * 8;
    memcpy(told, "xdebugpy", 8);
    told[1] = 0x030d00f0;
    told[2] = 0;
}

START_TEST(versions) {
    ck_assert_ptr_null(python_layout_of(8));
    for (unsigned minor = 9; minor <= 12; minor++)
        ck_assert_ptr_nonnull(python_layout_of(minor));
    ck_assert_ptr_null(python_layout_of(13));
    ck_assert_ptr_null(python_layout_of(0));
    ck_assert_ptr_null(python_layout_of(1000));
}
END_TEST

START_TEST(what_is_told) {
    ck_assert(python_layout_told(told, &layout));
    ck_assert_uint_eq(layout.interpreters, 40);
    ck_assert_uint_eq(layout.threads, 72);
    ck_assert_uint_eq(layout.frame, 184);
    ck_assert_int_eq(layout.held_frame, -1);
    ck_assert_uint_eq(layout.bytecode, 344);
}
END_TEST

START_TEST(what_is_not_taken) {
    told[0]++;
    ck_assert(!python_layout_told(told, &layout));
    start();
    told[1] = 0x030e00f0; /* 3.14 has other tables */
    ck_assert(!python_layout_told(told, &layout));
    start();
    told[2] = 1; /* without the global lock */
    ck_assert(!python_layout_told(told, &layout));
    for (int i = 5; i < PYTHON_TOLD_WORDS; i++) {
        start();
        told[i] = UINT64_MAX;
        ck_assert(!python_layout_told(told, &layout));
    }
}
END_TEST

void add_tests(TCase *tests) {
    tcase_add_checked_fixture(tests, start, NULL);
    tcase_add_test(tests, versions);
    tcase_add_test(tests, what_is_told);
    tcase_add_test(tests, what_is_not_taken);
}
