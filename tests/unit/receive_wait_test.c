#include "shim/call/receive_wait.h"

#include <stdlib.h>

#include "shim/limit/carry_over.h"
#include "tests/unit/fake_calls.h"
#include "tests/unit/unit.h"

#define NONE                                                                                                           \
    { -1, EAGAIN, 0, 0, 0 }
#define INPUT                                                                                                          \
    { 1, 0, POLLIN, 0, 0 }
#define SILENT(time)                                                                                                   \
    { 0, 0, 0, time, 0 }

static struct nd_receive_call call_with(int flags) {
    return (struct nd_receive_call){.kind = ND_RECV, .fd = FD, .buf = bytes, .len = 10, .flags = flags};
}

static enum nd_slot_end how;

/* A call under SO_RCVTIMEO began `ago`, and has returned `result` with `error`. */
static ssize_t kernel_timed(const struct answer *script, int flags, nd_time ago, ssize_t result, int error) {
    const struct nd_receive_call call = call_with(flags);
    kernel.script = script;
    kernel.answers = kernel.polls = kernel.calls = 0;
    errno = error;
    return nd_receive_kernel_timed_result(&call, sock, fake.now - ago, result, &how);
}

static ssize_t polled(const struct answer *script, int flags, nd_time limit) {
    const struct nd_receive_call call = call_with(flags);
    kernel.script = script;
    kernel.answers = kernel.polls = kernel.calls = 0;
    return nd_receive_polled(&call, sock, limit);
}

/* RECV is 3 s, and the kernel has seen no bytes for long. */
static void start_limited(void) {
    start();
    nd_settings.outbound.recv = 3 * ND_SEC;
    fake.info.tcpi_last_data_recv = 60000;
    nd_sock_change(FD, sock, ND_SOCK_RCVTIMEO, 0);
}

static void check_expiry(const char *limit, const char *operation) {
    ck_assert_uint_eq(fake.told, 1);
    ck_assert_str_eq(fake.last.limit, limit);
    ck_assert_str_eq(fake.last.operation, operation);
}

/* --- results of calls that the kernel times --- */

START_TEST(the_kernels_timer_is_recv) {
    const struct answer script[] = {SILENT(0)};
    ck_assert_int_eq(kernel_timed(script, 0, 3 * ND_SEC, -1, EAGAIN), -1);
    ck_assert_int_eq(errno, ETIMEDOUT);
    ck_assert_int_eq(how, ND_SLOT_EXPIRED);
    check_expiry("RECV", "recv");
    ck_assert_int_gt(fake.disconnects, 0);
}
END_TEST

/* Two seconds are left since another thread has read. */
START_TEST(bytes_that_another_thread_has_read_end_the_silence) {
    const struct answer script[] = {SILENT(1999 * ND_MSEC), INPUT, {10, 0, 0, 0, 0}};
    fake.info.tcpi_last_data_recv = 999;
    ck_assert_int_eq(kernel_timed(script, 0, 3 * ND_SEC, -1, EAGAIN), 10);
    ck_assert_int_eq(how, ND_SLOT_DONE);
    ck_assert_int_eq(kernel.timeouts[0], 2000);
    ck_assert_uint_eq(fake.told, 0);
}
END_TEST

START_TEST(a_shorter_timeout_is_the_programs_own) {
    ck_assert_int_eq(kernel_timed(NULL, 0, ND_SEC, -1, EAGAIN), -1);
    ck_assert_int_eq(errno, EAGAIN);
    ck_assert_int_eq(how, ND_SLOT_QUIET);
}
END_TEST

/* A second is over, and a tick of the coarse clock is not counted. */
START_TEST(an_interruption_that_the_program_does_not_see) {
    const struct answer script[] = {SILENT(2010 * ND_MSEC), SILENT(0)};
    handle(SIGUSR1, SA_RESTART);
    ck_assert_int_eq(kernel_timed(script, 0, ND_SEC, -1, EINTR), -1);
    ck_assert_int_eq(errno, ETIMEDOUT);
    ck_assert_int_eq(kernel.timeouts[0], 2010);
}
END_TEST

