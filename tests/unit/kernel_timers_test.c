#include "shim/socket/keepalive.h"
#include "shim/socket/kernel_timers.h"

#include <stdlib.h>

#include "shim/mode.h"
#include "shim/settings/settings.h"
#include "shim/socket/change.h"
#include "tests/unit/fake_kernel.h"
#include "tests/unit/unit.h"

#define FD 700
#define INET (ND_SOCK_STREAM | ND_SOCK_INET)

static struct nd_sock *sock;

static void start(void) {
    fake_start();
    sock = nd_sock_created(FD, INET | ND_SOCK_CONNECTED);
}

/* A SYN goes out anew after 1 s four times, then after 2, 4 ... s: the count's time is never below the limit. */
static const struct {
    nd_time limit;
    int count;
} syns[] = {{ND_MSEC, 1},    {ND_SEC, 1},      {2 * ND_SEC, 1},  {2 * ND_SEC + 1, 2},
            {5 * ND_SEC, 4}, {10 * ND_SEC, 6}, {60 * ND_SEC, 9}, {ND_NEVER, 127}};

START_TEST(counts_syns) {
    ck_assert_int_eq(nd_kernel_timers_syn_count(syns[_i].limit), syns[_i].count);
}
END_TEST

static void program_sets_time(int name, time_t sec) {
    struct timeval value = {sec, 0};
    fake_setsockopt(FD, SOL_SOCKET, name, &value, sizeof value);
    nd_kernel_timers_program_set(FD, sock, SOL_SOCKET, name);
}

static time_t kernel_time(int name) {
    return fake_option(SOL_SOCKET, name)->value.tv_sec;
}

/* What the program would read; -1 where the kernel's own value is given. */
static time_t read_time(int name) {
    struct timeval value = {77, 77};
    socklen_t len = sizeof value;
    return nd_kernel_timers_read_back(sock, SOL_SOCKET, name, &value, &len) ? value.tv_sec : -1;
}

START_TEST(without_limits_nothing_is_set) {
    nd_kernel_timers_arm(FD, sock);
    ck_assert_int_eq(fake.option_writes, 0);
    ck_assert_int_eq(fake.option_count, 0);
}
END_TEST

static const int directions[][2] = {{SO_RCVTIMEO, ND_SOCK_RCVTIMEO}, {SO_SNDTIMEO, ND_SOCK_SNDTIMEO}};

START_TEST(a_limit_is_armed_once_and_not_seen) {
    int name = directions[_i][0];
    nd_settings.outbound.recv = nd_settings.outbound.send = 3 * ND_SEC;
    errno = 7;
    nd_kernel_timers_arm(FD, sock);
    nd_kernel_timers_arm(FD, sock);
    ck_assert_int_eq(fake.option_writes, 2);
    ck_assert_int_eq(errno, 7);
    ck_assert_int_eq(kernel_time(name), 3);
    ck_assert(nd_sock_flags(sock) & (uint32_t)directions[_i][1]);
    ck_assert_int_eq(read_time(name), 0);
}
END_TEST

START_TEST(the_shorter_is_in_force_and_the_programs_is_seen) {
    int name = directions[_i][0];
    nd_settings.outbound.recv = nd_settings.outbound.send = 3 * ND_SEC;
    program_sets_time(name, 5);
    nd_kernel_timers_arm(FD, sock);
    ck_assert_int_eq(kernel_time(name), 3);
    ck_assert_int_eq(read_time(name), 5);
    program_sets_time(name, 1);
    ck_assert_int_eq(kernel_time(name), 1);
    ck_assert_int_eq(read_time(name), -1);
    program_sets_time(name, 60);
    ck_assert_int_eq(kernel_time(name), 3);
    ck_assert_int_eq(read_time(name), 60);
    program_sets_time(name, 0);
    ck_assert_int_eq(kernel_time(name), 3);
    ck_assert_int_eq(read_time(name), 0);
}
END_TEST

START_TEST(a_short_buffer_gets_what_fits) {
    char value[4] = {1, 1, 1, 1};
    socklen_t len = 2;
    nd_settings.outbound.recv = 3 * ND_SEC;
    nd_kernel_timers_arm(FD, sock);
    ck_assert(nd_kernel_timers_read_back(sock, SOL_SOCKET, SO_RCVTIMEO, value, &len));
    ck_assert_uint_eq(len, 2);
    ck_assert_mem_eq(value, "\0\0\1\1", 4);
    ck_assert(!nd_kernel_timers_read_back(sock, SOL_SOCKET, SO_SNDBUF, value, &len));
}
END_TEST

