#include "shim/limit/connection_limits.h"

#include <stdlib.h>

#include "shim/mode.h"
#include "shim/settings/settings.h"
#include "shim/socket/change.h"
#include "tests/unit/fake_kernel.h"
#include "tests/unit/unit.h"

enum { FD = 700 };
#define WINDOW (4 * ND_SEC)

static struct nd_sock *sock;
static struct nd_expiry expiry;

static void start(void) {
    fake_start();
    nd_sock_clear(FD);
    sock = nd_sock_created(FD, ND_SOCK_STREAM | ND_SOCK_INET | ND_SOCK_CONNECTED);
}

/* A call has waited for so long, in which so much came. Returns whether something fired. */
static bool wait_and_check(nd_time lasts, uint64_t bytes, bool busy) {
    nd_time began = fake.now;
    fake.now += lasts;
    fake.info.tcpi_last_data_recv = bytes ? 0 : fake.info.tcpi_last_data_recv + (uint32_t)(lasts / ND_MSEC);
    fake.info.tcpi_last_data_sent += (uint32_t)(lasts / ND_MSEC);
    fake.received += bytes;
    nd_connection_limits_waited(sock, began, fake.now);
    return nd_connection_limits_due(sock, fake.now) <= fake.now &&
           nd_connection_limits_check(FD, sock, busy, fake.now, &expiry);
}

/* The number of waits until something fired; -1 if it did not within `most`. */
static int waits_until_fired(int most, nd_time lasts, uint64_t bytes, bool busy) {
    for (int i = 1; i <= most; i++)
        if (wait_and_check(lasts, bytes, busy))
            return i;
    return -1;
}

START_TEST(off_is_never_due) {
    ck_assert_int_eq(nd_connection_limits_due(sock, fake.now), ND_NEVER);
    ck_assert(!nd_connection_limits_check(FD, sock, true, fake.now + 1000 * ND_SEC, &expiry));
    ck_assert(!nd_connection_limits_outlived(FD, sock, "recv"));
    ck_assert_int_eq(fake.info_reads, 0);
}
END_TEST

START_TEST(only_internet_connections) {
    nd_settings.outbound.idle = nd_settings.outbound.lifetime = ND_SEC;
    nd_sock_clear(FD);
    sock = nd_sock_created(FD, ND_SOCK_STREAM | ND_SOCK_LOCAL | ND_SOCK_CONNECTED);
    ck_assert_int_eq(nd_connection_limits_due(sock, fake.now), ND_NEVER);
    ck_assert(!nd_connection_limits_check(FD, sock, true, fake.now + 1000 * ND_SEC, &expiry));
    sock = nd_sock_created(FD, ND_SOCK_STREAM | ND_SOCK_INET);
    ck_assert_int_eq(nd_connection_limits_due(sock, fake.now), ND_NEVER);
    ck_assert(!nd_connection_limits_check(FD, sock, true, fake.now + 1000 * ND_SEC, &expiry));
}
END_TEST

START_TEST(lifetime_is_absolute) {
    nd_settings.outbound.lifetime = 3 * ND_SEC;
    ck_assert_int_eq(nd_connection_limits_due(sock, fake.now + ND_SEC), fake.now + 3 * ND_SEC);
    fake.now += 3 * ND_SEC - 1;
    ck_assert(!nd_connection_limits_check(FD, sock, true, fake.now, &expiry));
    ck_assert(!nd_connection_limits_outlived(FD, sock, "recv"));
    fake.now++;
    ck_assert(nd_connection_limits_check(FD, sock, false, fake.now, &expiry));
    ck_assert_str_eq(expiry.limit, "LIFETIME");
    ck_assert_int_eq(expiry.elapsed, 3 * ND_SEC);
}
END_TEST

START_TEST(lifetime_ends_at_the_next_call_and_is_told_once) {
    nd_settings.outbound.lifetime = 3 * ND_SEC;
    nd_observing = _i;
    fake.now += 5 * ND_SEC;
    ck_assert(nd_connection_limits_outlived(FD, sock, "recv") == !_i);
    ck_assert(!nd_connection_limits_outlived(FD, sock, "recv"));
    ck_assert_uint_eq(fake.told, 1);
    ck_assert_str_eq(fake.last.operation, "recv");
    ck_assert_int_eq(fake.disconnects, _i ? 0 : 2);
}
END_TEST