/* With a timeout of the program's own the kernel shows each. The time counts in the next call. */
START_TEST(an_interruption_that_it_sees) {
    const struct answer script[] = {NONE, SILENT(2010 * ND_MSEC), SILENT(0)};
    handle(SIGUSR1, _i == 0 ? 0 : SA_RESTART);
    sock->own_rcvtimeo = _i == 0 ? 0 : 9000000;
    ck_assert_int_eq(kernel_timed(NULL, 0, ND_SEC, -1, EINTR), -1);
    ck_assert_int_eq(errno, EINTR);
    ck_assert_int_eq(how, ND_SLOT_DONE);
    ck_assert_int_eq(polled(script, 0, 3 * ND_SEC), -1);
    ck_assert_int_eq(errno, ETIMEDOUT);
    ck_assert_int_eq(kernel.timeouts[0], 2010);
}
END_TEST

START_TEST(the_kernels_own_timers) {
    ck_assert_int_eq(kernel_timed(NULL, 0, ND_SEC, -1, ETIMEDOUT), -1);
    ck_assert_int_eq(errno, ETIMEDOUT);
    ck_assert_int_eq(how, ND_SLOT_EXPIRED);
    ck_assert(nd_sock_flags(sock) & ND_SOCK_EXPIRED);
}
END_TEST

START_TEST(peeking_for_all_of_it_counts_as_expired) {
    fake.info.tcpi_last_data_recv = 3000;
    ck_assert_int_eq(kernel_timed(NULL, MSG_PEEK | MSG_WAITALL, 3 * ND_SEC, 4, 0), -1);
    ck_assert_int_eq(errno, ETIMEDOUT);
    ck_assert_int_eq(how, ND_SLOT_EXPIRED);
    check_expiry("RECV", "recv");
}
END_TEST

/* --- MSG_WAITALL --- */

START_TEST(it_gathers_while_bytes_come) {
    const struct answer script[] = {SILENT(2 * ND_SEC), INPUT, {3, 0, 0, 0, 0},
                                    SILENT(2 * ND_SEC), INPUT, {3, 0, 0, 0, 0}};
    fake.info.tcpi_last_data_recv = 0;
    ck_assert_int_eq(kernel_timed(script, MSG_WAITALL, 3 * ND_SEC, 4, 0), 10);
    ck_assert_int_eq(kernel.timeouts[0], 2999);
    ck_assert_int_eq(kernel.timeouts[2], 3000);
    ck_assert_uint_eq(kernel.asked[1].offset, 7);
    ck_assert_uint_eq(kernel.asked[1].len, 3);
    ck_assert_int_eq(how, ND_SLOT_DONE);
}
END_TEST

START_TEST(the_first_bytes_end_the_silence_too) {
    const struct answer script[] = {NONE, {1, 0, POLLIN, 2 * ND_SEC, 0}, {4, 0, 0, 0, 0}, INPUT, {6, 0, 0, 0, 0}};
    ck_assert_int_eq(polled(script, MSG_WAITALL, 3 * ND_SEC), 10);
    ck_assert_int_eq(kernel.timeouts[1], 3000);
}
END_TEST

START_TEST(silence_ends_it_with_what_there_is) {
    const struct answer script[] = {INPUT, {3, 0, 0, 0, 0}, SILENT(3 * ND_SEC), SILENT(0)};
    ck_assert_int_eq(kernel_timed(script, MSG_WAITALL, 3 * ND_SEC, 4, 0), 7);
    ck_assert_int_eq(how, ND_SLOT_EXPIRED);
    check_expiry("RECV", "recv");
}
END_TEST

static const struct answer ends[][3] = {{{1, 0, POLLIN | POLLHUP, 0, 0}},
                                        {{-1, EINTR, 0, 0, 0}},
                                        {INPUT, {-1, ECONNRESET, 0, 0, 0}},
                                        {INPUT, {0, 0, 0, 0, 0}}};

/* An error stays for the next call. */
START_TEST(an_end_ends_it_with_what_there_is) {
    fake.info.tcpi_last_data_recv = 1000;
    handle(SIGUSR1, 0);
    ck_assert_int_eq(kernel_timed(ends[_i], MSG_WAITALL, 3 * ND_SEC, 4, 0), 4);
    ck_assert_int_eq(how, ND_SLOT_DONE);
    ck_assert_int_eq(kernel.calls, _i < 2 ? 0 : 1);
}
END_TEST

