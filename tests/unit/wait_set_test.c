#include "shim/wait/set.h"

#include <poll.h>

#include "shim/mode.h"
#include "shim/settings/settings.h"
#include "shim/socket/change.h"
#include "shim/wait/loop.h"
#include "tests/unit/fake_kernel.h"
#include "tests/unit/unit.h"

#define INET (ND_SOCK_STREAM | ND_SOCK_INET | ND_SOCK_CONNECTED)
#define LIMIT (2 * ND_SEC)

/* What one real wait does: takes this long (or its timeout, if that is shorter) and finds one entry ready. */
struct step {
    nd_time lasts;
    int entry;
    short ready;
    int error; /* instead */
};

static struct nd_wait_entry entries[4];
static const struct step *steps;
static int step_count, waits;
static nd_time timeouts[64]; /* that the real waits were given */

static bool entry_at(const struct nd_wait_set *set, unsigned index, struct nd_wait_entry *entry) {
    (void)set;
    *entry = entries[index];
    return entry->fd >= 0;
}

/* Without a step left nothing ever happens; what was ended in the meantime is ready at once. */
static int wait_a_step(struct nd_wait_set *set, nd_time timeout) {
    ck_assert_int_lt(waits, 64); /* a spinning wait */
    struct step step = waits < step_count ? steps[waits] : (struct step){.lasts = ND_NEVER};
    timeouts[waits++] = timeout;
    nd_time given = timeout == ND_AS_GIVEN ? set->timeout : timeout;
    int ready = 0;
    for (unsigned i = 0; i < set->count; i++) {
        struct nd_sock *sock = nd_sock_lookup(entries[i].fd);
        bool ended = sock && nd_sock_flags(sock) & ND_SOCK_EXPIRED;
        entries[i].ready = ended ? POLLERR | POLLHUP : 0;
        ready += ended;
    }
    if (ready)
        return ready;
    ck_assert(given != ND_NEVER || step.lasts != ND_NEVER); /* would hang */
    if (step.lasts > given) {
        fake.now += given;
        return 0;
    }
    fake.now += step.lasts;
    if (step.error) {
        errno = step.error;
        return -1;
    }
    entries[step.entry].ready = step.ready;
    return step.ready != 0;
}

static int run(unsigned count, nd_time timeout, const struct step *script, int length) {
    steps = script;
    step_count = length;
    waits = 0;
    struct nd_wait_set set = {
        .operation = ND_OPERATION_poll, .count = count, .timeout = timeout, .entry = entry_at, .wait = wait_a_step};
    return nd_wait_set_run(&set);
}

static struct nd_sock *connection(int index, uint32_t flags, short wants) {
    entries[index] = (struct nd_wait_entry){.fd = 700 + index, .wants = wants};
    return nd_sock_created(700 + index, flags);
}

static void start(void) {
    fake_start();
    nd_settings.outbound.recv = LIMIT;
    nd_settings.connect = LIMIT;
    for (int i = 0; i < 4; i++)
        nd_sock_clear(700 + i);
    fake.info.tcpi_last_data_recv = fake.info.tcpi_last_data_sent = 3600 * 1000;
}

START_TEST(a_silent_socket_is_ended) {
    connection(0, INET, POLLIN);
    ck_assert_int_eq(run(1, ND_NEVER, NULL, 0), 1);
    ck_assert_int_eq(entries[0].ready, POLLERR | POLLHUP);
    ck_assert_int_eq(fake.now, 1000 * ND_SEC + LIMIT);
    ck_assert_uint_eq(fake.told, 1);
    ck_assert_str_eq(fake.last.limit, "RECV");
    ck_assert_str_eq(fake.last.operation, "poll");
    ck_assert_int_eq(fake.disconnects, 2);
}
END_TEST

START_TEST(the_programs_own_timeout_is_passed_on) {
    connection(0, INET, POLLIN);
    ck_assert_int_eq(run(1, ND_SEC, NULL, 0), 0);
    ck_assert_int_eq(waits, 1);
    ck_assert_int_eq(timeouts[0], ND_AS_GIVEN);
}
END_TEST

START_TEST(short_waits_add_up) {
    connection(0, INET, POLLIN);
    for (int i = 0; i < 3; i++)
        ck_assert_int_eq(run(1, 600 * ND_MSEC, NULL, 0), 0);
    fake.now += 3600 * ND_SEC; /* between waits no clock runs */
    ck_assert_int_eq(run(1, 100 * ND_MSEC, NULL, 0), 0);
    ck_assert_int_eq(run(1, 600 * ND_MSEC, NULL, 0), 1);
    ck_assert_uint_eq(fake.told, 1);
}
END_TEST

