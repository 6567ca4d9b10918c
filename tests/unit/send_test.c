#include "shim/call/send.h"

#include <stdlib.h>

#include "shim/socket/change.h"
#include "tests/unit/fake_calls.h"
#include "tests/unit/unit.h"

#define FULL                                                                                                           \
    { -1, EAGAIN, 0, 0, 0 }
#define SPACE                                                                                                          \
    { 1, 0, POLLOUT, 0, 0 }

static ssize_t send_with(const struct answer *script, int flags) {
    const struct nd_send_call call = {.kind = ND_SEND, .fd = FD, .buf = bytes, .len = 10, .flags = flags};
    kernel.script = script;
    kernel.answers = kernel.polls = kernel.calls = 0;
    errno = 77;
    return nd_send(&call);
}

static void limit(nd_time send, nd_time unacked) {
    nd_settings.outbound.send = send;
    nd_settings.outbound.unacked = unacked;
    nd_sock_change(FD, sock, 0, 0);
}

static void start_limited(void) {
    start();
    limit(3 * ND_SEC, 0);
}

START_TEST(what_fits_is_one_call) {
    const struct answer script[] = {{10, 0, 0, 0, 0}};
    ck_assert_int_eq(send_with(script, MSG_MORE), 10);
    ck_assert_int_eq(errno, 77);
    ck_assert_int_eq(kernel.asked[0].flags, MSG_MORE | MSG_DONTWAIT | MSG_NOSIGNAL);
    ck_assert_int_eq(kernel.polls, 0);
}
END_TEST

/* After each wait it sends until the buffer is full, and waits again. */
START_TEST(the_rest_follows) {
    const struct answer script[] = {{3, 0, 0, 0, 0}, FULL, SPACE, {2, 0, 0, 0, 0},
                                    {1, 0, 0, 0, 0}, FULL, SPACE, {4, 0, 0, 0, 0}};
    ck_assert_int_eq(send_with(script, 0), 10);
    ck_assert_int_eq(errno, 77);
    ck_assert_int_eq(kernel.polls, 2);
    ck_assert_int_eq(kernel.calls, 6);
    ck_assert_uint_eq(kernel.asked[5].offset, 6);
    ck_assert_uint_eq(kernel.asked[5].len, 4);
}
END_TEST

START_TEST(non_blocking_calls_do_not_wait) {
    const struct answer script[] = {FULL, FULL};
    kernel.nonblocking = _i == 0;
    ck_assert_int_eq(send_with(script, _i == 1 ? MSG_DONTWAIT : 0), -1);
    ck_assert_int_eq(errno, EAGAIN);
    ck_assert_int_eq(kernel.calls, 1);
    ck_assert_int_eq(kernel.polls, 0);
}
END_TEST

static ssize_t send_message(const struct answer *script, struct iovec *iov, size_t count, void *control, size_t len) {
    const struct msghdr msg = {.msg_iov = iov, .msg_iovlen = count, .msg_control = control, .msg_controllen = len};
    kernel.script = script;
    return nd_send(&(struct nd_send_call){.kind = ND_SENDMSG, .fd = FD, .msg = &msg});
}

/* A buffer that was sent in part is a piece of its own, marked as one if others follow. */
START_TEST(a_message_goes_on_in_the_middle_of_a_buffer) {
    struct iovec iov[] = {{bytes, 4}, {bytes + 4, 0}, {bytes + 4, 6}};
    const struct answer script[] = {{2, 0, 0, 0, 0}, {2, 0, 0, 0, 0}, {3, 0, 0, 0, 0}, {3, 0, 0, 0, 0}};
    ck_assert_int_eq(send_message(script, iov, 3, NULL, 0), 10);
    ck_assert_int_eq(kernel.calls, 4);
    const struct question *first = &kernel.asked[1], *whole = &kernel.asked[2], *last = &kernel.asked[3];
    ck_assert(first->offset == 2 && first->len == 2 && first->vectors == 1 && (first->flags & MSG_MORE));
    ck_assert(whole->offset == 4 && whole->len == 6 && whole->vectors == 1 && !(whole->flags & MSG_MORE));
    ck_assert(last->offset == 7 && last->len == 3 && last->vectors == 1 && !(last->flags & MSG_MORE));
}
END_TEST

