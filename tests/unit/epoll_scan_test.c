#include "shim/wait/epoll_scan.h"

#include <stdlib.h>

#include "shim/wait/epoll_results.h"
#include "tests/unit/fake_epoll.h"
#include "tests/unit/unit.h"

static void start(void) {
    fake_sets_start();
    nd_settings.outbound.recv = LIMIT;
}

/* Makes the set due, and scans it after `waited` more of waiting. */
static bool scan(int epfd, nd_time waited) {
    const nd_time began = fake.now;
    fake.now += waited;
    nd_epoll_waited(epfd, began, fake.now);
    nd_epoll_reschedule(nd_sock_lookup(epfd), fake.now);
    return nd_epoll_scan("epoll_wait", epfd, NULL, fake.now);
}

/* What ends. */

START_TEST(what_is_due_ends) {
    add_new(SET, SOCK, CONNECTION, EPOLLIN);
    ck_assert(!scan(SET, LIMIT - 1));
    ck_assert(scan(SET, 1));
    ck_assert(has_expired(SOCK));
    ck_assert_uint_eq(fake.told, 1);
    ck_assert_str_eq(fake.last.operation, "epoll_wait");
    ck_assert_str_eq(fake.last.limit, "RECV");
}
END_TEST

START_TEST(an_ended_connection_is_not_scanned_again) {
    add_new(SET, SOCK, CONNECTION, EPOLLIN);
    ck_assert(scan(SET, LIMIT));
    ck_assert(!scan(SET, 60 * ND_SEC));
    ck_assert_uint_eq(fake.told, 1);
    ck_assert(set_of(SET)->timed); /* so that waits report it as readable */
}
END_TEST

START_TEST(a_set_that_is_not_due_is_not_scanned) {
    add_new(SET, SOCK, CONNECTION, EPOLLIN);
    scan(SET, 0);
    const nd_time began = fake.now;
    set_of(SET)->due = began + 60 * ND_SEC;
    fake.now += LIMIT;
    nd_epoll_waited_here(nd_sock_lookup(SET), began, fake.now);
    set_of(SET)->due = fake.now + 1;
    ck_assert(!nd_epoll_scan("epoll_wait", SET, NULL, fake.now));
    ck_assert(!has_expired(SOCK));
    fake.now++;
    ck_assert(nd_epoll_scan("epoll_wait", SET, NULL, fake.now));
}
END_TEST

START_TEST(a_set_is_due_with_its_first_socket) {
    add_new(SET, SOCK, CONNECTION, EPOLLIN);
    scan(SET, 500 * ND_MSEC);
    add_new(SET, SOCK2, CONNECTION, EPOLLIN);
    scan(SET, 500 * ND_MSEC);
    ck_assert_int_eq(set_of(SET)->due, fake.now + LIMIT - ND_SEC);
    nd_epoll_noted(SET, SOCK, NULL);
    scan(SET, 100 * ND_MSEC);
    ck_assert_int_eq(set_of(SET)->due, fake.now + LIMIT - 600 * ND_MSEC);
}
END_TEST

START_TEST(among_several_only_a_pending_reply_is_bounded) {
    add_new(SET, SOCK, CONNECTION, EPOLLIN);
    nd_sock_sent(add_new(SET, SOCK2, CONNECTION, EPOLLIN));
    fake.info.tcpi_last_data_sent = fake.info.tcpi_last_data_recv = 5000;
    ck_assert(scan(SET, LIMIT));
    ck_assert(!has_expired(SOCK));
    ck_assert(has_expired(SOCK2));
}
END_TEST

START_TEST(the_other_connections_of_the_wait_count) {
    const struct nd_connections two = {.inet = 2, .streams = 2, .all = 2};
    add_new(SET, SOCK, CONNECTION, EPOLLIN);
    fake.now += LIMIT;
    nd_epoll_waited(SET, fake.now - LIMIT, fake.now);
    nd_epoll_reschedule(nd_sock_lookup(SET), fake.now);
    ck_assert(!nd_epoll_scan("poll", SET, &two, fake.now));
    ck_assert(scan(SET, LIMIT));
}
END_TEST

START_TEST(a_descriptor_that_was_closed_unseen_ends_nothing) {
    add_new(SET, SOCK, CONNECTION, EPOLLIN);
    fake.info_fails = true;
    ck_assert(!wait_for(SET, 20 * ND_SEC));
    ck_assert_uint_eq(fake.told, 0);
    ck_assert_int_lt(fake_sets.scans, 50);
}
END_TEST