START_TEST(input_starts_the_clock_anew) {
    static const struct step input[] = {{1500 * ND_MSEC, 0, POLLIN, 0}};
    connection(0, INET, POLLIN);
    for (int i = 0; i < 4; i++)
        ck_assert_int_eq(run(1, ND_NEVER, input, 1), 1);
    ck_assert_uint_eq(fake.told, 0);
}
END_TEST

/* Bytes read without a wait are known to the kernel only. */
START_TEST(input_without_a_wait_counts) {
    connection(0, INET, POLLIN);
    run(1, 1900 * ND_MSEC, NULL, 0);
    fake.info.tcpi_last_data_recv = 500;
    ck_assert_int_eq(run(1, ND_SEC, NULL, 0), 0);
    ck_assert_uint_eq(fake.told, 0);
    fake.info.tcpi_last_data_recv = 2000;
    ck_assert_int_eq(run(1, ND_SEC, NULL, 0), 1);
}
END_TEST

/* Another descriptor that is ready again and again neither extends the time nor is disturbed. */
START_TEST(spurious_wake_ups_do_not_count) {
    static const struct step other[] = {{100 * ND_MSEC, 1, POLLIN, 0}};
    connection(0, INET, POLLIN);
    entries[1] = (struct nd_wait_entry){.fd = 701, .wants = POLLIN};
    int rounds = 0;
    while (fake.told == 0 && rounds++ < 100)
        ck_assert_int_eq(run(2, ND_NEVER, other, 1), 1);
    ck_assert_int_eq(rounds, 20);
}
END_TEST

START_TEST(the_same_descriptor_twice_counts_once) {
    connection(0, INET, POLLIN);
    entries[1] = (struct nd_wait_entry){.fd = 700, .wants = POLLIN | POLLOUT};
    run(2, ND_SEC, NULL, 0);
    ck_assert_int_eq(nd_sock_lookup(700)->clock[ND_IN].time.waited, ND_SEC);
    ck_assert_uint_eq(fake.told, 0);
}
END_TEST

START_TEST(negative_and_unknown_descriptors_are_left_alone) {
    entries[0] = (struct nd_wait_entry){.fd = -1, .wants = POLLIN};
    entries[1] = (struct nd_wait_entry){.fd = 703, .wants = POLLIN};
    ck_assert_int_eq(run(2, 60 * ND_SEC, NULL, 0), 0);
    ck_assert_int_eq(waits, 1);
}
END_TEST

START_TEST(errors_are_the_real_calls) {
    static const struct step interrupted[] = {{ND_SEC, 0, 0, EINTR}};
    connection(0, INET, POLLIN);
    ck_assert_int_eq(run(1, ND_NEVER, interrupted, 1), -1);
    ck_assert_int_eq(errno, EINTR);
    ck_assert_int_eq(nd_sock_lookup(700)->clock[ND_IN].time.waited, ND_SEC);
}
END_TEST

START_TEST(success_keeps_errno) {
    connection(0, INET, POLLIN);
    fake.info_fails = true;
    errno = 7;
    ck_assert_int_eq(run(1, 5 * ND_SEC, NULL, 0), 0);
    ck_assert_int_eq(errno, 7);
}
END_TEST

/* The number was given to something that is no TCP: nothing is ended, and the wait does not spin. */
START_TEST(a_stale_record_ends_nothing) {
    connection(0, INET, POLLIN);
    fake.info_fails = true;
    ck_assert_int_eq(run(1, 20 * ND_SEC, NULL, 0), 0);
    ck_assert_uint_eq(fake.told, 0);
    ck_assert_int_lt(waits, 15);
}
END_TEST

/* last sent, last received (ms ago), whether we sent last, whether the first of two connections is ended */
static const struct {
    uint32_t sent, received;
    bool sent_last, ended;
} pending[] = {
    {5000, 9000, false, true}, {5000, 5000, false, false}, {5000, 5000, true, true}, {9000, 5000, false, false},
    {500, 9000, true, false},  {4990, 5000, false, false}, {4990, 5000, true, true}, {4980, 5000, false, true},
};

START_TEST(of_several_only_one_whose_reply_is_pending) {
    struct nd_sock *sock = connection(0, INET, POLLIN);
    connection(1, INET, 0);
    entries[1].wants = POLLIN;
    if (pending[_i].sent_last)
        nd_sock_sent(sock);
    fake.info.tcpi_last_data_sent = pending[_i].sent;
    fake.info.tcpi_last_data_recv = pending[_i].received;
    run(2, 2500 * ND_MSEC, NULL, 0);
    ck_assert_int_eq((nd_sock_flags(sock) & ND_SOCK_EXPIRED) != 0, pending[_i].ended);
}
END_TEST