START_TEST(accepted_connections_have_their_own) {
    nd_sock_change(FD, sock, ND_SOCK_INBOUND, 0);
    nd_settings.outbound.idle = ND_SEC;
    ck_assert_int_eq(nd_connection_limits_due(sock, fake.now), ND_NEVER);
    nd_settings.inbound.idle = 2 * ND_SEC;
    ck_assert_int_eq(waits_until_fired(10, ND_SEC, 0, false), 2);
    ck_assert_str_eq(expiry.limit, "INBOUND_IDLE");
}
END_TEST

START_TEST(idle_counts_waits_without_movement) {
    nd_settings.outbound.idle = 4 * ND_SEC;
    ck_assert_int_eq(waits_until_fired(20, 3 * ND_SEC, 1, false), -1);
    fake.now += 3600 * ND_SEC; /* nobody waits */
    ck_assert(!wait_and_check(3 * ND_SEC, 0, false));
    ck_assert(wait_and_check(ND_SEC, 0, false));
    ck_assert_str_eq(expiry.limit, "IDLE");
}
END_TEST

/* The kernel dates what it sends again, and counts nothing. */
START_TEST(retransmission_is_no_movement) {
    nd_settings.outbound.idle = 4 * ND_SEC;
    fake.acked = 100;
    int waits = 0;
    do {
        fake.info.tcpi_last_data_sent = 0;
        waits++;
    } while (!wait_and_check(ND_SEC, 0, false) && waits < 20);
    ck_assert_int_le(waits, 8);
}
END_TEST

static const struct {
    const char *what;
    nd_time lasts;
    uint64_t bytes;
    bool busy;
    int least, most; /* waits until it fires; -1: never */
} rates[] = {
    {"a byte a second", ND_SEC, 1, true, 4, 5}, {"a byte a second, among others", ND_SEC, 1, false, 4, 6},
    {"nothing", ND_SEC, 0, true, 4, 5},         {"nothing, among others: idle", ND_SEC, 0, false, -1, -1},
    {"the rate", ND_SEC, 250, true, -1, -1},    {"above it, in bursts", 3 * ND_SEC + 900 * ND_MSEC, 1000, true, -1, -1},
    {"just below", ND_SEC, 249, true, 4, 20},   {"far below in long waits", 9 * ND_SEC, 999, true, 1, 2},
};

START_TEST(a_rate) {
    nd_settings.outbound.min_rate_bytes = 1000;
    nd_settings.outbound.min_rate_window = WINDOW;
    int fired = waits_until_fired(100, rates[_i].lasts, rates[_i].bytes, rates[_i].busy);
    ck_assert_msg(fired >= rates[_i].least && fired <= rates[_i].most, "%s: %d", rates[_i].what, fired);
    if (fired >= 0) {
        ck_assert_str_eq(expiry.limit, "MIN_RATE");
        ck_assert_int_eq(expiry.timeout, WINDOW);
        ck_assert_int_ge(expiry.elapsed, WINDOW);
    }
}
END_TEST

START_TEST(a_fast_beginning_buys_one_window) {
    nd_settings.outbound.min_rate_bytes = 1000;
    nd_settings.outbound.min_rate_window = WINDOW;
    ck_assert(!wait_and_check(ND_SEC, 1000000, true));
    int fired = waits_until_fired(100, ND_SEC, 1, true);
    ck_assert_int_ge(fired, 4);
    ck_assert_int_le(fired, 10);
}
END_TEST

/* A question to a server that polls for long: it came whole, and nothing since. */
START_TEST(a_single_message_among_others_is_no_drip) {
    nd_settings.outbound.min_rate_bytes = 1000;
    nd_settings.outbound.min_rate_window = WINDOW;
    for (int i = 0; i < 20; i++) {
        ck_assert(!wait_and_check(ND_SEC, 200, false));
        ck_assert_int_eq(waits_until_fired(7, ND_SEC, 0, false), -1);
    }
}
END_TEST