START_TEST(inner_sets_are_scanned_too) {
    nd_sock_created(OTHER_SET, ND_SOCK_EPOLL);
    nd_sock_created(THIRD_SET, ND_SOCK_EPOLL);
    add(SET, OTHER_SET, EPOLLIN);
    add(OTHER_SET, THIRD_SET, EPOLLIN);
    add_new(THIRD_SET, SOCK, CONNECTION, EPOLLIN);
    ck_assert(wait_for(SET, 60 * ND_SEC));
    ck_assert_int_eq(fake.now, 1000 * ND_SEC + LIMIT);
}
END_TEST

START_TEST(a_scan_through_a_duplicate_is_one_of_the_set) {
    add_new(SET, SOCK, CONNECTION, EPOLLIN);
    nd_duplicates_create(SET, COPY);
    ck_assert(wait_for(COPY, 60 * ND_SEC));
    ck_assert_int_eq(fake.now, 1000 * ND_SEC + LIMIT);
}
END_TEST

/* Output. */

static struct nd_sock *add_writer(void) {
    nd_settings.outbound.recv = 0;
    nd_settings.outbound.send = LIMIT;
    fake.queued = 1000;
    return add_new(SET, SOCK, CONNECTION, EPOLLIN | EPOLLOUT | EPOLLET);
}

START_TEST(the_clock_of_output_stands_while_there_is_space) {
    add_writer();
    fake_sets.send_space = true;
    ck_assert(!wait_for(SET, 60 * ND_SEC));
    fake_sets.send_space = false;
    const nd_time began = fake.now;
    ck_assert(wait_for(SET, 60 * ND_SEC));
    ck_assert_str_eq(fake.last.limit, "SEND");
    ck_assert_int_ge(fake.now, began + LIMIT);
    ck_assert_int_le(fake.now, began + LIMIT + ND_SEC);
}
END_TEST

START_TEST(a_connect_that_came_about_is_noticed) {
    nd_settings.connect = LIMIT;
    struct nd_sock *sock = nd_sock_created(SOCK, ND_SOCK_STREAM | ND_SOCK_INET | ND_SOCK_CONNECTING);
    sock->connect_began = fake.now;
    add(SET, SOCK, EPOLLOUT);
    fake_sets.send_space = true;
    ck_assert(!scan(SET, LIMIT / 2));
    ck_assert_uint_eq(nd_sock_flags(sock) & (ND_SOCK_CONNECTING | ND_SOCK_CONNECTED), ND_SOCK_CONNECTED);
}
END_TEST

/* The connections of a wait. */

START_TEST(connections_are_counted_with_those_of_inner_sets) {
    nd_sock_created(OTHER_SET, ND_SOCK_EPOLL);
    add(SET, OTHER_SET, EPOLLIN);
    add_new(SET, SOCK, CONNECTION, EPOLLIN);
    add_new(SET, SOCK2, ND_SOCK_STREAM | ND_SOCK_INET | ND_SOCK_LISTENING, EPOLLIN);
    add_new(OTHER_SET, SOCK3, ND_SOCK_STREAM | ND_SOCK_LOCAL | ND_SOCK_CONNECTED, EPOLLIN);
    nd_duplicates_create(SET, COPY);
    const struct nd_connections all = nd_epoll_connections(SET), same = nd_epoll_connections(COPY);
    ck_assert_uint_eq(all.all, 2);
    ck_assert_uint_eq(all.inet, 1);
    ck_assert_uint_eq(all.streams, 2);
    ck_assert_uint_eq(same.all, 2);
    ck_assert_uint_eq(nd_epoll_connections(SOCK).all, 0); /* no set */
}
END_TEST

START_TEST(descriptors_of_one_socket_count_once) {
    add_new(SET, SOCK, CONNECTION, EPOLLIN);
    nd_duplicates_create(SOCK, SOCK2);
    add(SET, SOCK2, EPOLLIN);
    ck_assert_uint_eq(nd_epoll_connections(SET).all, 1);
}
END_TEST

/* What a scan costs. */

START_TEST(scans_take_a_hundredth_of_the_time) {
    add_writer();
    nd_settings.outbound.recv = LIMIT;
    add_new(SET, SOCK2, CONNECTION, EPOLLIN)->clock[ND_IN].time.waited = LIMIT - ND_MSEC; /* due very soon */
    fake_sets.poll_lasts = 600 * ND_USEC;
    nd_time cost = 0;
    for (int i = 0; i < 100; i++) {
        const nd_time began = fake.now;
        scan(SET, 0);
        cost += fake.now - began;
        ck_assert_int_eq(set_of(SET)->cost, 600 * ND_USEC);
        ck_assert_int_ge(set_of(SET)->due, began + 100 * 600 * ND_USEC);
        fake.now = set_of(SET)->due;
    }
    ck_assert_int_le(100 * cost, fake.now - 1000 * ND_SEC);
}
END_TEST

