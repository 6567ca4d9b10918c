#include "shim/socket/tcp_info.h"

#include <poll.h>
#include <stdlib.h>

#include "shim/socket/change.h"
#include "shim/socket/ended.h"
#include "tests/unit/fake_kernel.h"
#include "tests/unit/unit.h"

#define FD 700

static struct nd_tcp_info info;
static int poll_result;

static int fake_poll(struct pollfd *fds, nfds_t count, int timeout) {
    (void)fds, (void)count, (void)timeout;
    return poll_result;
}

static void set_type(int type) {
    *fake_option(SOL_SOCKET, SO_TYPE) =
        (struct fake_option){.level = SOL_SOCKET, .name = SO_TYPE, .value.tv_sec = type};
}

static void start(void) {
    fake_start();
    nd_real.poll = fake_poll;
    memset(&info, 0xff, sizeof info);
    set_type(SOCK_STREAM);
    errno = 42;
}

static void stop(void) {
    ck_assert_int_eq(errno, 42);
}

START_TEST(reads_what_the_kernel_reports) {
    fake.info = (struct tcp_info){.tcpi_state = TCP_CLOSE_WAIT,
                                  .tcpi_retransmits = 1,
                                  .tcpi_probes = 2,
                                  .tcpi_backoff = 3,
                                  .tcpi_rto = 200000,
                                  .tcpi_unacked = 4,
                                  .tcpi_last_data_sent = 5,
                                  .tcpi_last_data_recv = 6,
                                  .tcpi_last_ack_recv = 7};
    fake.acked = 8;
    fake.received = 9;
    ck_assert(nd_tcp_info_read(FD, &info));
    ck_assert_uint_eq(info.known, ND_TCP_TIMES | ND_TCP_BYTES);
    ck_assert(info.state == TCP_CLOSE_WAIT && info.retransmits == 1 && info.probes == 2 && info.backoff == 3);
    ck_assert(info.rto == 200 * ND_MSEC && info.unacked == 4 && info.last_data_sent == 5 * ND_MSEC);
    ck_assert(info.last_data_recv == 6 * ND_MSEC && info.last_ack_recv == 7 * ND_MSEC);
    ck_assert(info.bytes_acked == 8 && info.bytes_received == 9 && info.bytes_sent == 0 && info.notsent == 0);
}
END_TEST

/* Bytes of an answer, and what is known by them. */
static const struct {
    size_t length;
    bool told;
    unsigned known;
} answers[] = {
    {0, false, 0},
    {3, false, 0},
    {4, true, 0},
    {59, true, 0},
    {60, true, ND_TCP_TIMES},
    {104, true, ND_TCP_TIMES},
    {128, true, ND_TCP_TIMES},
    {136, true, ND_TCP_TIMES | ND_TCP_BYTES},
    {215, true, ND_TCP_TIMES | ND_TCP_BYTES},
    {216, true, ND_TCP_TIMES | ND_TCP_BYTES | ND_TCP_SENT},
    {300, true, ND_TCP_TIMES | ND_TCP_BYTES | ND_TCP_SENT},
};

START_TEST(answers_of_any_length) {
    unsigned char answer[300];
    memset(answer, 1, sizeof answer);
    ck_assert(nd_tcp_info_decode(&info, answer, answers[_i].length) == answers[_i].told);
    ck_assert_uint_eq(info.known, answers[_i].known);
    ck_assert_uint_eq(info.state, answers[_i].told);
    const bool times = info.known & ND_TCP_TIMES;
    ck_assert_uint_eq(info.unacked, times ? 0x01010101 : 0);
    ck_assert_int_eq(info.last_ack_recv, !answers[_i].told ? 0 : times ? 0x01010101 * ND_MSEC : INT32_MAX * ND_MSEC);
    ck_assert_uint_eq(info.bytes_received != 0, (info.known & ND_TCP_BYTES) != 0);
    ck_assert_uint_eq(info.bytes_retransmitted != 0, (info.known & ND_TCP_SENT) != 0);
}
END_TEST

START_TEST(a_short_answer_leaves_the_rest_unknown) {
    fake.info.tcpi_last_data_recv = 5;
    fake.info_length = 4;
    ck_assert(nd_tcp_info_read(FD, &info));
    ck_assert(info.known == 0 && info.state == TCP_ESTABLISHED && info.last_data_recv == INT32_MAX * ND_MSEC);
}
END_TEST

/* Whether it has a peer, what poll for POLLOUT gives, and the state that shows. */
static const struct {
    bool peer;
    int poll;
    uint8_t state;
} signs[] = {{true, 0, TCP_ESTABLISHED}, {true, 1, TCP_ESTABLISHED}, {false, 0, TCP_SYN_SENT}, {false, 1, TCP_CLOSE}};