START_TEST(disarming_gives_the_programs_value_back) {
    nd_settings.outbound.recv = 3 * ND_SEC;
    program_sets_time(SO_RCVTIMEO, 5);
    nd_kernel_timers_arm(FD, sock);
    nd_kernel_timers_disarm(FD, sock);
    ck_assert_int_eq(kernel_time(SO_RCVTIMEO), 5);
    ck_assert(!(nd_sock_flags(sock) & ND_SOCK_RCVTIMEO));
    int writes = fake.option_writes;
    nd_kernel_timers_disarm(FD, sock);
    ck_assert_int_eq(fake.option_writes, writes);
}
END_TEST

START_TEST(a_fraction_is_rounded_up) {
    nd_settings.outbound.recv = 1500 * ND_MSEC + 1;
    nd_kernel_timers_arm(FD, sock);
    ck_assert_int_eq(kernel_time(SO_RCVTIMEO), 1);
    ck_assert_int_eq(fake_option(SOL_SOCKET, SO_RCVTIMEO)->value.tv_usec, 500001);
}
END_TEST

static int kernel_int(int level, int name) {
    return (int)fake_option(level, name)->value.tv_sec;
}

static void program_sets(int level, int name, int value) {
    fake_setsockopt(FD, level, name, &value, sizeof value);
    if (!nd_keepalive_program_set(FD, sock, level, name, &value))
        nd_kernel_timers_program_set(FD, sock, level, name);
}

static int read_int(int level, int name) {
    int value = 77;
    socklen_t len = sizeof value;
    return nd_kernel_timers_read_back(sock, level, name, &value, &len) ? value : -1;
}

/* KEEPALIVE of silence, then probes whose first and last are UNACKED apart. */
static void ck_assert_keepalive(int idle, int interval, int count) {
    ck_assert_int_eq(kernel_int(SOL_SOCKET, SO_KEEPALIVE), 1);
    ck_assert_int_eq(kernel_int(IPPROTO_TCP, TCP_KEEPIDLE), idle);
    ck_assert_int_eq(kernel_int(IPPROTO_TCP, TCP_KEEPINTVL), interval);
    ck_assert_int_eq(kernel_int(IPPROTO_TCP, TCP_KEEPCNT), count);
}

START_TEST(keepalive_is_armed_and_not_seen) {
    nd_settings.outbound.keepalive = 60 * ND_SEC;
    nd_settings.outbound.unacked = 60 * ND_SEC;
    program_sets(IPPROTO_TCP, TCP_KEEPIDLE, 7200); /* of no effect without SO_KEEPALIVE */
    nd_kernel_timers_arm(FD, sock);
    ck_assert_keepalive(60, 2, 31);
    ck_assert_int_eq(fake.option_writes, 5);
    ck_assert_int_eq(read_int(SOL_SOCKET, SO_KEEPALIVE), 0);
    ck_assert_int_eq(read_int(IPPROTO_TCP, TCP_KEEPIDLE), 7200);
}
END_TEST

START_TEST(a_program_that_keeps_alive_for_two_hours_gets_the_shorter_times) {
    nd_settings.outbound.keepalive = 60 * ND_SEC;
    nd_settings.outbound.unacked = 60 * ND_SEC;
    program_sets(SOL_SOCKET, SO_KEEPALIVE, 1);
    program_sets(IPPROTO_TCP, TCP_KEEPINTVL, 75);
    program_sets(IPPROTO_TCP, TCP_KEEPCNT, 9);
    nd_kernel_timers_arm(FD, sock);
    ck_assert_keepalive(60, 2, 31);
    ck_assert_int_eq(read_int(SOL_SOCKET, SO_KEEPALIVE), 1);
    ck_assert_int_eq(read_int(IPPROTO_TCP, TCP_KEEPINTVL), 75);
}
END_TEST

START_TEST(a_program_with_shorter_times_keeps_them) {
    nd_settings.outbound.keepalive = 60 * ND_SEC;
    nd_settings.outbound.unacked = 60 * ND_SEC;
    nd_kernel_timers_arm(FD, sock);
    program_sets(SOL_SOCKET, SO_KEEPALIVE, 1);
    program_sets(IPPROTO_TCP, TCP_KEEPIDLE, 20);
    program_sets(IPPROTO_TCP, TCP_KEEPCNT, 3);
    program_sets(IPPROTO_TCP, TCP_KEEPINTVL, 5);
    ck_assert_keepalive(20, 5, 3);
}
END_TEST

