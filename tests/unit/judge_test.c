#include "cli/process/judge.h"

#include <string.h>

#include "tests/unit/unit.h"

#define START (1000 * ND_SEC)

static struct judge judge;
static struct connection connection;
static struct nd_settings settings;
static struct verdict verdict;
static nd_time now;

/* A client's connection that is established, on which nothing has moved for `silent`. */
static void start_after(nd_time silent) {
    now = START;
    memset(&settings, 0, sizeof settings);
    connection = (struct connection){.state = TCP_ESTABLISHED, .timer = -1};
    connection.info = (struct nd_tcp_info){.known = ND_TCP_TIMES | ND_TCP_BYTES | ND_TCP_SENT,
                                           .state = TCP_ESTABLISHED,
                                           .rto = 200 * ND_MSEC,
                                           .last_data_sent = silent,
                                           .last_data_recv = silent,
                                           .last_ack_recv = silent,
                                           .bytes_acked = 1};
}

static void start(void) {
    start_after(0);
}

static void pass(nd_time time) {
    now += time;
    connection.info.last_data_sent += time;
    connection.info.last_data_recv += time;
    connection.info.last_ack_recv += time;
}

/* `bytes` go out, and are acknowledged at once unless the peer is gone. */
static void send_bytes(uint64_t bytes, bool is_gone) {
    connection.info.bytes_sent += bytes;
    connection.info.last_data_sent = 0;
    if (is_gone) {
        connection.info.unacked = 1;
        connection.send_queue = (uint32_t)bytes;
    } else {
        connection.info.bytes_acked += bytes;
        connection.info.last_ack_recv = 0;
    }
}

static void receive_bytes(uint64_t bytes) {
    connection.info.bytes_received += bytes;
    connection.info.last_data_recv = connection.info.last_ack_recv = 0;
}

static bool look(void) {
    judge_look(&judge, &connection, now);
    return judge_decide(&judge, &connection, &settings, now, &verdict);
}

static void ck_expired(const char *limit, nd_time elapsed) {
    ck_assert_str_eq(judge_limit_name(verdict.limit), limit);
    ck_assert_int_eq(verdict.elapsed, elapsed);
}

START_TEST(a_connect_is_timed_from_its_first_syn) {
    settings.connect = 10 * ND_SEC;
    connection.state = connection.info.state = TCP_SYN_SENT;
    /* three SYNs, a second apart, and half a second: the timer would retransmit in another half */
    connection.info.retransmits = 2;
    connection.info.rto = ND_SEC;
    connection.timer = 500 * ND_MSEC;
    judge_begin(&judge, &connection, now);
    ck_assert(!look());
    ck_assert_int_eq(verdict.due, START + 7500 * ND_MSEC);
    pass(7500 * ND_MSEC);
    ck_assert(look());
    ck_expired("CONNECT", 10 * ND_SEC);
}
END_TEST

START_TEST(the_sooner_limit_of_a_connect_holds) {
    settings.connect = 10 * ND_SEC;
    settings.establish = 4 * ND_SEC;
    connection.state = connection.info.state = TCP_SYN_SENT;
    judge_begin(&judge, &connection, now);
    ck_assert(!look());
    pass(4 * ND_SEC);
    ck_assert(look());
    ck_expired("ESTABLISH", verdict.elapsed);
    ck_assert_int_eq(verdict.timeout, 4 * ND_SEC);
}
END_TEST

START_TEST(a_connect_that_succeeds_is_over) {
    settings.connect = ND_SEC;
    settings.outbound.recv = 5 * ND_SEC;
    connection.state = TCP_SYN_SENT;
    judge_begin(&judge, &connection, now);
    judge.is_only = true;
    pass(900 * ND_MSEC);
    connection.state = TCP_ESTABLISHED;
    connection.info.last_data_recv = connection.info.last_data_sent = 0;
    ck_assert(!look());
    ck_assert_int_eq(verdict.due, now + 5 * ND_SEC);
}
END_TEST