START_TEST(a_filter_leaves_other_signs_of_the_state) {
    fake.info_denied = true;
    fake.unconnected = !signs[_i].peer;
    poll_result = signs[_i].poll;
    ck_assert(nd_tcp_info_read(FD, &info));
    ck_assert(info.known == 0 && info.state == signs[_i].state && info.last_ack_recv == INT32_MAX * ND_MSEC);
}
END_TEST

START_TEST(what_is_no_tcp_socket_has_no_state) {
    fake.info_denied = _i == 0;
    fake.info_fails = _i == 1;
    set_type(SOCK_DGRAM);
    ck_assert(!nd_tcp_info_read(FD, &info));
    ck_assert(info.known == 0 && info.state == 0 && info.last_data_recv == 0);
}
END_TEST

/* Two probes on a path whose round trip is 2 s: those of a closed window have something to send. */
START_TEST(probes_of_keepalive_are_the_kernels) {
    info = (struct nd_tcp_info){.known = ND_TCP_TIMES | ND_TCP_SENT,
                                .state = TCP_ESTABLISHED,
                                .probes = 2,
                                .rto = 6 * ND_SEC,
                                .last_data_sent = 15 * ND_SEC,
                                .last_ack_recv = 5 * ND_SEC,
                                .notsent = (uint32_t)_i};
    ck_assert(nd_tcp_unanswered(&info) == (_i > 0));
    ck_assert((nd_tcp_unacked_for(&info) > 0) == (_i > 0));
}
END_TEST

/* Milliseconds since bytes went out and came in; the record says that they went out last; TLS; a reply is pending. */
static const struct {
    uint32_t sent, received;
    bool sent_last, tls, pending;
} replies[] = {
    {100, 111, false, false, true}, {100, 110, false, false, false}, {100, 110, true, false, true},
    {100, 100, true, false, true},  {101, 100, true, false, false},  {101, 100, true, true, true},
    {101, 100, false, true, false},
};

START_TEST(a_reply_is_pending) {
    info = (struct nd_tcp_info){.last_data_sent = replies[_i].sent * ND_MSEC,
                                .last_data_recv = replies[_i].received * ND_MSEC};
    ck_assert(nd_tcp_reply_pending(&info, replies[_i].sent_last, replies[_i].tls) == replies[_i].pending);
}
END_TEST

START_TEST(who_made_a_connection) {
    struct nd_tcp_info client = {.state = TCP_ESTABLISHED, .known = ND_TCP_SENT, .bytes_sent = 100, .bytes_acked = 101};
    ck_assert(nd_tcp_made_here(&client, 0));
    client.bytes_acked = 61;
    client.notsent = 10;
    ck_assert(nd_tcp_made_here(&client, 50)); /* 40 in flight, 10 not sent */
    client.bytes_acked = 60;
    ck_assert(!nd_tcp_made_here(&client, 50));
    client.bytes_acked = 61;
    client.state = TCP_CLOSE_WAIT;
    ck_assert(!nd_tcp_made_here(&client, 50));
    client.state = TCP_ESTABLISHED;
    client.known = ND_TCP_TIMES | ND_TCP_BYTES;
    ck_assert(!nd_tcp_made_here(&client, 50));
}
END_TEST

START_TEST(a_user_timeout_counts_the_time_of_probing) {
    info = (struct nd_tcp_info){.state = TCP_CLOSE, .probes = 1, .last_data_recv = ND_SEC, .last_ack_recv = ND_SEC};
    const int count = 3, longest = (int[]){0, 999, 1001}[_i];
    fake_setsockopt(FD, IPPROTO_TCP, TCP_KEEPCNT, &count, sizeof count);
    fake_setsockopt(FD, IPPROTO_TCP, TCP_USER_TIMEOUT, &longest, sizeof longest);
    ck_assert(nd_tcp_ended_by_keepalive(FD, &info) == (_i == 1));
}
END_TEST

/* Of three probes; a reset may leave some, and repeats. An answer of nothing leaves nothing of what stood on the stack
 * before. */
START_TEST(keepalive_leaves_all_its_probes) {
    struct nd_sock *sock = nd_sock_created(FD, ND_SOCK_STREAM | ND_SOCK_INET | ND_SOCK_CONNECTED);
    static const uint8_t probes[] = {3, 4, 2, 0, 3};
    const int count = 3;
    fake.info =
        (struct tcp_info){.tcpi_state = TCP_CLOSE, .tcpi_probes = probes[_i], .tcpi_retransmits = 5 * (_i == 3)};
    fake.info_length = _i == 4 ? 1 : 4;
    fake_setsockopt(FD, IPPROTO_TCP, TCP_KEEPCNT, &count, sizeof count);
    ck_assert(nd_ended_by_kernel(FD, sock) == (_i < 2));
    fake.info.tcpi_state = TCP_CLOSE_WAIT;
    ck_assert(!nd_ended_by_kernel(FD, nd_sock_created(FD, ND_SOCK_STREAM | ND_SOCK_INET)));
    nd_sock_clear(FD);
}
END_TEST

