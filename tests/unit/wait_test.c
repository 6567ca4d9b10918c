#include "shim/wait/wait.h"

#include <fcntl.h>
#include <poll.h>
#include <unistd.h>

#include "tests/unit/fake_kernel.h"
#include "tests/unit/unit.h"

/* What successive polls return, each after a time. */
struct step {
    int result, error;
    short ready;
    nd_time lasts;
};

static const struct step *steps;
static int polls, timeouts[8];
static struct pollfd asked;

static int fake_poll(struct pollfd *fds, nfds_t count, int timeout_ms) {
    ck_assert_uint_eq(count, 1);
    ck_assert_int_lt(polls, 8);
    asked = fds[0];
    timeouts[polls] = timeout_ms;
    const struct step *step = &steps[polls++];
    fake.now += step->lasts;
    fds[0].revents = step->ready;
    errno = step->error;
    return step->result;
}

static enum nd_waited wait_with(const struct step *script, nd_time timeout) {
    steps = script;
    polls = 0;
    nd_real.poll = fake_poll;
    return nd_wait(7, POLLIN, nd_time_after(fake.now, timeout));
}

START_TEST(ready_is_ready) {
    static const struct step script[] = {{1, 0, POLLIN, ND_SEC}};
    ck_assert_int_eq(wait_with(script, 3 * ND_SEC), ND_READY);
    ck_assert_int_eq(polls, 1);
    ck_assert_int_eq(timeouts[0], 3000);
    ck_assert_int_eq(asked.fd, 7);
    ck_assert_int_eq(asked.events, POLLIN);
}
END_TEST

START_TEST(the_deadline_ends_it_and_not_before) {
    static const struct step script[] = {{0, 0, 0, 2999 * ND_MSEC}, {0, 0, 0, ND_MSEC}};
    ck_assert_int_eq(wait_with(script, 3 * ND_SEC), ND_TIMED_OUT);
    ck_assert_int_eq(polls, 2);
    ck_assert_int_eq(timeouts[1], 1);
}
END_TEST

START_TEST(never_is_never) {
    static const struct step script[] = {{0, 0, 0, ND_SEC}, {1, 0, POLLIN, 0}};
    ck_assert_int_eq(wait_with(script, ND_NEVER), ND_READY);
    ck_assert_int_eq(timeouts[0], -1);
}
END_TEST

START_TEST(a_handler_ends_it) {
    static const struct step script[] = {{-1, EINTR, 0, ND_SEC}};
    ck_assert_int_eq(wait_with(script, 3 * ND_SEC), ND_INTERRUPTED);
    ck_assert_int_eq(errno, EINTR);
}
END_TEST

static const short ends_of_streams[] = {POLLERR, POLLHUP, POLLIN | POLLERR, POLLIN | POLLHUP};

START_TEST(an_end_is_told_beside_what_is_ready) {
    const struct step script[] = {{1, 0, ends_of_streams[_i], 0}};
    ck_assert_int_eq(wait_with(script, 3 * ND_SEC), ND_ENDED_STREAM);
}
END_TEST

/* The call itself says better what is wrong. */
START_TEST(a_failed_poll_lets_the_call_try) {
    static const struct step script[] = {{-1, ENOMEM, 0, 0}};
    ck_assert_int_eq(wait_with(script, 3 * ND_SEC), ND_READY);
}
END_TEST

START_TEST(asks_the_kernel_for_the_mode) {
    int ends[2];
    nd_find_real();
    ck_assert_int_eq(pipe2(ends, O_NONBLOCK), 0);
    errno = 7;
    ck_assert(nd_nonblocking(ends[0]));
    fcntl(ends[0], F_SETFL, 0);
    ck_assert(!nd_nonblocking(ends[0]));
    close(ends[0]);
    close(ends[1]);
    errno = 7;
    ck_assert(!nd_nonblocking(ends[0]));
    ck_assert_int_eq(errno, 7);
}
END_TEST

void add_tests(TCase *tests) {
    tcase_add_checked_fixture(tests, fake_start, NULL);
    tcase_add_test(tests, ready_is_ready);
    tcase_add_test(tests, the_deadline_ends_it_and_not_before);
    tcase_add_test(tests, never_is_never);
    tcase_add_test(tests, a_handler_ends_it);
    tcase_add_loop_test(tests, an_end_is_told_beside_what_is_ready, 0, 4);
    tcase_add_test(tests, a_failed_poll_lets_the_call_try);
    tcase_add_test(tests, asks_the_kernel_for_the_mode);
}
