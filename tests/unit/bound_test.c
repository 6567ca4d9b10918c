/* Which limit ends a wait first, and when, by the record, the kernel's answer and the limits in force. */
#include "cli/process/bound.h"

#include <stdlib.h>

#include "shim/settings/settings.h"
#include "tests/unit/unit.h"

#define NOW (1000 * ND_SEC)

static struct nd_sock sock;
static struct connection connection;
static struct bound_wait wait;

/* An outbound connection on which nothing has moved for 4s, of which a thread has waited 3s for input. */
static void start(void) {
    nd_settings = (struct nd_settings){.connect = 10 * ND_SEC, .accept = 7 * ND_SEC};
    sock = (struct nd_sock){.flags = ND_SOCK_KNOWN | ND_SOCK_STREAM | ND_SOCK_INET | ND_SOCK_CONNECTED};
    sock.clock[ND_IN].time.waited = sock.clock[ND_OUT].time.waited = sock.connection_clock.time.waited = 3 * ND_SEC;
    sock.connection_clock.established = NOW - 4 * ND_SEC;
    connection = (struct connection){.state = TCP_ESTABLISHED};
    connection.info = (struct nd_tcp_info){.state = TCP_ESTABLISHED,
                                           .known = ND_TCP_TIMES | ND_TCP_BYTES | ND_TCP_SENT,
                                           .rto = 200 * ND_MSEC,
                                           .last_data_sent = 4 * ND_SEC,
                                           .last_data_recv = 4 * ND_SEC,
                                           .last_ack_recv = 4 * ND_SEC};
    wait = (struct bound_wait){
        .sock = &sock, .connection = &connection, .wants = POLLIN, .alone = true, .has_streams = true, .now = NOW};
}

static void expect(struct bound bound, enum nd_limit limit, nd_time timeout, nd_time left) {
    ck_assert_int_eq(bound.limit, limit);
    ck_assert_int_eq(bound.timeout, timeout);
    if (left == ND_NEVER)
        ck_assert_int_eq(bound.at, ND_NEVER);
    else
        ck_assert_int_le(llabs(bound.at - NOW - left), 2 * ND_MSEC);
}

#define NOTHING ND_LIMIT_NONE, 0, ND_NEVER

START_TEST(nothing_ends_a_wait_without_limits) {
    expect(bound_polled(&wait), NOTHING);
    expect(bound_received(&wait, NOW - 3 * ND_SEC), NOTHING);
    nd_settings.outbound.unacked = 60 * ND_SEC; /* nothing is outstanding */
    expect(bound_polled(&wait), NOTHING);
}
END_TEST

START_TEST(the_first_of_all_limits_counts) {
    nd_settings.outbound.lifetime = 30 * ND_SEC;
    expect(bound_polled(&wait), ND_LIMIT_LIFETIME, 30 * ND_SEC, 26 * ND_SEC);
    nd_settings.outbound.idle = 25 * ND_SEC;
    expect(bound_polled(&wait), ND_LIMIT_IDLE, 25 * ND_SEC, 22 * ND_SEC);
    nd_settings.outbound.recv = 20 * ND_SEC;
    expect(bound_polled(&wait), ND_LIMIT_RECV, 20 * ND_SEC, 17 * ND_SEC);
    expect(bound_received(&wait, NOW - 2 * ND_SEC), ND_LIMIT_RECV, 20 * ND_SEC, 18 * ND_SEC);
    sock.flags |= ND_SOCK_INBOUND; /* all of these were the other direction's */
    expect(bound_polled(&wait), NOTHING);
}
END_TEST

START_TEST(bytes_that_came_in_unseen_count) {
    nd_settings.outbound.recv = nd_settings.outbound.idle = 20 * ND_SEC;
    connection.info.bytes_received = 100;
    connection.info.last_data_recv = ND_SEC;
    expect(bound_polled(&wait), ND_LIMIT_IDLE, 20 * ND_SEC, 19 * ND_SEC);
    nd_settings.outbound.idle = 0;
    expect(bound_polled(&wait), ND_LIMIT_RECV, 20 * ND_SEC, 19 * ND_SEC);
    expect(bound_received(&wait, NOW - 3 * ND_SEC), ND_LIMIT_RECV, 20 * ND_SEC, 19 * ND_SEC);
}
END_TEST