START_TEST(a_connect_is_bounded_from_its_beginning) {
    struct nd_sock *sock = connection(0, ND_SOCK_STREAM | ND_SOCK_INET | ND_SOCK_CONNECTING, POLLOUT);
    sock->connect_began = fake.now - ND_SEC;
    fake.info.tcpi_state = TCP_SYN_SENT;
    ck_assert_int_eq(run(1, ND_NEVER, NULL, 0), 1);
    ck_assert_int_eq(fake.now, 1001 * ND_SEC);
    ck_assert_str_eq(fake.last.limit, "CONNECT");
    ck_assert_int_eq(fake.last.elapsed, LIMIT);
}
END_TEST

START_TEST(a_connect_that_came_about_unseen_lives) {
    struct nd_sock *sock = connection(0, ND_SOCK_STREAM | ND_SOCK_INET | ND_SOCK_CONNECTING, POLLOUT);
    sock->connect_began = fake.now - 60 * ND_SEC;
    run(1, ND_SEC, NULL, 0);
    ck_assert_uint_eq(fake.told, 0);
    ck_assert_uint_eq(nd_sock_flags(sock) & (ND_SOCK_CONNECTED | ND_SOCK_CONNECTING), ND_SOCK_CONNECTED);
}
END_TEST

START_TEST(a_ready_connect_stands_and_is_armed) {
    static const struct step writable[] = {{ND_SEC, 0, POLLOUT, 0}};
    struct nd_sock *sock = connection(0, ND_SOCK_STREAM | ND_SOCK_INET | ND_SOCK_CONNECTING, POLLOUT);
    sock->connect_began = fake.now;
    ck_assert_int_eq(run(1, ND_NEVER, writable, 1), 1);
    ck_assert(nd_sock_flags(sock) & ND_SOCK_CONNECTED);
    ck_assert(nd_sock_flags(sock) & ND_SOCK_RCVTIMEO);
}
END_TEST

START_TEST(a_wait_for_send_space_ends_by_send) {
    nd_settings.outbound.recv = 0;
    nd_settings.outbound.send = LIMIT;
    connection(0, INET, POLLOUT);
    fake.queued = 1000;
    ck_assert_int_eq(run(1, ND_NEVER, NULL, 0), 1);
    ck_assert_str_eq(fake.last.limit, "SEND");
    ck_assert_int_ge(fake.now, 1000 * ND_SEC + LIMIT);
    ck_assert_int_lt(fake.now, 1000 * ND_SEC + LIMIT + 50 * ND_MSEC);
}
END_TEST

/* Each is shorter than the time before the send queue is checked first. */
START_TEST(short_waits_for_send_space_add_up) {
    nd_settings.outbound.recv = 0;
    nd_settings.outbound.send = LIMIT;
    connection(0, INET, POLLOUT);
    int calls = 0;
    while (calls < 500 && run(1, 5 * ND_MSEC, NULL, 0) == 0)
        calls++;
    ck_assert_uint_eq(fake.told, 1);
    ck_assert_str_eq(fake.last.limit, "SEND");
    ck_assert_int_ge(calls, LIMIT / (5 * ND_MSEC) - 1);
}
END_TEST

START_TEST(observing_ends_nothing) {
    nd_observing = true;
    connection(0, INET, POLLIN);
    ck_assert_int_eq(run(1, 5 * ND_SEC, NULL, 0), 0);
    ck_assert_int_eq(waits, 1);
    ck_assert_int_eq(timeouts[0], ND_AS_GIVEN);
    ck_assert_int_eq(fake.disconnects, 0);
    ck_assert_uint_eq(fake.told, 1);
    ck_assert(fake.last.observed);
}
END_TEST

void add_tests(TCase *tests) {
    tcase_add_checked_fixture(tests, start, NULL);
    tcase_add_test(tests, a_silent_socket_is_ended);
    tcase_add_test(tests, the_programs_own_timeout_is_passed_on);
    tcase_add_test(tests, short_waits_add_up);
    tcase_add_test(tests, input_starts_the_clock_anew);
    tcase_add_test(tests, input_without_a_wait_counts);
    tcase_add_test(tests, spurious_wake_ups_do_not_count);
    tcase_add_test(tests, the_same_descriptor_twice_counts_once);
    tcase_add_test(tests, negative_and_unknown_descriptors_are_left_alone);
    tcase_add_test(tests, errors_are_the_real_calls);
    tcase_add_test(tests, success_keeps_errno);
    tcase_add_test(tests, a_stale_record_ends_nothing);
    tcase_add_loop_test(tests, of_several_only_one_whose_reply_is_pending, 0, (int)(sizeof pending / sizeof *pending));
    tcase_add_test(tests, a_connect_is_bounded_from_its_beginning);
    tcase_add_test(tests, a_connect_that_came_about_unseen_lives);
    tcase_add_test(tests, a_ready_connect_stands_and_is_armed);
    tcase_add_test(tests, a_wait_for_send_space_ends_by_send);
    tcase_add_test(tests, short_waits_for_send_space_add_up);
    tcase_add_test(tests, observing_ends_nothing);
}