static const int levels[] = {SOL_SOCKET, 282 /* SOL_TLS */};

/* Descriptors go once; a TLS record type with each piece. */
START_TEST(control_data_goes_with_the_pieces_that_need_it) {
    union {
        struct cmsghdr header;
        char space[CMSG_SPACE(sizeof(int))];
    } control = {.header = {.cmsg_len = CMSG_LEN(sizeof(int)), .cmsg_level = levels[_i], .cmsg_type = 1}};
    struct iovec iov = {bytes, 10};
    const struct answer script[] = {{2, 0, 0, 0, 0}, {8, 0, 0, 0, 0}};
    ck_assert_int_eq(send_message(script, &iov, 1, &control, sizeof control), 10);
    ck_assert_uint_eq(kernel.asked[0].control, sizeof control);
    ck_assert_uint_eq(kernel.asked[1].control, _i == 0 ? 0 : sizeof control);
}
END_TEST

/* The kernel raises the signal in a second attempt, where the program would have had it. */
START_TEST(sigpipe_is_the_kernels) {
    const struct answer script[] = {{-1, EPIPE, 0, 0, 0}, {-1, EPIPE, 0, 0, 0}};
    ck_assert_int_eq(send_with(script, _i == 0 ? 0 : MSG_NOSIGNAL), -1);
    ck_assert_int_eq(errno, EPIPE);
    ck_assert_int_eq(kernel.calls, _i == 0 ? 2 : 1);
    ck_assert(kernel.calls == 1 || !(kernel.asked[1].flags & MSG_NOSIGNAL));
}
END_TEST

START_TEST(no_sigpipe_after_bytes) {
    const struct answer failed[] = {{3, 0, 0, 0, 0}, {-1, EPIPE, 0, 0, 0}};
    const struct answer ended[] = {{3, 0, 0, 0, 0}, FULL, {1, 0, POLLOUT | POLLHUP, 0, 0}};
    ck_assert_int_eq(send_with(_i == 0 ? failed : ended, 0), 3);
    ck_assert_int_eq(errno, 77);
    ck_assert_int_eq(kernel.calls, 2);
}
END_TEST

/* Acknowledged bytes leave the queue, and SEND counts anew. A call that has sent bytes returns their number. */
START_TEST(no_progress_for_send_ends_it) {
    const struct answer script[] = {
        {3, 0, 0, 0, 0},      FULL, {0, 0, 0, 2 * ND_SEC, 5}, {0, 0, 0, 2 * ND_SEC, 5}, {0, 0, 0, 999 * ND_MSEC, 5},
        {0, 0, 0, ND_MSEC, 5}};
    const nd_time began = fake.now;
    ck_assert_int_eq(send_with(script + _i, 0), _i == 0 ? 3 : -1);
    ck_assert_int_eq(errno, _i == 0 ? 77 : ETIMEDOUT);
    ck_assert_int_eq(fake.now - began, 5 * ND_SEC);
    ck_assert_uint_eq(fake.told, 1);
    ck_assert_str_eq(fake.last.limit, "SEND");
    ck_assert_str_eq(fake.last.operation, "send");
    ck_assert_int_gt(fake.disconnects, 0);
}
END_TEST

START_TEST(bytes_that_it_sends_are_progress) {
    const struct answer script[] = {FULL, {1, 0, POLLOUT, 2 * ND_SEC, 0}, {2, 0, 0, 0, 0},
                                    FULL, {0, 0, 0, 2 * ND_SEC, 0},       {0, 0, 0, ND_SEC, 0}};
    const nd_time began = fake.now;
    ck_assert_int_eq(send_with(script, 0), 2);
    ck_assert_int_eq(fake.now - began, 5 * ND_SEC);
    ck_assert_uint_eq(fake.told, 1);
}
END_TEST

