#include "shim/wait/wait.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/clock.h"
#include "shim/real.h"
#include "shim/report/slots.h"
#include "tests/unit/fake_kernel.h"
#include "tests/unit/unit.h"

/* What successive polls return, each after a time. */
struct step {
    int result, error;
    short ready;
    nd_time lasts;
};

static const struct step *steps;
static int polls, timeouts[8], selects, select_error;
static struct pollfd asked;

static int fake_poll(struct pollfd *fds, nfds_t count, int timeout_ms) {
    ck_assert_int_lt(polls, 8);
    timeouts[polls] = timeout_ms;
    const struct step *step = &steps[polls++];
    fake.now += step->lasts;
    if (count > 0) {
        asked = fds[0];
        fds[0].revents = step->ready;
    }
    errno = step->error;
    return step->result;
}

static int fake_pselect(int count, fd_set *in, fd_set *out, fd_set *except, const struct timespec *timeout,
                        const sigset_t *mask) {
    (void)except, (void)mask;
    ck_assert_int_eq(count, 8);
    ck_assert(FD_ISSET(7, in) && !out);
    selects++;
    fake.now += timeout->tv_sec * ND_SEC + timeout->tv_nsec;
    errno = select_error;
    return select_error ? -1 : 0;
}

/* A limit that fires at a time. */
struct bounded {
    struct nd_wait wait;
    nd_time end;
};

static bool fired(struct nd_wait *wait, nd_time now, nd_time *next) {
    *next = ((struct bounded *)wait)->end;
    wait->expiry = (struct nd_expiry){.limit = "RECV", .timeout = 3 * ND_SEC};
    return now >= *next;
}

static struct nd_sock sock;

static void begin(const struct step *script) {
    for (int i = 1; i < 32; i++) /* Check has handlers of its own */
        signal(i, SIG_DFL);
    steps = script;
    polls = selects = select_error = 0;
    nd_real.poll = fake_poll;
    nd_real.pselect = fake_pselect;
}

static struct bounded prepare(const struct step *script, short events, nd_time own, nd_time end) {
    struct bounded bounded = {
        .wait = {.fd = 7, .sock = &sock, .events = events, .own = nd_time_after(fake.now, own), .fired = fired},
        .end = nd_time_after(fake.now, end)};
    begin(script);
    nd_wait_begin(&bounded.wait);
    return bounded;
}

static enum nd_waited wait_with(const struct step *script, nd_time own, nd_time end) {
    struct bounded bounded = prepare(script, POLLIN, own, end);
    const enum nd_waited how = nd_wait_for(&bounded.wait);
    ck_assert_int_eq(bounded.wait.how, how);
    return how;
}

START_TEST(ready_is_ready) {
    static const struct step script[] = {{1, 0, POLLIN, ND_SEC}};
    ck_assert_int_eq(wait_with(script, ND_NEVER, 3 * ND_SEC), ND_READY);
    ck_assert_int_eq(polls, 1);
    ck_assert_int_eq(timeouts[0], 3000);
    ck_assert_int_eq(asked.fd, 7);
    ck_assert_int_eq(asked.events, POLLIN);
}
END_TEST

/* The last poll asks whether bytes have come meanwhile. */
START_TEST(a_limit_ends_it_and_not_before) {
    static const struct step script[] = {{0, 0, 0, 2999 * ND_MSEC}, {0, 0, 0, ND_MSEC}, {0, 0, 0, 0}};
    ck_assert_int_eq(wait_with(script, ND_NEVER, 3 * ND_SEC), ND_EXPIRED);
    ck_assert_int_eq(polls, 3);
    ck_assert_int_eq(timeouts[1], 1);
    ck_assert_int_eq(timeouts[2], 0);
}
END_TEST

START_TEST(bytes_that_came_while_the_process_was_stopped_win) {
    static const struct step script[] = {{0, 0, 0, 30 * ND_SEC}, {1, 0, POLLIN, 0}};
    ck_assert_int_eq(wait_with(script, ND_NEVER, 3 * ND_SEC), ND_READY);
}
END_TEST

/* LIFETIME fires once: input that is there first must not use it up. */
START_TEST(lifetime_stays_due_where_there_is_input) {
    static const struct step script[] = {{0, 0, 0, 2 * ND_SEC}, {1, 0, POLLIN, 0}, {1, 0, POLLIN, 0},
                                         {0, 0, 0, 0},          {0, 0, 0, 0},      {0, 0, 0, 0}};
    struct bounded bounded = prepare(script, POLLIN, ND_NEVER, ND_NEVER);
    nd_settings.outbound.lifetime = 2 * ND_SEC;
    sock.flags = ND_SOCK_STREAM | ND_SOCK_INET | ND_SOCK_CONNECTED;
    sock.connection_clock.established = fake.now;
    bounded.wait.operation = ND_OPERATION_recv;
    ck_assert_int_eq(nd_wait_for(&bounded.wait), ND_READY);
    ck_assert_int_eq(timeouts[0], 2000);
    ck_assert_int_eq(polls, 3);
    ck_assert_int_eq(nd_wait_for(&bounded.wait), ND_EXPIRED);
    ck_assert_str_eq(bounded.wait.expiry.limit, "LIFETIME");
    ck_assert_str_eq(bounded.wait.expiry.operation, "recv");
    sock.flags = 0;
}
END_TEST