START_TEST(a_pending_reply_expires) {
    settings.outbound.recv = 2 * ND_SEC;
    judge_begin(&judge, &connection, now);
    pass(ND_SEC);
    send_bytes(100, false);
    pass(1900 * ND_MSEC);
    ck_assert(!look());
    ck_assert_int_eq(verdict.due, START + 3 * ND_SEC);
    pass(100 * ND_MSEC);
    ck_assert(look());
    ck_expired("RECV", 2 * ND_SEC);
}
END_TEST

START_TEST(an_answered_request_never_expires) {
    settings.outbound.recv = 2 * ND_SEC;
    send_bytes(100, false);
    judge_begin(&judge, &connection, now);
    pass(ND_SEC);
    receive_bytes(5);
    for (int i = 0; i < 100; i++, pass(ND_SEC))
        ck_assert(!look());
    ck_assert_int_eq(verdict.due, ND_NEVER);
}
END_TEST

/* The clock is read late after a look on a busy host, here once by 50 ms: after the look that saw the request alone, or
 * after the one that saw the first bytes. */
START_TEST(the_clock_of_a_look_may_be_late) {
    start();
    settings.outbound.recv = 100 * ND_MSEC;
    judge_begin(&judge, &connection, now);
    if (_i)
        receive_bytes(1);
    else
        send_bytes(1, false);
    judge_look(&judge, &connection, now + 50 * ND_MSEC);
    pass(20 * ND_MSEC);
    if (_i)
        send_bytes(1, false);
    else
        receive_bytes(1);
    ck_assert(!look());
    pass(150 * ND_MSEC);
    ck_assert(look() == (_i > 0));
}
END_TEST

START_TEST(unread_bytes_are_no_silence) {
    settings.outbound.recv = 2 * ND_SEC;
    send_bytes(100, false);
    judge_begin(&judge, &connection, now);
    connection.receive_queue = 1;
    pass(10 * ND_SEC);
    ck_assert(!look());
}
END_TEST

START_TEST(a_request_that_goes_on_is_no_silence) {
    settings.outbound.recv = 2 * ND_SEC;
    judge_begin(&judge, &connection, now);
    for (int i = 0; i < 20; i++) {
        send_bytes(100, false);
        pass(1500 * ND_MSEC);
        ck_assert(!look());
    }
    send_bytes(100, false);
    connection.info.notsent = 5000; /* the peer's window is closed */
    pass(10 * ND_SEC);
    ck_assert(!look());
}
END_TEST

START_TEST(retransmissions_do_not_prolong_a_request) {
    settings.outbound.recv = 2 * ND_SEC;
    judge_begin(&judge, &connection, now);
    send_bytes(100, true);
    ck_assert(!look());
    for (int i = 0; i < 3; i++) {
        pass(500 * ND_MSEC);
        connection.info.bytes_sent += 100;
        connection.info.bytes_retransmitted += 100;
        connection.info.last_data_sent = 0;
        ck_assert(!look());
    }
    pass(500 * ND_MSEC);
    ck_assert(look());
    ck_expired("RECV", 2 * ND_SEC);
}
END_TEST

START_TEST(a_greeting_is_pending) {
    settings.outbound.recv = 2 * ND_SEC;
    start_after(500 * ND_MSEC);
    settings.outbound.recv = 2 * ND_SEC;
    judge_begin(&judge, &connection, now);
    pass(1500 * ND_MSEC);
    ck_assert(!look()); /* one of several may have been made in advance */
    judge.is_only = true;
    ck_assert(look());
    ck_expired("RECV", 2 * ND_SEC);
}
END_TEST

/* A call was seen, got its bytes, and another was made much later, just before the next look. */
START_TEST(another_blocked_call_has_its_own_time) {
    settings.outbound.recv = 2 * ND_SEC;
    judge_begin(&judge, &connection, now);
    pass(ND_SEC);
    judge_receiving(&judge, true, now);
    pass(50 * ND_MSEC);
    receive_bytes(10);
    pass(2 * ND_SEC);
    judge_look(&judge, &connection, now);
    judge_receiving(&judge, true, now);
    ck_assert(!look());
    ck_assert_int_eq(verdict.due, now + 2 * ND_SEC);
}
END_TEST

