#include "shim/limit/datagram.h"

#include <stdlib.h>

#include "shim/settings/settings.h"
#include "shim/socket/change.h"
#include "shim/socket/kernel_timers.h"
#include "shim/socket/limits.h"
#include "tests/unit/fake_kernel.h"
#include "tests/unit/unit.h"

#define FD 700
#define RECV (2 * ND_SEC)

static struct nd_sock *sock;

static void start(void) {
    fake_start();
    nd_settings.outbound.recv = RECV;
    sock = nd_sock_created(FD, ND_SOCK_INET);
}

static void bind_to(int port) {
    struct sockaddr_in addr = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
    nd_datagram_bound(FD, sock, (struct sockaddr *)&addr, sizeof addr);
}

START_TEST(one_that_was_not_bound_asks) {
    ck_assert_int_eq(nd_sock_recv_limit(sock), RECV);
    nd_datagram_received(FD, sock);
    ck_assert_int_eq(nd_sock_recv_limit(sock), RECV);
}
END_TEST

START_TEST(a_port_of_its_choice_is_a_servers) {
    bind_to(53);
    nd_datagram_sent(FD, sock, NULL, 0);
    ck_assert_int_eq(nd_sock_recv_limit(sock), 0);
}
END_TEST

START_TEST(a_port_of_the_kernels_choice_is_a_clients_that_speaks_first) {
    bind_to(0);
    ck_assert_int_eq(nd_sock_recv_limit(sock), 0);
    nd_datagram_sent(FD, sock, NULL, 0);
    ck_assert_int_eq(nd_sock_recv_limit(sock), RECV);
    ck_assert_uint_ne(nd_sock_flags(sock) & ND_SOCK_SENT_LAST, 0);
    nd_datagram_received(FD, sock);
    ck_assert_int_eq(nd_sock_recv_limit(sock), RECV);
    ck_assert_uint_eq(nd_sock_flags(sock) & ND_SOCK_SENT_LAST, 0);
}
END_TEST

START_TEST(and_a_servers_that_is_spoken_to) {
    bind_to(0);
    nd_datagram_received(FD, sock);
    nd_datagram_sent(FD, sock, NULL, 0);
    ck_assert_int_eq(nd_sock_recv_limit(sock), 0);
    ck_assert_uint_eq(nd_watch(FD), 0);
}
END_TEST

START_TEST(who_spoke_first_before_a_limit_was_on_is_not_known) {
    nd_settings.outbound.recv = 0;
    bind_to(0);
    nd_settings.outbound.recv = RECV;
    nd_settings_generation++;
    nd_kernel_timers_refresh(FD, sock);
    nd_datagram_sent(FD, sock, NULL, 0);
    ck_assert_int_eq(nd_sock_recv_limit(sock), 0);
}
END_TEST

START_TEST(who_connects_asks) {
    bind_to(53);
    nd_datagram_connected(FD, sock, true);
    ck_assert_int_eq(nd_sock_recv_limit(sock), RECV);
    nd_datagram_sent(FD, sock, NULL, 0);
    nd_datagram_connected(FD, sock, false);
    ck_assert_int_eq(nd_sock_recv_limit(sock), 0);
    ck_assert_uint_eq(nd_sock_flags(sock) & (ND_SOCK_CONNECTED | ND_SOCK_SENT_LAST), 0);
}
END_TEST

START_TEST(who_was_asked_first_is_the_peer) {
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = 1}, next = {.sin_family = AF_INET, .sin_port = 2};
    ck_assert_ptr_null(nd_datagram_peer(sock));
    nd_datagram_sent(FD, sock, &to, sizeof to);
    nd_datagram_sent(FD, sock, &next, sizeof next);
    ck_assert_int_eq(((const struct sockaddr_in *)nd_datagram_peer(sock))->sin_port, 1);
    nd_datagram_received(FD, sock);
    ck_assert_ptr_null(nd_datagram_peer(sock));
}
END_TEST

START_TEST(a_local_one_asks_only_where_it_is_connected) {
    struct sockaddr addr = {.sa_family = AF_UNIX};
    sock = nd_sock_created(FD, ND_SOCK_LOCAL);
    nd_datagram_bound(FD, sock, &addr, sizeof addr);
    nd_datagram_sent(FD, sock, NULL, 0);
    ck_assert_int_eq(nd_sock_recv_limit(sock), 0);
    nd_datagram_connected(FD, sock, true);
    ck_assert_int_eq(nd_sock_recv_limit(sock), RECV);
}
END_TEST

void add_tests(TCase *tests) {
    tcase_add_checked_fixture(tests, start, NULL);
    tcase_add_test(tests, one_that_was_not_bound_asks);
    tcase_add_test(tests, a_port_of_its_choice_is_a_servers);
    tcase_add_test(tests, a_port_of_the_kernels_choice_is_a_clients_that_speaks_first);
    tcase_add_test(tests, and_a_servers_that_is_spoken_to);
    tcase_add_test(tests, who_spoke_first_before_a_limit_was_on_is_not_known);
    tcase_add_test(tests, who_connects_asks);
    tcase_add_test(tests, who_was_asked_first_is_the_peer);
    tcase_add_test(tests, a_local_one_asks_only_where_it_is_connected);
}