START_TEST(the_programs_own_timeout_ends_it) {
    static const struct step script[] = {{0, 0, 0, ND_SEC}};
    ck_assert_int_eq(wait_with(script, ND_SEC, 3 * ND_SEC), ND_OWN_TIMEOUT);
    ck_assert_int_eq(errno, EAGAIN);
}
END_TEST

START_TEST(never_is_never) {
    static const struct step script[] = {{0, 0, 0, ND_SEC}, {1, 0, POLLIN, 0}};
    ck_assert_int_eq(wait_with(script, ND_NEVER, ND_NEVER), ND_READY);
    ck_assert_int_eq(timeouts[0], -1);
}
END_TEST

/* With a timeout of the program's own the kernel shows each interruption; and no SA_RESTART handler goes on after
 * bytes. */
START_TEST(a_handler_ends_it) {
    static const struct step script[] = {{-1, EINTR, 0, ND_SEC}};
    struct bounded bounded = prepare(script, POLLIN, _i == 0 ? 9 * ND_SEC : ND_NEVER, 3 * ND_SEC);
    bounded.wait.moved = _i == 1;
    bounded.wait.shows_interruptions = _i == 2;
    ck_assert_int_eq(nd_wait_for(&bounded.wait), ND_INTERRUPTED);
    ck_assert_int_eq(errno, EINTR);
}
END_TEST

START_TEST(an_interruption_that_the_program_does_not_see_ends_nothing) {
    static const struct step script[] = {{-1, EINTR, 0, ND_SEC}, {1, 0, POLLIN, ND_SEC}};
    ck_assert_int_eq(wait_with(script, ND_NEVER, 3 * ND_SEC), ND_READY);
    ck_assert_int_eq(timeouts[1], 2000);
}
END_TEST

/* Marks the thread's slot as the command does. */
static int woken_poll(struct pollfd *fds, nfds_t count, int timeout_ms) {
    const int ready = fake_poll(fds, count, timeout_ms);
    for (int i = 0; ready < 0 && i < ND_SLOTS; i++)
        if (nd_slots.slot[i].tid)
            nd_slots.slot[i].woken = nd_slot_woken_mark(nd_slots.slot[i].sequence);
    return ready;
}

static unsigned renewals;

static void renew(struct nd_wait *wait) {
    ((struct bounded *)wait)->end -= ND_SEC;
    renewals++;
}

static void interrupt(int number) {
    (void)number;
}

/* Also where a signal would be shown to the program. The settings are looked at then. */
static enum nd_waited be_woken(const struct step *script, bool anew) {
    struct nd_slot_use use;
    const struct sigaction handler = {.sa_handler = interrupt};
    struct bounded bounded = prepare(script, POLLIN, ND_NEVER, 3 * ND_SEC);
    sigaction(SIGALRM, &handler, NULL);
    nd_real.poll = woken_poll;
    bounded.wait.anew = anew;
    bounded.wait.renew = renew;
    bounded.wait.settings--;
    renewals = 0;
    nd_slot_begin(&use, ND_OPERATION_recv, 7, fake.now, ND_NEVER, ND_LIMIT_NONE);
    const enum nd_waited how = nd_wait_for(&bounded.wait);
    const int error = errno;
    nd_slot_end(&use, ND_SLOT_DONE, fake.now);
    errno = error;
    return how;
}

START_TEST(the_command_wakes_it_and_it_goes_on) {
    static const struct step script[] = {{-1, EINTR, 0, ND_SEC}, {0, 0, 0, ND_SEC}, {0, 0, 0, 0}};
    ck_assert_int_eq(be_woken(script, false), ND_EXPIRED);
    ck_assert_uint_eq(renewals, 1);
    ck_assert_int_eq(timeouts[1], 1000);
}
END_TEST

START_TEST(the_command_wakes_it_and_it_is_made_anew) {
    static const struct step script[] = {{-1, EINTR, 0, ND_SEC}};
    ck_assert_int_eq(be_woken(script, true), ND_WOKEN);
    ck_assert_int_eq(errno, ERESTART);
    ck_assert(nd_starts_over(-1));
}
END_TEST

START_TEST(when_the_mode_becomes_observe_it_ends_no_more) {
    static const struct step script[] = {{0, 0, 0, 3 * ND_SEC}, {1, 0, POLLIN, 7 * ND_SEC}};
    nd_observing = true;
    ck_assert_int_eq(wait_with(script, ND_NEVER, 3 * ND_SEC), ND_READY);
    nd_observing = false;
    ck_assert_uint_eq(fake.told, 1);
    ck_assert_int_eq(timeouts[1], -1);
}
END_TEST