START_TEST(a_message_is_gathered_in_the_middle_of_a_buffer) {
    const struct answer script[] = {{5, 0, 0, 0, 0}, INPUT, {2, 0, 0, 0, 0}, INPUT, {3, 0, 0, 0, 0}};
    struct iovec iov[] = {{bytes, 4}, {bytes + 4, 3}, {bytes + 7, 3}};
    struct msghdr msg = {.msg_iov = iov, .msg_iovlen = 3};
    const struct nd_receive_call call = {.kind = ND_RECVMSG, .fd = FD, .buf = &msg, .len = 1, .flags = MSG_WAITALL};
    kernel.script = script;
    ck_assert_int_eq(nd_receive_polled(&call, sock, 3 * ND_SEC), 10);
    ck_assert(kernel.asked[1].offset == 5 && kernel.asked[1].len == 2);
    ck_assert(kernel.asked[2].offset == 7 && kernel.asked[2].len == 3);
}
END_TEST

/* --- calls that wait in poll --- */

START_TEST(it_tries_first) {
    const struct answer script[] = {{4, 0, 0, 0, 0}};
    ck_assert_int_eq(polled(script, 0, 3 * ND_SEC), 4);
    ck_assert_int_eq(kernel.asked[0].flags, MSG_DONTWAIT);
    ck_assert_int_eq(kernel.polls, 0);
}
END_TEST

/* poll was wrong (a bad checksum, or another thread was first). */
START_TEST(it_waits_again_where_nothing_was_there) {
    const struct answer script[] = {NONE, INPUT, NONE, SILENT(ND_SEC), INPUT, {4, 0, 0, 0, 0}};
    ck_assert_int_eq(polled(script, 0, 3 * ND_SEC), 4);
}
END_TEST

START_TEST(idle_names_the_call) {
    const struct answer script[] = {NONE, SILENT(2 * ND_SEC), SILENT(0), SILENT(0)};
    nd_settings.outbound.idle = 2 * ND_SEC;
    ck_assert_int_eq(polled(script, 0, 3 * ND_SEC), -1);
    ck_assert_int_eq(errno, ETIMEDOUT);
    check_expiry("IDLE", "recv");
}
END_TEST

START_TEST(the_programs_own_timeout) {
    const struct answer script[] = {NONE, SILENT(ND_SEC)};
    sock->own_rcvtimeo = 1000000;
    ck_assert_int_eq(polled(script, 0, 3 * ND_SEC), -1);
    ck_assert_int_eq(errno, EAGAIN);
    ck_assert_int_eq(nd_carried_over_receive(sock, fake.now), fake.now - ND_SEC);
}
END_TEST

/* Bytes fewer than SO_RCVLOWAT are not read before, but where the wait ends without more. */
START_TEST(fewer_bytes_than_lowat) {
    const struct answer enough[] = {INPUT, {8, 0, 0, 0, 0}}, few[] = {SILENT(ND_SEC), {2, 0, 0, 0, 0}};
    nd_sock_change(FD, sock, ND_SOCK_LOWAT, 0);
    sock->own_rcvtimeo = 1000000;
    ck_assert_int_eq(polled(enough, 0, 3 * ND_SEC), 8);
    ck_assert_int_eq(polled(few, 0, 3 * ND_SEC), 2);
    ck_assert(!(nd_sock_flags(sock) & ND_SOCK_CARRIED_IN));
}
END_TEST

/* Where a call with MSG_DONTWAIT gets EAGAIN for ever, the plain call returns 0. */
START_TEST(a_datagram_socket_that_is_shut_down) {
    const struct answer script[] = {NONE, INPUT, NONE, {0, 0, 0, 0, 0}};
    nd_sock_change(FD, sock, ND_SOCK_CLIENT, ND_SOCK_STREAM);
    kernel.state = POLLRDHUP;
    ck_assert_int_eq(polled(script, 0, 3 * ND_SEC), 0);
    ck_assert_int_eq(kernel.asked[2].flags, 0);
}
END_TEST

