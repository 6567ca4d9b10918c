#include "shim/socket/mptcp.h"

#include "shim/socket/tcp_info.h"
#include "tests/unit/fake_kernel.h"
#include "tests/unit/unit.h"

/* The parts of an answer to MPTCP_INFO that are looked at, by where they stand. */
static unsigned char answer[96];

static void put(size_t at, uint64_t value, size_t size) {
    memcpy(answer + at, &value, size);
}

static struct nd_tcp_info first; /* what TCP_INFO says of the first subflow */

static void start(void) {
    fake_start();
    memset(answer, 0, sizeof answer);
    put(64, 700, 8);  /* bytes received */
    put(72, 600, 8);  /* bytes acknowledged */
    put(80, 1, 1);    /* subflows */
    put(84, 1000, 4); /* ms since data were sent */
    put(88, 2000, 4); /* received */
    put(92, 3000, 4); /* acknowledged */
    first = (struct nd_tcp_info){.known = ND_TCP_TIMES | ND_TCP_BYTES | ND_TCP_SENT,
                                 .state = TCP_ESTABLISHED,
                                 .unacked = 3,
                                 .probes = 2,
                                 .last_ack_recv = 90 * ND_SEC,
                                 .last_data_recv = 90 * ND_SEC};
}

static void merge(size_t length, bool connected) {
    struct nd_mptcp_info whole;
    nd_mptcp_info_decode(&whole, answer, length);
    nd_tcp_info_merge(&first, &whole, connected);
}

START_TEST(the_whole_connection_counts) {
    merge(sizeof answer, true);
    ck_assert_uint_eq(first.bytes_acked, 600);
    ck_assert_uint_eq(first.bytes_received, 700);
    ck_assert_int_eq(first.last_data_sent, ND_SEC);
    ck_assert_int_eq(first.last_data_recv, 2 * ND_SEC);
    ck_assert_int_eq(first.last_ack_recv, 3 * ND_SEC);
    ck_assert_uint_eq(first.known, ND_TCP_TIMES | ND_TCP_BYTES);
    ck_assert(nd_tcp_unanswered(&first)); /* by its only subflow */
}
END_TEST

/* By the count of those besides the first (which alone is known before Linux 6.5), or of all. */
static const size_t counts[] = {0, 80};

START_TEST(a_first_subflow_that_is_gone_proves_nothing) {
    put(counts[_i], 2, 1);
    first.state = TCP_CLOSE;
    merge(sizeof answer, true);
    ck_assert(nd_tcp_established(&first));
    ck_assert(!nd_tcp_unanswered(&first));
    ck_assert(!nd_tcp_ended_by_keepalive(-1, &first));
    first.state = TCP_ESTABLISHED;
    merge(sizeof answer, false); /* nothing is left */
    ck_assert_uint_eq(first.state, TCP_CLOSE);
}
END_TEST

START_TEST(what_an_old_kernel_does_not_tell_counts_as_moved) {
    put(0, 1, 1);
    merge(48, true);
    ck_assert_int_eq(first.last_data_recv, 0);
    ck_assert_int_eq(first.last_ack_recv, 0);
}
END_TEST

START_TEST(a_pending_connect_stays_one) {
    put(80, 0, 1);
    first.state = TCP_SYN_SENT;
    merge(sizeof answer, false);
    ck_assert_uint_eq(first.state, TCP_SYN_SENT);
}
END_TEST

void add_tests(TCase *tests) {
    tcase_add_checked_fixture(tests, start, NULL);
    tcase_add_test(tests, the_whole_connection_counts);
    tcase_add_loop_test(tests, a_first_subflow_that_is_gone_proves_nothing, 0, 2);
    tcase_add_test(tests, what_an_old_kernel_does_not_tell_counts_as_moved);
    tcase_add_test(tests, a_pending_connect_stays_one);
}