START_TEST(a_blocked_call_is_waited_for) {
    settings.outbound.recv = 2 * ND_SEC;
    send_bytes(100, false);
    judge_begin(&judge, &connection, now);
    pass(ND_SEC);
    receive_bytes(10);
    ck_assert(!look());
    pass(ND_SEC);
    ck_assert(judge_asks_for_calls(&judge, &connection, &settings, now));
    judge_receiving(&judge, true, now);
    ck_assert(!look());
    pass(ND_SEC);
    receive_bytes(10);
    judge_receiving(&judge, true, now);
    ck_assert(!look());
    ck_assert_int_eq(verdict.due, now + 2 * ND_SEC);
    pass(100 * ND_MSEC); /* the bytes came at about the time of the last look: it may be another call */
    judge_receiving(&judge, true, now);
    pass(2 * ND_SEC);
    judge_receiving(&judge, true, now);
    ck_assert(look());
    ck_expired("RECV", 2 * ND_SEC);
    judge_receiving(&judge, false, now);
    ck_assert(!look());
}
END_TEST

START_TEST(a_server_waits_for_its_client_only_after_it_has_answered) {
    settings.inbound.recv = 2 * ND_SEC;
    settings.outbound.recv = ND_SEC;
    connection.is_inbound = true;
    judge_begin(&judge, &connection, now);
    receive_bytes(100);
    pass(10 * ND_SEC); /* it computes */
    ck_assert(!look());
    send_bytes(100, false);
    pass(2 * ND_SEC);
    ck_assert(look());
    ck_expired("INBOUND_RECV", 2 * ND_SEC);
}
END_TEST

START_TEST(a_listener_may_be_seen_after_its_first_connection) {
    settings.inbound.recv = 2 * ND_SEC;
    judge_begin(&judge, &connection, now);
    connection.is_inbound = true;
    pass(2 * ND_SEC);
    ck_assert(look());
    ck_expired("INBOUND_RECV", 2 * ND_SEC);
}
END_TEST

START_TEST(nothing_acknowledged) {
    settings.outbound.unacked = 3 * ND_SEC;
    judge_begin(&judge, &connection, now);
    send_bytes(100, true);
    ck_assert(!look());
    ck_assert_int_eq(verdict.due, START + 3 * ND_SEC);
    pass(2 * ND_SEC);
    connection.info.last_ack_recv = 0; /* the peer is slow, but alive */
    ck_assert(!look());
    pass(3 * ND_SEC);
    ck_assert(look());
    ck_expired("UNACKED", 3 * ND_SEC);
}
END_TEST

START_TEST(what_was_outstanding_before_a_later_look_counts) {
    settings.outbound.unacked = 3 * ND_SEC;
    judge_begin(&judge, &connection, now);
    pass(10 * ND_SEC);
    send_bytes(100, true);
    pass(700 * ND_MSEC);
    connection.info.retransmitted = 1;
    connection.info.retransmits = connection.info.backoff = 2; /* after 200 and 400 ms, and in 700 the third time */
    connection.info.rto = 800 * ND_MSEC;
    connection.timer = 700 * ND_MSEC;
    ck_assert(!look());
    ck_assert_int_eq(verdict.due, now + 3 * ND_SEC - 700 * ND_MSEC);
}
END_TEST