/* As redis does with each connection: each call of the program's own, and two of ours. */
START_TEST(a_program_that_sets_all_options_pays_for_what_differs) {
    nd_settings.outbound.keepalive = 300 * ND_SEC;
    nd_settings.outbound.unacked = 60 * ND_SEC;
    nd_kernel_timers_arm(FD, sock);
    const int writes = fake.option_writes;
    program_sets(SOL_SOCKET, SO_KEEPALIVE, 1);
    program_sets(IPPROTO_TCP, TCP_KEEPIDLE, 300);
    program_sets(IPPROTO_TCP, TCP_KEEPINTVL, 100);
    program_sets(IPPROTO_TCP, TCP_KEEPCNT, 3);
    ck_assert_keepalive(300, 2, 31);
    ck_assert_int_eq(fake.option_writes - writes, 4 + 2);
    ck_assert_int_eq(read_int(IPPROTO_TCP, TCP_KEEPINTVL), 100);
    program_sets(IPPROTO_TCP, TCP_KEEPINTVL, 5); /* with its three probes the shorter time now */
    ck_assert_keepalive(300, 5, 3);
    program_sets(IPPROTO_TCP, TCP_KEEPCNT, 100);
    ck_assert_keepalive(300, 2, 31);
}
END_TEST

START_TEST(a_live_change_holds_when_the_program_sets_an_option) {
    nd_settings.outbound.keepalive = 60 * ND_SEC;
    nd_settings.outbound.unacked = 60 * ND_SEC;
    nd_kernel_timers_arm(FD, sock);
    nd_settings.outbound.keepalive = 30 * ND_SEC;
    nd_settings_generation++;
    program_sets(SOL_SOCKET, SO_KEEPALIVE, 1);
    ck_assert_keepalive(30, 2, 31);
    nd_settings_generation = 0;
}
END_TEST

START_TEST(a_program_that_switches_keepalive_off_has_none) {
    nd_settings.outbound.keepalive = 60 * ND_SEC;
    nd_kernel_timers_arm(FD, sock);
    program_sets(SOL_SOCKET, SO_KEEPALIVE, 0);
    ck_assert_int_eq(kernel_int(SOL_SOCKET, SO_KEEPALIVE), 0);
    ck_assert(!(nd_sock_flags(sock) & ND_SOCK_KEEPALIVE));
    nd_kernel_timers_arm(FD, sock);
    ck_assert_int_eq(kernel_int(SOL_SOCKET, SO_KEEPALIVE), 0);
}
END_TEST

START_TEST(the_backstop_shortens_and_is_not_seen) {
    nd_settings.connect = 3 * ND_SEC;
    program_sets(IPPROTO_TCP, TCP_SYNCNT, 6);
    nd_kernel_timers_backstop(FD, sock);
    ck_assert_int_eq(kernel_int(IPPROTO_TCP, TCP_SYNCNT), 2);
    ck_assert_int_eq(read_int(IPPROTO_TCP, TCP_SYNCNT), 6);
    program_sets(IPPROTO_TCP, TCP_SYNCNT, 1);
    ck_assert_int_eq(read_int(IPPROTO_TCP, TCP_SYNCNT), -1);
    nd_kernel_timers_backstop(FD, sock); /* the program's is the shorter one */
    ck_assert_int_eq(kernel_int(IPPROTO_TCP, TCP_SYNCNT), 1);
}
END_TEST

/* An odd kernel: nothing is armed, and nothing of ours is claimed to be. */
START_TEST(refusals_are_survived) {
    fake.options_fail = true;
    nd_settings.connect = nd_settings.outbound.recv = nd_settings.outbound.send = ND_SEC;
    nd_settings.outbound.keepalive = ND_SEC;
    errno = 7;
    uint32_t before = nd_sock_flags(sock);
    nd_kernel_timers_arm(FD, sock);
    nd_kernel_timers_backstop(FD, sock);
    ck_assert_int_eq(errno, 7);
    ck_assert_uint_eq(nd_sock_flags(sock), before);
    ck_assert_int_eq(read_time(SO_RCVTIMEO), -1);
}
END_TEST