START_TEST(among_several_one_that_owes_a_reply_is_bounded) {
    nd_settings.outbound.recv = 20 * ND_SEC;
    wait.alone = false;
    expect(bound_polled(&wait), NOTHING);
    connection.info.last_data_sent = 2 * ND_SEC;
    expect(bound_polled(&wait), ND_LIMIT_RECV, 20 * ND_SEC, 18 * ND_SEC);
    expect(bound_received(&wait, NOW - 3 * ND_SEC), ND_LIMIT_RECV, 20 * ND_SEC, 17 * ND_SEC);
}
END_TEST

START_TEST(a_peer_that_may_be_gone) {
    nd_settings.outbound.unacked = 60 * ND_SEC;
    nd_settings.outbound.keepalive = 30 * ND_SEC;
    expect(bound_polled(&wait), NOTHING); /* the program has refused keepalive */
    sock.flags |= ND_SOCK_KEEPALIVE;
    expect(bound_polled(&wait), ND_LIMIT_KEEPALIVE, 30 * ND_SEC, 88 * ND_SEC);
    expect(bound_unwatched(&wait), ND_LIMIT_KEEPALIVE, 30 * ND_SEC, 88 * ND_SEC);
    expect(bound_unseen(&wait), ND_LIMIT_KEEPALIVE, 30 * ND_SEC, 88 * ND_SEC);
    connection.info.unacked = 1;
    connection.send_queue = 10;
    connection.info.last_data_sent = 3 * ND_SEC;
    expect(bound_polled(&wait), ND_LIMIT_UNACKED, 60 * ND_SEC, 57 * ND_SEC);
    expect(bound_received(&wait, NOW), ND_LIMIT_UNACKED, 60 * ND_SEC, 57 * ND_SEC);
    expect(bound_unseen(&wait), NOTHING); /* a call that no hook has seen */
    wait.wants = POLLOUT;
    expect(bound_besides(&wait), NOTHING); /* the call itself knows since when */
}
END_TEST

START_TEST(a_wait_for_space) {
    nd_settings.outbound.send = 20 * ND_SEC;
    nd_settings.outbound.unacked = 60 * ND_SEC;
    wait.wants = POLLOUT;
    expect(bound_polled(&wait), NOTHING); /* there is space */
    connection.is_full = true;
    connection.send_queue = 100;
    expect(bound_polled(&wait), ND_LIMIT_SEND, 20 * ND_SEC, 17 * ND_SEC);
    sock.clock[ND_OUT].check_at = 1;
    sock.clock[ND_OUT].queued = 100;
    sock.clock[ND_OUT].unacked = -1;
    sock.clock[ND_OUT].progress = ND_SEC;
    expect(bound_polled(&wait), ND_LIMIT_SEND, 20 * ND_SEC, 18 * ND_SEC);
    connection.send_queue = 50; /* since the last check some of it has gone */
    expect(bound_polled(&wait), ND_LIMIT_SEND, 20 * ND_SEC, 20 * ND_SEC);
    nd_settings.outbound.send = 0;
    connection.info.unacked = 1;
    sock.clock[ND_OUT].unacked = 0;
    expect(bound_polled(&wait), ND_LIMIT_UNACKED, 60 * ND_SEC, 57 * ND_SEC);
}
END_TEST

START_TEST(a_connect_under_way) {
    sock.flags = ND_SOCK_KNOWN | ND_SOCK_STREAM | ND_SOCK_INET | ND_SOCK_CONNECTING;
    sock.connect_began = NOW - 4 * ND_SEC;
    nd_settings.outbound.idle = nd_settings.outbound.recv = ND_SEC;
    expect(bound_polled(&wait), ND_LIMIT_CONNECT, 10 * ND_SEC, 6 * ND_SEC);
    expect(bound_connected(&wait), ND_LIMIT_CONNECT, 10 * ND_SEC, 6 * ND_SEC);
}
END_TEST