/* Sent again after 0.2, 0.6, 1.4 and 3.0 s: who was out of reach for 2 s can answer only what is sent at the limit. */
START_TEST(an_answer_to_what_is_sent_at_the_limit_is_awaited) {
    settings.outbound.unacked = 3 * ND_SEC;
    judge_begin(&judge, &connection, now);
    send_bytes(100, true);
    ck_assert(!look());
    pass(3 * ND_SEC);
    connection.info.last_ack_recv = 3 * ND_SEC;
    connection.info.retransmitted = 1;
    connection.info.backoff = connection.info.retransmits = 3;
    connection.info.rto = 1600 * ND_MSEC;
    connection.info.last_data_sent = 1600 * ND_MSEC;
    ck_assert(!look());
    ck_assert_int_eq(verdict.due, now + 100 * ND_MSEC);
    pass(300 * ND_MSEC);
    connection.info.backoff = connection.info.retransmits = 4;
    connection.info.rto = 3200 * ND_MSEC;
    connection.info.last_data_sent = 240 * ND_MSEC;
    ck_assert(look());
    ck_expired("UNACKED", 3300 * ND_MSEC);
}
END_TEST

START_TEST(what_was_outstanding_before_the_first_look_counts) {
    settings.outbound.unacked = 3 * ND_SEC;
    send_bytes(100, true);
    pass(60 * ND_SEC);
    connection.info.backoff = connection.info.retransmits = 4;
    connection.info.rto = 3200 * ND_MSEC;
    connection.timer = 3000 * ND_MSEC;
    judge_begin(&judge, &connection, now);
    ck_assert(look());
    ck_expired("UNACKED", 3200 * ND_MSEC); /* 200 + 400 + 800 + 1600, and 200 since */
}
END_TEST

/* The window is closed, and probes of it have not been answered: after one 1.6 s passed, after the next 3.2 s, and the
 * last of 2 s ago would be followed after 6.4 s. */
START_TEST(probes_that_were_outstanding_before_a_later_look_count) {
    settings.outbound.unacked = 10 * ND_SEC;
    judge_begin(&judge, &connection, now);
    connection.info.notsent = 1000;
    connection.send_queue = 1000;
    pass(30 * ND_SEC);
    connection.info.probes = 3;
    connection.info.backoff = 5;
    connection.timer = 4400 * ND_MSEC;
    ck_assert(!look());
    ck_assert_int_eq(verdict.due, now + 10 * ND_SEC - 6800 * ND_MSEC);
}
END_TEST

/* A look at this connection alone does not tell when the next retransmission is due. */
START_TEST(what_was_outstanding_counts_without_the_timer) {
    settings.outbound.unacked = 3 * ND_SEC;
    judge_begin(&judge, &connection, now);
    pass(10 * ND_SEC);
    send_bytes(100, true);
    pass(700 * ND_MSEC);
    connection.info.last_data_sent = 100 * ND_MSEC; /* the last retransmission */
    connection.info.retransmitted = 1;
    connection.info.retransmits = connection.info.backoff = 2;
    connection.info.rto = 800 * ND_MSEC;
    ck_assert(!look());
    ck_assert_int_eq(verdict.due, now + 3 * ND_SEC - 700 * ND_MSEC);
}
END_TEST

START_TEST(a_full_buffer_that_does_not_move) {
    settings.outbound.send = 2 * ND_SEC;
    connection.send_queue = 50000;
    judge_begin(&judge, &connection, now);
    pass(10 * ND_SEC);
    ck_assert(!look()); /* there is room: nobody waits */
    connection.is_full = true;
    pass(ND_SEC);
    connection.info.bytes_acked += 100;
    ck_assert(!look());
    pass(2 * ND_SEC);
    ck_assert(look());
    ck_expired("SEND", 2 * ND_SEC);
}
END_TEST

START_TEST(silence_and_age) {
    settings.outbound.idle = 5 * ND_SEC;
    settings.outbound.lifetime = 20 * ND_SEC;
    judge_begin(&judge, &connection, now);
    for (int i = 0; i < 4; i++) {
        pass(4 * ND_SEC);
        receive_bytes(1);
        ck_assert(!look());
    }
    pass(4 * ND_SEC);
    receive_bytes(1);
    ck_assert(look());
    ck_expired("LIFETIME", 20 * ND_SEC);
    settings.outbound.lifetime = 0;
    pass(5 * ND_SEC);
    ck_assert(look());
    ck_expired("IDLE", 5 * ND_SEC);
}
END_TEST