#define COUNT(array) ((int)(sizeof(array) / sizeof(array)[0]))

/* A question that was sent again so often, the last time so long ago. The first time was after 200 ms. */
static struct nd_tcp_info sent_again(unsigned times, nd_time ago) {
    const nd_time first = 200 * ND_MSEC, outstanding = ((1 << times) - 1) * first + ago;
    return (struct nd_tcp_info){.known = ND_TCP_TIMES,
                                .state = TCP_ESTABLISHED,
                                .unacked = 1,
                                .backoff = (uint8_t)times,
                                .rto = first << times,
                                .last_data_sent = ago,
                                .last_ack_recv = outstanding};
}

START_TEST(an_answer_to_what_is_sent_at_the_limit_is_awaited) {
    struct nd_tcp_info before = sent_again(3, 1600 * ND_MSEC), late = sent_again(3, 1800 * ND_MSEC),
                       after = sent_again(4, 60 * ND_MSEC);
    ck_assert_int_eq(nd_tcp_answer_awaited(&before, 3 * ND_SEC, 3 * ND_SEC), 100 * ND_MSEC);
    ck_assert_int_eq(nd_tcp_answer_awaited(&late, 3200 * ND_MSEC, 3 * ND_SEC), 100 * ND_MSEC); /* the timer is late */
    ck_assert_int_eq(nd_tcp_answer_awaited(&after, 3060 * ND_MSEC, 3 * ND_SEC), 40 * ND_MSEC);
    after = sent_again(4, 200 * ND_MSEC);
    ck_assert_int_eq(nd_tcp_answer_awaited(&after, 3200 * ND_MSEC, 3 * ND_SEC), 0);
}
END_TEST

START_TEST(nothing_is_awaited_that_is_due_long_after_the_limit) {
    struct nd_tcp_info early = sent_again(3, 600 * ND_MSEC), short_limit = sent_again(1, 300 * ND_MSEC),
                       busy = sent_again(4, 0);
    ck_assert_int_eq(nd_tcp_answer_awaited(&early, 2 * ND_SEC, 2 * ND_SEC), 0);
    ck_assert_int_eq(nd_tcp_answer_awaited(&short_limit, 500 * ND_MSEC, 500 * ND_MSEC), 0);
    ck_assert_int_gt(nd_tcp_answer_awaited(&busy, 3200 * ND_MSEC, 3 * ND_SEC), 0); /* more is sent all the time */
    ck_assert_int_eq(nd_tcp_answer_awaited(&busy, 3700 * ND_MSEC, 3 * ND_SEC), 0);
}
END_TEST

START_TEST(nothing_is_awaited_where_nothing_is_sent_again) {
    struct nd_tcp_info one = sent_again(3, 600 * ND_MSEC);
    ck_assert_int_eq(nd_tcp_answer_awaited(&one, 1 * ND_SEC, 2 * ND_SEC), 0);
    one.unacked = 0; /* a probe: counted to the last one as it is */
    ck_assert_int_eq(nd_tcp_answer_awaited(&one, 2 * ND_SEC, 2 * ND_SEC), 0);
    one.unacked = 1;
    one.state = TCP_FIN_WAIT1;
    ck_assert_int_eq(nd_tcp_answer_awaited(&one, 2 * ND_SEC, 2 * ND_SEC), 0);
}
END_TEST

START_TEST(a_peer_that_is_heard_and_does_not_hear_is_not_waited_for) {
    struct nd_tcp_info one = sent_again(5, 2 * ND_SEC);
    one.last_ack_recv = 2500 * ND_MSEC;
    ck_assert_int_eq(nd_tcp_answer_awaited(&one, 2500 * ND_MSEC, 2 * ND_SEC), 0);
}
END_TEST

START_TEST(an_answer_to_what_was_sent_just_before_the_limit_is_awaited) {
    struct nd_tcp_info one = sent_again(4, 40 * ND_MSEC);
    ck_assert_int_eq(nd_tcp_answer_awaited(&one, 3 * ND_SEC, 3 * ND_SEC), 60 * ND_MSEC);
    one.last_data_sent = 100 * ND_MSEC; /* it has not come */
    ck_assert_int_eq(nd_tcp_answer_awaited(&one, 3 * ND_SEC, 3 * ND_SEC), 0);
}
END_TEST