START_TEST(a_tls_operation_of_several_calls) {
    sock.operation.timeout = 10 * ND_SEC;
    sock.operation.began = NOW - ND_SEC;
    expect(bound_polled(&wait), ND_LIMIT_NONE, 10 * ND_SEC, 9 * ND_SEC);
    ck_assert(bound_polled(&wait).is_operation);
    sock.operation.paused = NOW; /* it waits for the program */
    expect(bound_polled(&wait), NOTHING);
}
END_TEST

START_TEST(listeners_and_datagrams) {
    sock.flags = ND_SOCK_KNOWN | ND_SOCK_STREAM | ND_SOCK_INET | ND_SOCK_LISTENING;
    wait.connection = NULL;
    expect(bound_polled(&wait), NOTHING); /* an event loop with connections */
    wait.has_streams = false;
    expect(bound_polled(&wait), ND_LIMIT_ACCEPT, 7 * ND_SEC, 4 * ND_SEC);
    sock.flags = ND_SOCK_KNOWN | ND_SOCK_INET | ND_SOCK_CONNECTED | ND_SOCK_CLIENT;
    nd_settings.outbound.recv = 20 * ND_SEC;
    expect(bound_polled(&wait), ND_LIMIT_RECV, 20 * ND_SEC, 17 * ND_SEC);
    sock.received_at = NOW - ND_SEC;
    expect(bound_polled(&wait), ND_LIMIT_RECV, 20 * ND_SEC, 19 * ND_SEC);
    wait.alone = false;
    expect(bound_polled(&wait), NOTHING);
}
END_TEST

START_TEST(a_connection_that_drips) {
    nd_settings.outbound.min_rate_bytes = 1000;
    nd_settings.outbound.min_rate_window = 20 * ND_SEC;
    connection.info.bytes_received = 900;
    expect(bound_polled(&wait), ND_LIMIT_MIN_RATE, 20 * ND_SEC, 17 * ND_SEC);
    ck_assert_uint_eq(bound_polled(&wait).bytes, 1000);
    connection.info.bytes_received = 1000; /* enough: the next window */
    expect(bound_polled(&wait), ND_LIMIT_MIN_RATE, 20 * ND_SEC, 20 * ND_SEC);
    connection.info.bytes_received = 900;
    wait.alone = false; /* then it would be idle */
    expect(bound_polled(&wait), NOTHING);
}
END_TEST

START_TEST(stdio_meets_the_kernels_timer) {
    nd_settings.outbound.recv = 20 * ND_SEC;
    sock.flags |= ND_SOCK_RCVTIMEO;
    expect(bound_unseen(&wait), ND_LIMIT_RECV, 20 * ND_SEC, ND_NEVER);
    sock.flags |= ND_SOCK_NONBLOCK;
    expect(bound_unseen(&wait), NOTHING);
}
END_TEST

void add_tests(TCase *tests) {
    tcase_add_checked_fixture(tests, start, NULL);
    tcase_add_test(tests, nothing_ends_a_wait_without_limits);
    tcase_add_test(tests, the_first_of_all_limits_counts);
    tcase_add_test(tests, bytes_that_came_in_unseen_count);
    tcase_add_test(tests, among_several_one_that_owes_a_reply_is_bounded);
    tcase_add_test(tests, a_peer_that_may_be_gone);
    tcase_add_test(tests, a_wait_for_space);
    tcase_add_test(tests, a_connect_under_way);
    tcase_add_test(tests, a_tls_operation_of_several_calls);
    tcase_add_test(tests, listeners_and_datagrams);
    tcase_add_test(tests, a_connection_that_drips);
    tcase_add_test(tests, stdio_meets_the_kernels_timer);
}