/* The thread was preempted in it: that does not put the next one off for long. */
START_TEST(the_cost_of_a_scan_is_bounded) {
    add_writer();
    fake_sets.poll_lasts = 10 * ND_SEC;
    const nd_time began = fake.now;
    scan(SET, 0);
    ck_assert_int_le(set_of(SET)->cost, 1000 * (SOCK + 1));
    ck_assert_int_lt(set_of(SET)->due, began + LIMIT);
}
END_TEST

START_TEST(changes_do_not_make_scans_more_frequent_than_they_may_be) {
    add_writer();
    fake_sets.poll_lasts = 600 * ND_USEC;
    scan(SET, 0);
    add_new(SET, SOCK2, CONNECTION, EPOLLIN);
    ck_assert_int_eq(nd_epoll_soonest(set_of(SET)), 60 * ND_MSEC);
    ck_assert_int_ge(nd_epoll_delay(set_of(SET)), 60 * ND_MSEC);
}
END_TEST

START_TEST(one_thread_scans_at_a_time) {
    add_new(SET, SOCK, CONNECTION, EPOLLIN);
    set_of(SET)->scanning = fake.now + LIMIT; /* another one, by then */
    ck_assert(!scan(SET, LIMIT));
    ck_assert(!has_expired(SOCK));
    ck_assert(scan(SET, 2 * ND_SEC)); /* it was cancelled */
    ck_assert_int_eq(set_of(SET)->scanning, 0);
}
END_TEST

/* Sets without limits. */

START_TEST(waits_for_a_set_without_limits_are_left_alone) {
    nd_settings.outbound.recv = 0;
    add_new(SET, SOCK, CONNECTION, EPOLLIN);
    ck_assert_uint_eq(nd_watch_exact(SET), ND_WATCH_WAIT);
    scan(SET, 0);
    ck_assert_uint_eq(nd_watch_exact(SET), 0);
}
END_TEST

START_TEST(unless_it_has_one_shots) {
    nd_settings.outbound.recv = 0;
    add_new(SET, SOCK, CONNECTION, EPOLLIN | EPOLLONESHOT);
    scan(SET, 0);
    ck_assert_uint_eq(nd_watch_exact(SET), ND_WATCH_WAIT);
}
END_TEST

START_TEST(or_other_threads_put_sockets_into_it) {
    nd_settings.outbound.recv = 0;
    add_new(SET, SOCK, CONNECTION, EPOLLIN);
    set_of(SET)->thread = 1; /* init, which is not this one */
    add_new(SET, SOCK2, CONNECTION, EPOLLIN);
    ck_assert_uint_eq(set_of(SET)->thread, ND_SEVERAL_THREADS);
    scan(SET, 0);
    ck_assert_uint_eq(nd_watch_exact(SET), ND_WATCH_WAIT);
}
END_TEST

/* While the scan goes over the sockets, a handler registers one more. */
static int poll_and_add(struct pollfd *fds, nfds_t count, int timeout) {
    if (fake_sets.polls == 0)
        add_new(SET, SOCK, ND_SOCK_STREAM | ND_SOCK_INET | ND_SOCK_LISTENING, EPOLLIN);
    return fake_poll(fds, count, timeout);
}

START_TEST(or_it_changed_during_the_scan) {
    nd_settings.outbound.recv = 0;
    nd_settings.accept = LIMIT;
    struct nd_sock *sock = nd_sock_created(SOCK2, ND_SOCK_STREAM | ND_SOCK_INET | ND_SOCK_CONNECTING);
    sock->connect_began = fake.now;
    add(SET, SOCK2, EPOLLIN);
    fake_sets.send_space = true; /* the connect stands, and nothing bounds the connection */
    nd_real.poll = poll_and_add;
    scan(SET, 0);
    ck_assert_uint_eq(nd_watch_exact(SET), ND_WATCH_WAIT);
    ck_assert(set_of(SET)->timed);
}
END_TEST

/* While the scan goes over the sockets, another thread takes new settings over, and those scanned before come to be
 * bounded. */
static int poll_and_set(struct pollfd *fds, nfds_t count, int timeout) {
    nd_settings.outbound.recv = LIMIT;
    nd_settings_generation++;
    return fake_poll(fds, count, timeout);
}

START_TEST(or_the_settings_changed_during_the_scan) {
    nd_settings.outbound.recv = 0;
    add_new(SET, SOCK, CONNECTION, EPOLLIN);
    nd_sock_created(SOCK2, ND_SOCK_STREAM | ND_SOCK_INET | ND_SOCK_CONNECTING)->connect_began = fake.now;
    add(SET, SOCK2, EPOLLOUT);
    fake_sets.send_space = true;
    nd_real.poll = poll_and_set;
    scan(SET, 0);
    ck_assert_uint_eq(nd_watch_exact(SET), ND_WATCH_WAIT);
    nd_epoll_noted(SET, SOCK2, NULL);
    ck_assert(wait_for(SET, 60 * ND_SEC));
}
END_TEST