static const short ends_of_streams[] = {POLLHUP, POLLERR | POLLHUP, POLLIN | POLLHUP};

START_TEST(an_end_is_reported_beside_what_is_ready) {
    const struct step script[] = {{1, 0, ends_of_streams[_i], 0}};
    ck_assert_int_eq(wait_with(script, ND_NEVER, 3 * ND_SEC), ND_ENDED_STREAM);
}
END_TEST

/* A completion of MSG_ZEROCOPY or a time stamp. */
START_TEST(a_message_in_the_error_queue_is_no_end) {
    static const struct step script[] = {{1, 0, POLLERR, 0}};
    ck_assert_int_eq(wait_with(script, ND_NEVER, 3 * ND_SEC), ND_READY);
}
END_TEST

/* RLIMIT_NOFILE of 0 makes poll fail; select does not look at it, and the limit is kept. */
START_TEST(select_serves_where_poll_fails) {
    static const struct step script[] = {{-1, EINVAL, 0, 0}, {-1, EINVAL, 0, 0}};
    ck_assert_int_eq(wait_with(script, ND_NEVER, 3 * ND_SEC), ND_EXPIRED);
    ck_assert_int_eq(selects, 2);
}
END_TEST

START_TEST(without_both_the_call_is_left_to_the_kernel) {
    static const struct step script[] = {{-1, EPERM, 0, 0}};
    struct bounded bounded = prepare(script, POLLIN, ND_NEVER, 3 * ND_SEC);
    select_error = EPERM;
    ck_assert_int_eq(nd_wait_for(&bounded.wait), ND_UNPOLLABLE);
    ck_assert_int_eq(polls, 1);
}
END_TEST

/* poll says that there is space, and nothing can be sent: no turning in circles. */
START_TEST(ready_again_and_again_pauses) {
    static const struct step script[] = {
        {1, 0, POLLOUT, 0}, {0, 0, 0, 10 * ND_MSEC}, {1, 0, POLLOUT, 0}, {1, 0, POLLOUT, 0}};
    struct bounded bounded = prepare(script, POLLOUT, ND_NEVER, 3 * ND_SEC);
    ck_assert_int_eq(nd_wait_for(&bounded.wait), ND_READY);
    ck_assert_int_eq(nd_wait_for(&bounded.wait), ND_READY);
    ck_assert_int_eq(polls, 3);
    ck_assert_int_eq(timeouts[1], 10);
    nd_wait_progress(&bounded.wait);
    ck_assert_int_eq(nd_wait_for(&bounded.wait), ND_READY);
    ck_assert_int_eq(polls, 4);
}
END_TEST

START_TEST(a_descriptor_that_became_another_ends_it) {
    static const struct step script[] = {{1, 0, POLLIN, 0}};
    struct bounded bounded = prepare(script, POLLIN, ND_NEVER, 3 * ND_SEC);
    sock.generation++;
    ck_assert_int_eq(nd_wait_for(&bounded.wait), ND_REPLACED);
    ck_assert_int_eq(errno, EBADF);
}
END_TEST

/* Neither fstat nor another poll is allowed any more. */
START_TEST(a_filter_that_is_installed_meanwhile_ends_it) {
    static const struct step script[] = {{1, 0, POLLIN, 0}};
    struct bounded bounded = prepare(script, POLLIN, ND_NEVER, 3 * ND_SEC);
    nd_active = false;
    sock.generation++;
    ck_assert_int_eq(nd_wait_for(&bounded.wait), ND_UNPOLLABLE);
    ck_assert_int_eq(polls, 0);
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
    tcase_add_test(tests, a_limit_ends_it_and_not_before);
    tcase_add_test(tests, bytes_that_came_while_the_process_was_stopped_win);
    tcase_add_test(tests, lifetime_stays_due_where_there_is_input);
    tcase_add_test(tests, the_programs_own_timeout_ends_it);
    tcase_add_test(tests, never_is_never);
    tcase_add_loop_test(tests, a_handler_ends_it, 0, 3);
    tcase_add_test(tests, an_interruption_that_the_program_does_not_see_ends_nothing);
    tcase_add_test(tests, the_command_wakes_it_and_it_goes_on);
    tcase_add_test(tests, the_command_wakes_it_and_it_is_made_anew);
    tcase_add_test(tests, when_the_mode_becomes_observe_it_ends_no_more);
    tcase_add_loop_test(tests, an_end_is_reported_beside_what_is_ready, 0, 3);
    tcase_add_test(tests, a_message_in_the_error_queue_is_no_end);
    tcase_add_test(tests, select_serves_where_poll_fails);
    tcase_add_test(tests, without_both_the_call_is_left_to_the_kernel);
    tcase_add_test(tests, ready_again_and_again_pauses);
    tcase_add_test(tests, a_descriptor_that_became_another_ends_it);
    tcase_add_test(tests, a_filter_that_is_installed_meanwhile_ends_it);
    tcase_add_test(tests, asks_the_kernel_for_the_mode);
}