START_TEST(nothing_acknowledged_for_unacked_ends_it) {
    const struct answer script[] = {FULL, {0, 0, 0, ND_SEC, 0}, {0, 0, 0, ND_SEC, 0}, {0, 0, 0, ND_SEC, 0}};
    limit(0, 3 * ND_SEC);
    fake.info.tcpi_unacked = 1;
    fake.info.tcpi_last_ack_recv = 60000;
    ck_assert_int_eq(send_with(script, 0), -1);
    ck_assert_int_eq(errno, ETIMEDOUT);
    ck_assert_str_eq(fake.last.limit, "UNACKED");
    ck_assert_int_eq(kernel.polls, 3);
}
END_TEST

/* What was waited until then counts in the next call. */
START_TEST(the_programs_own_timeout_is_shorter) {
    const struct answer own[] = {FULL, {0, 0, 0, ND_SEC, 0}}, next[] = {FULL, {0, 0, 0, 2 * ND_SEC, 0}};
    fake_option(SOL_SOCKET, SO_SNDTIMEO)->value.tv_sec = 1;
    ck_assert_int_eq(send_with(own, 0), -1);
    ck_assert_int_eq(errno, EAGAIN);
    ck_assert_uint_eq(fake.told, 0);
    fake_option(SOL_SOCKET, SO_SNDTIMEO)->value.tv_sec = 9;
    ck_assert_int_eq(send_with(next, 0), -1);
    ck_assert_int_eq(errno, ETIMEDOUT);
    ck_assert_int_eq(kernel.polls, 1);
}
END_TEST

/* Bytes are a success, whatever the handler says; without them SA_RESTART decides. */
START_TEST(a_signal_interrupts_as_it_does_a_plain_call) {
    const struct answer sent[] = {{3, 0, 0, 0, 0}, FULL, {-1, EINTR, 0, ND_SEC, 0}};
    const struct answer none[] = {FULL, {-1, EINTR, 0, ND_SEC, 0}, SPACE, {10, 0, 0, 0, 0}};
    handle(SIGUSR1, SA_RESTART);
    ck_assert_int_eq(send_with(sent, 0), 3);
    ck_assert_int_eq(send_with(none, 0), 10);
    handle(SIGUSR1, 0);
    ck_assert_int_eq(send_with(none, 0), -1);
    ck_assert_int_eq(errno, EINTR);
    ck_assert_int_eq(kernel.calls, 1);
}
END_TEST

static int no_select(int count, fd_set *in, fd_set *out, fd_set *except, const struct timespec *time,
                     const sigset_t *mask) {
    (void)count, (void)in, (void)out, (void)except, (void)time, (void)mask;
    errno = EPERM;
    return -1;
}

/* A filter denies poll and select: what is left is sent by a call that blocks. */
START_TEST(without_poll_the_kernel_waits) {
    const struct answer script[] = {{3, 0, 0, 0, 0}, FULL, {-1, EPERM, 0, 0, 0}, {7, 0, 0, 0, 0}};
    nd_real.pselect = no_select;
    ck_assert_int_eq(send_with(script, 0), 10);
    ck_assert_int_eq(kernel.asked[2].flags, MSG_NOSIGNAL);
    ck_assert_uint_eq(kernel.asked[2].offset, 3);
}
END_TEST

void add_tests(TCase *tests) {
    tcase_add_checked_fixture(tests, start_limited, NULL);
    tcase_add_test(tests, what_fits_is_one_call);
    tcase_add_test(tests, the_rest_follows);
    tcase_add_loop_test(tests, non_blocking_calls_do_not_wait, 0, 2);
    tcase_add_test(tests, a_message_goes_on_in_the_middle_of_a_buffer);
    tcase_add_loop_test(tests, control_data_goes_with_the_pieces_that_need_it, 0, 2);
    tcase_add_loop_test(tests, sigpipe_is_the_kernels, 0, 2);
    tcase_add_loop_test(tests, no_sigpipe_after_bytes, 0, 2);
    tcase_add_loop_test(tests, no_progress_for_send_ends_it, 0, 2);
    tcase_add_test(tests, bytes_that_it_sends_are_progress);
    tcase_add_test(tests, nothing_acknowledged_for_unacked_ends_it);
    tcase_add_test(tests, the_programs_own_timeout_is_shorter);
    tcase_add_test(tests, a_signal_interrupts_as_it_does_a_plain_call);
    tcase_add_test(tests, without_poll_the_kernel_waits);
}