START_TEST(a_datagram_socket_outlives_its_limit) {
    const struct answer script[] = {NONE, SILENT(3 * ND_SEC), SILENT(0)};
    nd_sock_change(FD, sock, ND_SOCK_CLIENT, ND_SOCK_STREAM);
    ck_assert_int_eq(polled(script, 0, 3 * ND_SEC), -1);
    ck_assert_int_eq(errno, ETIMEDOUT);
    check_expiry("RECV", "recv");
    ck_assert_int_eq(fake.disconnects, 0);
}
END_TEST

/* --- in a TLS operation --- */

/* The operation began a second ago, and has waited since, or worked since `stands_since`. */
static ssize_t scoped(const struct answer *script, nd_time stands_since) {
    const struct nd_receive_call call = call_with(0);
    struct nd_scope scope = {.operation = "SSL_connect",
                             .fd = FD,
                             .limit = ND_LIMIT_TLS_HANDSHAKE,
                             .began = fake.now - ND_SEC,
                             .timeout = 5 * ND_SEC,
                             .stands_since = stands_since};
    kernel.script = script;
    const ssize_t result = nd_receive_scoped(&call, sock, &scope);
    ck_assert(scope.stands_since == fake.now || !kernel.timeouts[0]);
    return result;
}

START_TEST(what_is_left_of_the_operation) {
    const struct answer script[] = {NONE, SILENT(4 * ND_SEC), SILENT(0)};
    ck_assert_int_eq(scoped(script, ND_NEVER), -1);
    ck_assert_int_eq(errno, ETIMEDOUT);
    ck_assert_int_eq(kernel.timeouts[0], 4000);
    check_expiry("TLS_HANDSHAKE", "SSL_connect");
}
END_TEST

/* What the operation itself has worked does not count. */
START_TEST(its_clock_stands_while_it_does_not_wait) {
    const struct answer script[] = {NONE, SILENT(5 * ND_SEC), SILENT(0)};
    ck_assert_int_eq(scoped(script, fake.now - ND_SEC), -1);
    ck_assert_int_eq(kernel.timeouts[0], 5000);
}
END_TEST

START_TEST(bytes_in_time) {
    const struct answer script[] = {NONE, INPUT, {4, 0, 0, 0, 0}};
    ck_assert_int_eq(scoped(script, ND_NEVER), 4);
}
END_TEST

void add_tests(TCase *tests) {
    tcase_add_checked_fixture(tests, start_limited, NULL);
    tcase_add_test(tests, the_kernels_timer_is_recv);
    tcase_add_test(tests, bytes_that_another_thread_has_read_end_the_silence);
    tcase_add_test(tests, a_shorter_timeout_is_the_programs_own);
    tcase_add_test(tests, an_interruption_that_the_program_does_not_see);
    tcase_add_loop_test(tests, an_interruption_that_it_sees, 0, 2);
    tcase_add_test(tests, the_kernels_own_timers);
    tcase_add_test(tests, peeking_for_all_of_it_counts_as_expired);
    tcase_add_test(tests, it_gathers_while_bytes_come);
    tcase_add_test(tests, the_first_bytes_end_the_silence_too);
    tcase_add_test(tests, silence_ends_it_with_what_there_is);
    tcase_add_loop_test(tests, an_end_ends_it_with_what_there_is, 0, 4);
    tcase_add_test(tests, a_message_is_gathered_in_the_middle_of_a_buffer);
    tcase_add_test(tests, it_tries_first);
    tcase_add_test(tests, it_waits_again_where_nothing_was_there);
    tcase_add_test(tests, idle_names_the_call);
    tcase_add_test(tests, the_programs_own_timeout);
    tcase_add_test(tests, fewer_bytes_than_lowat);
    tcase_add_test(tests, a_datagram_socket_that_is_shut_down);
    tcase_add_test(tests, a_datagram_socket_outlives_its_limit);
    tcase_add_test(tests, what_is_left_of_the_operation);
    tcase_add_test(tests, its_clock_stands_while_it_does_not_wait);
    tcase_add_test(tests, bytes_in_time);
}