/* After 0.2 s from the last answer, then 0.4, 0.8 and 1.6 s. */
START_TEST(an_answer_to_a_window_probe_is_awaited) {
    struct nd_tcp_info one = sent_again(4, 60 * ND_SEC);
    one.unacked = 0;
    one.probes = 4;
    one.rto = 200 * ND_MSEC;
    one.last_ack_recv = 3040 * ND_MSEC;
    ck_assert_int_eq(nd_tcp_unacked_for(&one), 2800 * ND_MSEC);
    ck_assert_int_eq(nd_tcp_answer_awaited(&one, 2800 * ND_MSEC, 2 * ND_SEC), 60 * ND_MSEC);
    one.last_ack_recv = 3100 * ND_MSEC;
    ck_assert_int_eq(nd_tcp_answer_awaited(&one, 2800 * ND_MSEC, 2 * ND_SEC), 0);
}
END_TEST

/* After 0.2, 0.4 and 0.8 s, and 0.6 s since. */
START_TEST(retransmissions_that_fail_on_this_host_are_no_sendings) {
    struct nd_tcp_info one = sent_again(3, 2 * ND_SEC);
    one.retransmits = 3;
    one.retransmitted = 1;
    ck_assert_int_eq(nd_tcp_unacked_for(&one), 3400 * ND_MSEC);
    one.retransmitted = 0;
    ck_assert_int_eq(nd_tcp_unacked_for(&one), 2 * ND_SEC);
    ck_assert_int_eq(nd_tcp_timer_runs_for(&one), 600 * ND_MSEC);
}
END_TEST

/* It was sent by probes, the first after 0.2 s; the kernel may let the time between two grow to a second. */
START_TEST(probes_with_data_are_sendings) {
    struct nd_tcp_info one = sent_again(1, 100 * ND_MSEC);
    one.unacked = 0;
    one.probes = 1;
    one.rto = 200 * ND_MSEC;
    one.last_ack_recv = 60 * ND_SEC;
    ck_assert_int_eq(nd_tcp_unacked_for(&one), 300 * ND_MSEC);
    ck_assert_int_eq(nd_tcp_next_timeout(&one), 400 * ND_MSEC);
    one.probes = one.backoff = 6;
    ck_assert_int_eq(nd_tcp_unacked_for(&one), 12700 * ND_MSEC);
    one.longest = ND_SEC;
    ck_assert_int_eq(nd_tcp_unacked_for(&one), 4500 * ND_MSEC);
    ck_assert_int_eq(nd_tcp_next_timeout(&one), ND_SEC);
    one.last_data_sent = 900 * ND_MSEC; /* after 4.4 s */
    ck_assert_int_gt(nd_tcp_answer_awaited(&one, 5300 * ND_MSEC, 5300 * ND_MSEC), 0);
}
END_TEST

void add_tests(TCase *tests) {
    tcase_add_checked_fixture(tests, start, stop);
    tcase_add_test(tests, reads_what_the_kernel_reports);
    tcase_add_loop_test(tests, answers_of_any_length, 0, COUNT(answers));
    tcase_add_test(tests, a_short_answer_leaves_the_rest_unknown);
    tcase_add_loop_test(tests, a_filter_leaves_other_signs_of_the_state, 0, COUNT(signs));
    tcase_add_loop_test(tests, what_is_no_tcp_socket_has_no_state, 0, 2);
    tcase_add_loop_test(tests, a_reply_is_pending, 0, COUNT(replies));
    tcase_add_test(tests, who_made_a_connection);
    tcase_add_loop_test(tests, probes_of_keepalive_are_the_kernels, 0, 2);
    tcase_add_test(tests, retransmissions_that_fail_on_this_host_are_no_sendings);
    tcase_add_test(tests, probes_with_data_are_sendings);
    tcase_add_loop_test(tests, a_user_timeout_counts_the_time_of_probing, 0, 3);
    tcase_add_loop_test(tests, keepalive_leaves_all_its_probes, 0, 5);
    tcase_add_test(tests, an_answer_to_what_is_sent_at_the_limit_is_awaited);
    tcase_add_test(tests, an_answer_to_what_was_sent_just_before_the_limit_is_awaited);
    tcase_add_test(tests, an_answer_to_a_window_probe_is_awaited);
    tcase_add_test(tests, nothing_is_awaited_that_is_due_long_after_the_limit);
    tcase_add_test(tests, nothing_is_awaited_where_nothing_is_sent_again);
    tcase_add_test(tests, a_peer_that_is_heard_and_does_not_hear_is_not_waited_for);
}
