#include "shim/settings/live.h"

#include <string.h>

#include "shim/mode.h"
#include "shim/settings/environment.h"
#include "shim/settings/settings.h"
#include "tests/unit/fake_kernel.h"
#include "tests/unit/unit.h"

static int row_of(const char *name) {
    for (int i = 0; i < (int)nd_setting_count; i++)
        if (strcmp(nd_live_rows[i].name, name) == 0)
            return i;
    ck_abort_msg("no row %s", name);
    return -1;
}

static void start(void) {
    fake_start();
    nd_active = true;
    nd_observing = false;
    nd_settings_defaults(&nd_settings);
    nd_live_start();
    memset(&nd_live_wish, 0, sizeof nd_live_wish);
    nd_live_taken = 0;
    nd_settings_generation = 0;
    nd_live_wish.rows = (uint32_t)nd_setting_count;
    for (size_t i = 0; i < nd_setting_count; i++)
        nd_live_wish.value[i] = nd_live_rows[i].now;
}

static void wish(const char *name, int64_t value, int64_t window) {
    nd_live_wish.value[row_of(name)] = (struct nd_setting_value){value, window};
    nd_live_wish.sequence += 2;
}

START_TEST(what_is_in_force_is_shown) {
    ck_assert_int_eq(nd_live_rows[row_of("CONNECT")].now.value, 10 * ND_SEC);
    ck_assert(nd_live_rows[row_of("CONNECT")].can_change);
    ck_assert(!nd_live_rows[row_of("LOG")].can_change);
}
END_TEST

START_TEST(a_wish_is_taken_once) {
    wish("RECV", 3 * ND_SEC, 0);
    nd_live_check();
    ck_assert_int_eq(nd_settings.outbound.recv, 3 * ND_SEC);
    ck_assert_int_eq(nd_settings.connect, 10 * ND_SEC);
    ck_assert_int_eq(nd_live_rows[row_of("RECV")].now.value, 3 * ND_SEC);
    ck_assert_uint_eq(nd_settings_generation, 1);
    nd_live_check();
    ck_assert_uint_eq(nd_settings_generation, 1);
}
END_TEST

START_TEST(one_that_is_being_written_waits) {
    wish("RECV", 3 * ND_SEC, 0);
    nd_live_wish.sequence++;
    nd_live_check();
    ck_assert_int_eq(nd_settings.outbound.recv, 0);
    nd_live_wish.sequence++;
    nd_live_check();
    ck_assert_int_eq(nd_settings.outbound.recv, 3 * ND_SEC);
}
END_TEST

START_TEST(nonsense_changes_nothing) {
    wish("CONNECT", 7 * ND_SEC, 0);
    wish("RECV", -1, 0);
    nd_live_check();
    ck_assert_int_eq(nd_settings.connect, 10 * ND_SEC);
    wish("RECV", 0, 0);
    wish("MIN_RATE", 5, 0);
    nd_live_check();
    ck_assert_int_eq(nd_settings.connect, 10 * ND_SEC);
    wish("MIN_RATE", 0, 0);
    wish("MODE", 9, 0);
    nd_live_check();
    ck_assert_int_eq(nd_settings.connect, 10 * ND_SEC);
    ck_assert_uint_eq(nd_settings_generation, 0);
    nd_live_wish.rows = 1;
    wish("MODE", 0, 0);
    nd_live_check();
    ck_assert_int_eq(nd_settings.connect, 10 * ND_SEC);
}
END_TEST

START_TEST(modes) {
    wish("MODE", ND_MODE_OBSERVE, 0);
    nd_live_check();
    ck_assert(nd_observing);
    wish("MODE", ND_MODE_OFF, 0);
    nd_live_check();
    ck_assert(!nd_observing);
    ck_assert_int_eq(nd_settings.connect, 0);
    ck_assert_int_eq(nd_settings.inbound.unacked, 0);
    wish("MODE", ND_MODE_ENFORCE, 0);
    nd_live_check();
    ck_assert_int_eq(nd_settings.connect, 10 * ND_SEC);
}
END_TEST

START_TEST(a_rate) {
    wish("MIN_RATE", 1024, 30 * ND_SEC);
    nd_live_check();
    ck_assert_uint_eq(nd_settings.outbound.min_rate_bytes, 1024);
    ck_assert_int_eq(nd_settings.outbound.min_rate_window, 30 * ND_SEC);
}
END_TEST

START_TEST(a_process_that_passes_through_takes_nothing) {
    nd_active = false;
    wish("RECV", 3 * ND_SEC, 0);
    nd_live_check();
    ck_assert_int_eq(nd_settings.outbound.recv, 0);
}
END_TEST

void add_tests(TCase *tests) {
    tcase_add_checked_fixture(tests, start, NULL);
    tcase_add_test(tests, what_is_in_force_is_shown);
    tcase_add_test(tests, a_wish_is_taken_once);
    tcase_add_test(tests, one_that_is_being_written_waits);
    tcase_add_test(tests, nonsense_changes_nothing);
    tcase_add_test(tests, modes);
    tcase_add_test(tests, a_rate);
    tcase_add_test(tests, a_process_that_passes_through_takes_nothing);
}