START_TEST(observing_arms_nothing) {
    nd_observing = true;
    nd_settings.connect = nd_settings.outbound.recv = nd_settings.outbound.send = ND_SEC;
    nd_settings.outbound.keepalive = ND_SEC;
    nd_kernel_timers_arm(FD, sock);
    nd_kernel_timers_backstop(FD, sock);
    ck_assert_int_eq(fake.option_writes, 0);
}
END_TEST

/* Changed from outside while the socket stands: what ours was goes, what is now comes, the program's own stays. */
START_TEST(changed_settings_reach_a_socket_once) {
    nd_settings.outbound.recv = 3 * ND_SEC;
    program_sets_time(SO_RCVTIMEO, 5);
    nd_sock_change(FD, sock, ND_SOCK_CONNECTED, 0);
    nd_kernel_timers_arm(FD, sock);
    nd_kernel_timers_refresh(FD, sock);
    ck_assert_int_eq(kernel_time(SO_RCVTIMEO), 3);
    nd_settings.outbound.recv = 2 * ND_SEC;
    nd_settings.outbound.send = ND_SEC;
    nd_settings_generation++;
    nd_kernel_timers_refresh(FD, sock);
    ck_assert_int_eq(kernel_time(SO_RCVTIMEO), 2);
    ck_assert_int_eq(kernel_time(SO_SNDTIMEO), 1);
    ck_assert_int_eq(read_time(SO_RCVTIMEO), 5);
    int writes = fake.option_writes;
    nd_kernel_timers_refresh(FD, sock);
    ck_assert_int_eq(fake.option_writes, writes);
    nd_settings.outbound.recv = nd_settings.outbound.send = 0;
    nd_settings_generation++;
    nd_kernel_timers_refresh(FD, sock);
    ck_assert_int_eq(kernel_time(SO_RCVTIMEO), 5);
    ck_assert_int_eq(kernel_time(SO_SNDTIMEO), 0);
}
END_TEST

START_TEST(changed_settings_change_what_is_watched) {
    nd_sock_change(FD, sock, ND_SOCK_CONNECTED, 0);
    ck_assert_uint_eq(nd_watch_exact(FD), 0);
    nd_settings.outbound.lifetime = ND_SEC;
    nd_settings_generation++;
    nd_kernel_timers_refresh(FD, sock);
    ck_assert_uint_eq(nd_watch_exact(FD), ND_WATCH_WAIT | ND_WATCH_IN | ND_WATCH_OUT);
    nd_settings.outbound.lifetime = 0;
    nd_settings_generation++;
    nd_kernel_timers_refresh(FD, sock);
    ck_assert_uint_eq(nd_watch_exact(FD), 0);
}
END_TEST

#define COUNT(array) ((int)(sizeof(array) / sizeof(array)[0]))

void add_tests(TCase *tests) {
    tcase_add_checked_fixture(tests, start, NULL);
    tcase_add_loop_test(tests, counts_syns, 0, COUNT(syns));
    tcase_add_test(tests, without_limits_nothing_is_set);
    tcase_add_loop_test(tests, a_limit_is_armed_once_and_not_seen, 0, COUNT(directions));
    tcase_add_loop_test(tests, the_shorter_is_in_force_and_the_programs_is_seen, 0, COUNT(directions));
    tcase_add_test(tests, a_short_buffer_gets_what_fits);
    tcase_add_test(tests, disarming_gives_the_programs_value_back);
    tcase_add_test(tests, a_fraction_is_rounded_up);
    tcase_add_test(tests, keepalive_is_armed_and_not_seen);
    tcase_add_test(tests, a_program_that_keeps_alive_for_two_hours_gets_the_shorter_times);
    tcase_add_test(tests, a_program_with_shorter_times_keeps_them);
    tcase_add_test(tests, a_program_that_sets_all_options_pays_for_what_differs);
    tcase_add_test(tests, a_live_change_holds_when_the_program_sets_an_option);
    tcase_add_test(tests, a_program_that_switches_keepalive_off_has_none);
    tcase_add_test(tests, the_backstop_shortens_and_is_not_seen);
    tcase_add_test(tests, refusals_are_survived);
    tcase_add_test(tests, observing_arms_nothing);
    tcase_add_test(tests, changed_settings_reach_a_socket_once);
    tcase_add_test(tests, changed_settings_change_what_is_watched);
}