/* Pending timeouts. */

static void let_a_listener_expire(uint32_t events) {
    nd_settings.accept = LIMIT;
    add_new(SET, SOCK, ND_SOCK_STREAM | ND_SOCK_INET | ND_SOCK_LISTENING, events);
    ck_assert(!wait_for(SET, LIMIT + 100 * ND_MSEC));
    ck_assert_str_eq(fake.last.limit, "ACCEPT");
}

static int shown(struct epoll_event *event) {
    return nd_epoll_show(SET, event, 0, 1);
}

START_TEST(a_pending_timeout_is_reported_by_each_wait) {
    struct epoll_event events[2] = {{.events = EPOLLERR, .data.u64 = SOCK}, {.events = 0}};
    let_a_listener_expire(EPOLLIN);
    for (int i = 0; i < 3; i++)
        ck_assert_int_eq(shown(&events[1]), 1);
    ck_assert_int_eq(nd_epoll_show(SET, events, 1, 1), 1); /* beside what the kernel reports of it */
    ck_assert_uint_eq(events[0].events, EPOLLERR | EPOLLIN);
}
END_TEST

START_TEST(an_edge_triggered_one_is_reported_once) {
    struct epoll_event event;
    let_a_listener_expire(EPOLLIN | EPOLLET);
    ck_assert_int_eq(shown(&event), 1);
    ck_assert_int_eq(shown(&event), 0);
    ck_assert(!nd_epoll_shows(SET));
}
END_TEST

START_TEST(a_one_shot_one_is_disarmed) {
    struct epoll_event event;
    let_a_listener_expire(EPOLLIN | EPOLLONESHOT);
    ck_assert_int_eq(shown(&event), 1);
    ck_assert_int_eq(fake_sets.mods, 1);
    ck_assert_int_eq(shown(&event), 0);
    add(SET, SOCK, EPOLLIN | EPOLLONESHOT);
    ck_assert_int_eq(shown(&event), 1);
}
END_TEST

START_TEST(without_space_for_events_it_is_reported_later) {
    struct epoll_event event = {.events = EPOLLIN, .data.u64 = SOCK2};
    let_a_listener_expire(EPOLLIN | EPOLLET);
    ck_assert_int_eq(nd_epoll_show(SET, &event, 1, 1), 1);
    ck_assert_uint_eq(event.data.u64, SOCK2);
    ck_assert_int_eq(shown(&event), 1);
}
END_TEST

void add_tests(TCase *tests) {
    tcase_add_checked_fixture(tests, start, NULL);
    tcase_add_test(tests, what_is_due_ends);
    tcase_add_test(tests, an_ended_connection_is_not_scanned_again);
    tcase_add_test(tests, a_set_that_is_not_due_is_not_scanned);
    tcase_add_test(tests, a_set_is_due_with_its_first_socket);
    tcase_add_test(tests, among_several_only_a_pending_reply_is_bounded);
    tcase_add_test(tests, the_other_connections_of_the_wait_count);
    tcase_add_test(tests, a_descriptor_that_was_closed_unseen_ends_nothing);
    tcase_add_test(tests, inner_sets_are_scanned_too);
    tcase_add_test(tests, a_scan_through_a_duplicate_is_one_of_the_set);
    tcase_add_test(tests, the_clock_of_output_stands_while_there_is_space);
    tcase_add_test(tests, a_connect_that_came_about_is_noticed);
    tcase_add_test(tests, connections_are_counted_with_those_of_inner_sets);
    tcase_add_test(tests, descriptors_of_one_socket_count_once);
    tcase_add_test(tests, scans_take_a_hundredth_of_the_time);
    tcase_add_test(tests, the_cost_of_a_scan_is_bounded);
    tcase_add_test(tests, changes_do_not_make_scans_more_frequent_than_they_may_be);
    tcase_add_test(tests, one_thread_scans_at_a_time);
    tcase_add_test(tests, waits_for_a_set_without_limits_are_left_alone);
    tcase_add_test(tests, unless_it_has_one_shots);
    tcase_add_test(tests, or_other_threads_put_sockets_into_it);
    tcase_add_test(tests, or_it_changed_during_the_scan);
    tcase_add_test(tests, or_the_settings_changed_during_the_scan);
    tcase_add_test(tests, a_pending_timeout_is_reported_by_each_wait);
    tcase_add_test(tests, an_edge_triggered_one_is_reported_once);
    tcase_add_test(tests, a_one_shot_one_is_disarmed);
    tcase_add_test(tests, without_space_for_events_it_is_reported_later);
}
