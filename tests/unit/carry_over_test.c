#include "shim/limit/carry_over.h"

#include <stdlib.h>

#include "shim/settings/settings.h"
#include "shim/socket/change.h"
#include "tests/unit/fake_kernel.h"
#include "tests/unit/unit.h"

#define FD 700
#define NOW (1000 * ND_SEC)

static struct nd_sock *sock;

static void start(void) {
    fake_start();
    sock = nd_sock_created(FD, ND_SOCK_STREAM | ND_SOCK_INET | ND_SOCK_CONNECTED);
}

START_TEST(receiving_adds_up_until_bytes_come) {
    ck_assert_int_eq(nd_carried_over_receive(sock, NOW), NOW);
    nd_carry_over_receive(FD, sock, NOW, NOW + 2 * ND_SEC);
    nd_carry_over_receive(FD, sock, NOW + 5 * ND_SEC, NOW + 6 * ND_SEC);
    ck_assert_int_eq(nd_carried_over_receive(sock, NOW + 9 * ND_SEC), NOW + 6 * ND_SEC);
    nd_carry_over_end(FD, sock, ND_IN);
    ck_assert_int_eq(nd_carried_over_receive(sock, NOW + 9 * ND_SEC), NOW + 9 * ND_SEC);
    nd_carry_over_receive(FD, sock, NOW + 9 * ND_SEC, NOW + 10 * ND_SEC);
    ck_assert_int_eq(nd_carried_over_receive(sock, NOW + 10 * ND_SEC), NOW + 9 * ND_SEC);
}
END_TEST

START_TEST(threads_that_wait_together_count_once) {
    nd_carry_over_receive(FD, sock, NOW, NOW + 2 * ND_SEC);
    nd_carry_over_receive(FD, sock, NOW, NOW + 2 * ND_SEC);
    ck_assert_int_eq(nd_carried_over_receive(sock, NOW + 2 * ND_SEC), NOW);
}
END_TEST

START_TEST(calls_are_looked_at_meanwhile) {
    nd_settings.outbound.recv = ND_SEC;
    nd_sock_change(FD, sock, ND_SOCK_RCVTIMEO, 0);
    ck_assert(nd_watch_exact(FD) & ND_WATCH_KERNEL_TIMED);
    nd_carry_over_receive(FD, sock, NOW, NOW + 1);
    ck_assert(nd_watch_exact(FD) & ND_WATCH_IN);
    ck_assert(!(nd_watch_exact(FD) & ND_WATCH_KERNEL_TIMED));
    nd_carry_over_end(FD, sock, ND_IN);
    ck_assert(nd_watch_exact(FD) & ND_WATCH_KERNEL_TIMED);
}
END_TEST

START_TEST(sending_goes_on_from_what_it_knew) {
    const struct nd_send_space room = {NOW - 3 * ND_SEC, NOW - 2 * ND_SEC, 77};
    nd_carry_over_send(FD, sock, &room, NOW);
    struct nd_send_space next = nd_carried_over_send(FD, sock, NOW + 10 * ND_SEC);
    ck_assert_int_eq(next.progress, NOW + 7 * ND_SEC);
    ck_assert_int_eq(next.unacked_since, NOW + 8 * ND_SEC);
    ck_assert_uint_eq(next.queued, 77);
    nd_carry_over_end(FD, sock, ND_OUT);
    next = nd_carried_over_send(FD, sock, NOW + 10 * ND_SEC);
    ck_assert_int_eq(next.progress, NOW + 10 * ND_SEC);
}
END_TEST

START_TEST(nothing_unacked_stays_so) {
    const struct nd_send_space room = {NOW, -1, 0};
    nd_carry_over_send(FD, sock, &room, NOW);
    ck_assert_int_eq(nd_carried_over_send(FD, sock, NOW + ND_SEC).unacked_since, -1);
}
END_TEST

void add_tests(TCase *tests) {
    tcase_add_checked_fixture(tests, start, NULL);
    tcase_add_test(tests, receiving_adds_up_until_bytes_come);
    tcase_add_test(tests, threads_that_wait_together_count_once);
    tcase_add_test(tests, calls_are_looked_at_meanwhile);
    tcase_add_test(tests, sending_goes_on_from_what_it_knew);
    tcase_add_test(tests, nothing_unacked_stays_so);
}