START_TEST(kernels_that_do_not_count) {
    fake.old_info = true;
    nd_settings.outbound.min_rate_bytes = 1000;
    nd_settings.outbound.min_rate_window = WINDOW;
    for (int i = 0; i < 20; i++) {
        ck_assert(!wait_and_check(ND_SEC, 300, true));
        nd_connection_limits_count(sock, 300);
    }
    ck_assert_int_ge(waits_until_fired(20, ND_SEC, 1, true), 4);
}
END_TEST

/* Under a filter, and under qemu's emulation, which passes on the first four bytes. */
static void without_times(int how) {
    fake.info_denied = how == 0;
    fake.info_length = 4;
    *fake_option(SOL_SOCKET, SO_TYPE) =
        (struct fake_option){.level = SOL_SOCKET, .name = SO_TYPE, .value.tv_sec = SOCK_STREAM};
}

START_TEST(idle_where_the_kernel_reports_no_times) {
    without_times(_i);
    nd_settings.outbound.idle = 4 * ND_SEC;
    ck_assert_int_eq(waits_until_fired(4, ND_SEC, 0, true), -1); /* the calls are counted from here on */
    for (int i = 0; i < 20; i++) {
        ck_assert(!wait_and_check(ND_SEC, 300, true));
        nd_connection_limits_count(sock, 300);
    }
    ck_assert_int_ge(waits_until_fired(20, ND_SEC, 0, true), 3);
    ck_assert_str_eq(expiry.limit, "IDLE");
}
END_TEST

/* A poll that finds bytes is followed by calls that may not be seen, as those of stdio. */
START_TEST(idle_goes_by_waits_where_calls_are_unseen) {
    without_times(_i);
    nd_settings.outbound.idle = 4 * ND_SEC;
    for (int i = 0; i < 20; i++) {
        nd_stopwatch_add(&sock->clock[ND_IN].time, fake.now, fake.now + ND_SEC);
        sock->clock[ND_IN].progress = atomic_load(&sock->clock[ND_IN].time.waited);
        ck_assert(!wait_and_check(ND_SEC, 300, true));
    }
}
END_TEST

START_TEST(rate_where_the_kernel_reports_no_times) {
    without_times(_i);
    nd_settings.outbound.min_rate_bytes = 1000;
    nd_settings.outbound.min_rate_window = WINDOW;
    for (int i = 0; i < 20; i++) { /* among several: whether it drips is not known */
        ck_assert(!wait_and_check(ND_SEC, 1, false));
        nd_connection_limits_count(sock, 1);
    }
    ck_assert_int_ge(waits_until_fired(20, ND_SEC, 1, true), 1);
}
END_TEST

START_TEST(a_stale_record_ends_nothing) {
    nd_settings.outbound.idle = nd_settings.outbound.min_rate_window = ND_SEC;
    nd_settings.outbound.min_rate_bytes = 1000;
    fake.info_fails = true;
    ck_assert_int_eq(waits_until_fired(20, ND_SEC, 0, true), -1);
    ck_assert_int_gt(nd_connection_limits_due(sock, fake.now), fake.now); /* nor does it make a wait spin */
}
END_TEST

#define COUNT(array) ((int)(sizeof(array) / sizeof(array)[0]))

void add_tests(TCase *tests) {
    tcase_add_checked_fixture(tests, start, NULL);
    tcase_add_test(tests, off_is_never_due);
    tcase_add_test(tests, only_internet_connections);
    tcase_add_test(tests, lifetime_is_absolute);
    tcase_add_loop_test(tests, lifetime_ends_at_the_next_call_and_is_told_once, 0, 2);
    tcase_add_test(tests, accepted_connections_have_their_own);
    tcase_add_test(tests, idle_counts_waits_without_movement);
    tcase_add_test(tests, retransmission_is_no_movement);
    tcase_add_loop_test(tests, a_rate, 0, COUNT(rates));
    tcase_add_test(tests, a_fast_beginning_buys_one_window);
    tcase_add_test(tests, a_single_message_among_others_is_no_drip);
    tcase_add_test(tests, kernels_that_do_not_count);
    tcase_add_loop_test(tests, idle_where_the_kernel_reports_no_times, 0, 2);
    tcase_add_loop_test(tests, idle_goes_by_waits_where_calls_are_unseen, 0, 2);
    tcase_add_loop_test(tests, rate_where_the_kernel_reports_no_times, 0, 2);
    tcase_add_test(tests, a_stale_record_ends_nothing);
}