START_TEST(a_drip_is_slow_and_silence_is_not) {
    settings.outbound.min_rate_bytes = 1000;
    settings.outbound.min_rate_window = 4 * ND_SEC;
    judge_begin(&judge, &connection, now);
    for (int i = 0; i < 20; i++, pass(ND_SEC))
        ck_assert(!look());
    for (int i = 0; i < 3; i++, pass(ND_SEC)) {
        receive_bytes(10);
        ck_assert(!look());
    }
    receive_bytes(10);
    ck_assert(look());
    ck_assert_str_eq(judge_limit_name(verdict.limit), "MIN_RATE");
}
END_TEST

/* Who looks was stopped meanwhile: the connection may have been idle until just now. */
START_TEST(what_was_not_looked_at_is_not_slow) {
    settings.outbound.min_rate_bytes = 1000;
    settings.outbound.min_rate_window = 4 * ND_SEC;
    judge_begin(&judge, &connection, now);
    ck_assert(!look());
    pass(60 * ND_SEC);
    receive_bytes(10);
    judge_resume(&judge, now);
    ck_assert(!look());
    for (int i = 0; i < 3; i++) {
        pass(ND_SEC);
        receive_bytes(10);
        ck_assert(!look());
    }
    pass(ND_SEC);
    receive_bytes(10);
    ck_assert(look());
    ck_expired("MIN_RATE", 4 * ND_SEC);
}
END_TEST

START_TEST(nothing_is_ended_after_both_sides_have_closed) {
    settings.outbound.unacked = settings.outbound.idle = ND_SEC;
    send_bytes(100, true);
    judge_begin(&judge, &connection, now);
    connection.state = connection.info.state = TCP_LAST_ACK;
    look();
    pass(10 * ND_SEC);
    ck_assert(!look());
}
END_TEST

void add_tests(TCase *tests) {
    tcase_add_checked_fixture(tests, start, NULL);
    tcase_add_test(tests, a_connect_is_timed_from_its_first_syn);
    tcase_add_test(tests, the_sooner_limit_of_a_connect_holds);
    tcase_add_test(tests, a_connect_that_succeeds_is_over);
    tcase_add_test(tests, a_pending_reply_expires);
    tcase_add_test(tests, an_answered_request_never_expires);
    tcase_add_loop_test(tests, the_clock_of_a_look_may_be_late, 0, 2);
    tcase_add_test(tests, unread_bytes_are_no_silence);
    tcase_add_test(tests, a_request_that_goes_on_is_no_silence);
    tcase_add_test(tests, retransmissions_do_not_prolong_a_request);
    tcase_add_test(tests, a_greeting_is_pending);
    tcase_add_test(tests, another_blocked_call_has_its_own_time);
    tcase_add_test(tests, a_blocked_call_is_waited_for);
    tcase_add_test(tests, a_server_waits_for_its_client_only_after_it_has_answered);
    tcase_add_test(tests, a_listener_may_be_seen_after_its_first_connection);
    tcase_add_test(tests, nothing_acknowledged);
    tcase_add_test(tests, what_was_outstanding_before_a_later_look_counts);
    tcase_add_test(tests, an_answer_to_what_is_sent_at_the_limit_is_awaited);
    tcase_add_test(tests, what_was_outstanding_before_the_first_look_counts);
    tcase_add_test(tests, probes_that_were_outstanding_before_a_later_look_count);
    tcase_add_test(tests, what_was_outstanding_counts_without_the_timer);
    tcase_add_test(tests, a_full_buffer_that_does_not_move);
    tcase_add_test(tests, silence_and_age);
    tcase_add_test(tests, a_drip_is_slow_and_silence_is_not);
    tcase_add_test(tests, what_was_not_looked_at_is_not_slow);
    tcase_add_test(tests, nothing_is_ended_after_both_sides_have_closed);
}
