#include "shim/wait/epoll_set.h"

#include <stdlib.h>

#include "shim/wait/epoll_results.h"
#include "tests/unit/fake_epoll.h"
#include "tests/unit/unit.h"

static void start(void) {
    fake_sets_start();
    nd_settings.outbound.recv = LIMIT;
}

static void start_without_limits(void) {
    fake_sets_start();
}

/* Registration. */

START_TEST(an_empty_set_is_never_due) {
    ck_assert_int_eq(nd_epoll_due(SET, fake.now), ND_NEVER);
    ck_assert_uint_eq(nd_watch_exact(SET), 0);
}
END_TEST

START_TEST(waits_for_a_set_with_a_limit_are_watched) {
    add_new(SET, SOCK, CONNECTION, EPOLLIN);
    ck_assert(set_of(SET)->timed);
    ck_assert_uint_eq(nd_watch_exact(SET), ND_WATCH_WAIT);
    ck_assert_int_lt(nd_epoll_due(SET, fake.now), ND_NEVER);
    ck_assert(wait_for(SET, 2 * LIMIT));
    ck_assert(has_expired(SOCK));
    ck_assert_int_eq(fake.now, 1000 * ND_SEC + LIMIT);
}
END_TEST

START_TEST(a_set_made_unseen_gets_a_record) {
    add_new(OTHER_SET, SOCK, CONNECTION, EPOLLIN);
    ck_assert_ptr_nonnull(nd_epoll_set_of(OTHER_SET));
    ck_assert_ptr_nonnull(member_of(SOCK, OTHER_SET));
}
END_TEST

START_TEST(what_is_no_socket_is_not_noted) {
    add(SET, SOCK, EPOLLIN);
    ck_assert_int_eq(nd_epoll_due(SET, fake.now), ND_NEVER);
    ck_assert(!set_of(SET)->used);
}
END_TEST

START_TEST(a_change_keeps_the_clock) {
    add_new(SET, SOCK, CONNECTION, EPOLLIN);
    wait_for(SET, ND_SEC);
    nd_epoll_noted(SET, SOCK, &(struct epoll_event){.events = EPOLLIN | EPOLLET, .data.u64 = 5});
    ck_assert_uint_eq(member_of(SOCK, SET)->data, 5);
    ck_assert(wait_for(SET, 2 * LIMIT));
    ck_assert_int_eq(fake.now, 1000 * ND_SEC + LIMIT);
}
END_TEST

START_TEST(the_clock_stops_without_events) {
    add_new(SET, SOCK, CONNECTION, EPOLLIN);
    wait_for(SET, ND_SEC);
    add(SET, SOCK, 0);
    ck_assert(!wait_for(SET, 60 * ND_SEC));
    add(SET, SOCK, EPOLLIN);
    ck_assert_int_eq(waited_for(SOCK), ND_SEC);
}
END_TEST

START_TEST(the_clock_stops_at_removal) {
    add_new(SET, SOCK, CONNECTION, EPOLLIN);
    wait_for(SET, ND_SEC);
    nd_epoll_noted(SET, SOCK, NULL);
    ck_assert_ptr_null(member_of(SOCK, SET));
    ck_assert(!wait_for(SET, 60 * ND_SEC));
    ck_assert_int_eq(waited_for(SOCK), ND_SEC);
}
END_TEST

/* The clock of a socket that another thread adds runs from then, not from the beginning of the wait under way. */
START_TEST(a_socket_added_during_a_wait_has_its_whole_limit) {
    static const char several = 0;
    add_new(SET, SOCK, CONNECTION, EPOLLIN);
    wait_for(SET, 100 * ND_MSEC);
    nd_one_thread = &several;
    const nd_time began = fake.now;
    fake.now += 400 * ND_MSEC;
    add_new(SET, SOCK2, CONNECTION, EPOLLIN);
    fake.now += 100 * ND_MSEC;
    nd_epoll_waited(SET, began, fake.now);
    ck_assert_int_eq(waited_for(SOCK), 600 * ND_MSEC);
    ck_assert_int_eq(waited_for(SOCK2), 100 * ND_MSEC);
}
END_TEST

/* One-shot registrations. */

START_TEST(a_delivered_one_shot_is_not_waited_for) {
    add_new(SET, SOCK, CONNECTION, EPOLLIN | EPOLLONESHOT);
    wait_for(SET, ND_SEC);
    nd_epoll_delivered(SET, &(struct epoll_event){.events = EPOLLIN, .data.u64 = SOCK}, 1);
    ck_assert(!wait_for(SET, 60 * ND_SEC));
    ck_assert_int_eq(waited_for(SOCK), ND_SEC);
    add(SET, SOCK, EPOLLIN | EPOLLONESHOT);
    const nd_time began = fake.now;
    ck_assert(wait_for(SET, 60 * ND_SEC));
    ck_assert_int_eq(fake.now, began + LIMIT); /* from its event on */
}
END_TEST

START_TEST(other_registrations_are_waited_for_after_their_events) {
    add_new(SET, SOCK, CONNECTION, EPOLLIN);
    add_new(SET, SOCK2, CONNECTION, EPOLLIN | EPOLLONESHOT);
    nd_epoll_delivered(SET, &(struct epoll_event){.events = EPOLLIN, .data.u64 = SOCK}, 1);
    ck_assert_uint_eq(member_of(SOCK, SET)->events, EPOLLIN);
    ck_assert_uint_eq(member_of(SOCK2, SET)->events, EPOLLIN | EPOLLONESHOT);
}
END_TEST

/* Two registrations whose data share a hint: both are found. */
START_TEST(a_wrong_hint_is_checked) {
    const uint64_t factor = UINT64_C(0x9E3779B97F4A7C15), first = 1;
    uint64_t second = 2;
    while ((second * factor) >> 54 != (first * factor) >> 54)
        second++;
    nd_sock_created(SOCK, CONNECTION);
    nd_sock_created(SOCK2, CONNECTION);
    nd_epoll_noted(SET, SOCK, &(struct epoll_event){.events = EPOLLIN | EPOLLONESHOT, .data.u64 = first});
    nd_epoll_noted(SET, SOCK2, &(struct epoll_event){.events = EPOLLIN | EPOLLONESHOT, .data.u64 = second});
    nd_epoll_delivered(SET, &(struct epoll_event){.events = EPOLLIN, .data.u64 = first}, 1);
    ck_assert_uint_eq(member_of(SOCK, SET)->events, EPOLLONESHOT);
    ck_assert_uint_eq(member_of(SOCK2, SET)->events, EPOLLIN | EPOLLONESHOT);
}
END_TEST

START_TEST(a_one_shot_tells_of_a_connect) {
    struct nd_sock *sock = nd_sock_created(SOCK, ND_SOCK_STREAM | ND_SOCK_INET | ND_SOCK_CONNECTING);
    sock->connect_began = fake.now;
    nd_settings.connect = LIMIT;
    add(SET, SOCK, EPOLLOUT | EPOLLONESHOT);
    nd_epoll_delivered(SET, &(struct epoll_event){.events = EPOLLOUT, .data.u64 = SOCK}, 1);
    ck_assert_uint_eq(nd_sock_flags(sock) & (ND_SOCK_CONNECTING | ND_SOCK_CONNECTED), ND_SOCK_CONNECTED);
}
END_TEST

/* Settings that change. */

START_TEST(a_new_limit_holds_for_what_is_in_the_set) {
    start_without_limits();
    add_new(SET, SOCK, CONNECTION, EPOLLIN);
    wait_for(SET, ND_SEC);
    ck_assert_uint_eq(nd_watch_exact(SET), 0); /* nothing was bounded */
    nd_settings.outbound.recv = LIMIT;
    nd_settings_generation++;
    ck_assert(!nd_epoll_is_current(nd_sock_lookup(SET)));
    const nd_time began = fake.now;
    ck_assert_int_le(nd_epoll_due(SET, began), began);
    ck_assert(nd_epoll_is_current(nd_sock_lookup(SET)));
    ck_assert_uint_eq(nd_watch_exact(SET), ND_WATCH_WAIT);
    ck_assert(wait_for(SET, 60 * ND_SEC));
    ck_assert_int_le(fake.now, began + LIMIT);
}
END_TEST

START_TEST(a_limit_taken_away_does_not_fire) {
    start_without_limits();
    nd_settings.outbound.recv = LIMIT;
    add_new(SET, SOCK, CONNECTION, EPOLLIN);
    wait_for(SET, ND_SEC);
    nd_settings.outbound.recv = 0;
    nd_settings_generation++;
    ck_assert(!wait_for(SET, 60 * ND_SEC));
    ck_assert(!set_of(SET)->timed);
}
END_TEST

/* The settings are as new for an inner set as for the one around it. */
START_TEST(a_new_limit_reaches_inner_sets) {
    start_without_limits();
    nest();
    add_new(OTHER_SET, SOCK, CONNECTION, EPOLLIN);
    wait_for(SET, ND_SEC);
    nd_settings.outbound.recv = LIMIT;
    nd_settings_generation++;
    ck_assert(wait_for(SET, 60 * ND_SEC));
    ck_assert(has_expired(SOCK));
}
END_TEST

/* The record of the set may be brought up to date by a poll that comes too early to see the set itself. */
START_TEST(a_set_notices_settings_that_its_record_has) {
    start_without_limits();
    add_new(SET, SOCK, CONNECTION, EPOLLIN);
    wait_for(SET, ND_SEC);
    nd_settings.outbound.recv = LIMIT;
    nd_sock_lookup(SET)->settings = ++nd_settings_generation;
    ck_assert(wait_for(SET, 60 * ND_SEC));
}
END_TEST

/* When a set is scanned. */

START_TEST(a_scan_is_only_ever_put_forward) {
    struct nd_sock *set = nd_sock_lookup(SET);
    set->epoll.due = fake.now + 10 * ND_SEC;
    nd_epoll_reschedule(set, fake.now + 20 * ND_SEC);
    ck_assert_int_eq(set->epoll.due, fake.now + 10 * ND_SEC);
    nd_epoll_reschedule_within(set, fake.now, 3 * ND_SEC);
    nd_epoll_reschedule_within(set, fake.now, 5 * ND_SEC);
    ck_assert_int_eq(set->epoll.due, fake.now + 3 * ND_SEC);
    ck_assert(nd_epoll_is_rescheduled(&set->epoll, 4 * ND_SEC));
    ck_assert(!nd_epoll_is_rescheduled(&set->epoll, 2 * ND_SEC));
}
END_TEST

/* Between waits a program may start clocks; those of a set that has long been scanned are not known of. */
START_TEST(a_socket_added_later_is_due_in_time) {
    nd_settings.outbound.recv = 60 * ND_SEC;
    nd_settings.connect = 300 * ND_MSEC;
    add_new(SET, SOCK, CONNECTION, EPOLLIN);
    wait_for(SET, ND_SEC);
    struct nd_sock *sock = nd_sock_created(SOCK2, ND_SOCK_STREAM | ND_SOCK_INET | ND_SOCK_CONNECTING);
    sock->connect_began = fake.now;
    fake.info.tcpi_state = TCP_SYN_SENT;
    add(SET, SOCK2, EPOLLOUT);
    const nd_time began = fake.now;
    ck_assert_int_le(set_of(SET)->due, began + 300 * ND_MSEC);
    ck_assert(wait_for(SET, 60 * ND_SEC));
    ck_assert(has_expired(SOCK2));
    ck_assert_int_eq(fake.now, began + 300 * ND_MSEC);
}
END_TEST

/* It has waited elsewhere for most of its limit, or its connect has been under way for that long. */
START_TEST(a_socket_that_is_nearly_due_reschedules_the_set) {
    nd_settings.outbound.recv = nd_settings.connect = 60 * ND_SEC;
    for (int connecting = 0; connecting < 2; connecting++) {
        add_new(SET, SOCK, CONNECTION, EPOLLIN);
        wait_for(SET, 2 * ND_SEC);
        const uint32_t flags = connecting ? ND_SOCK_STREAM | ND_SOCK_INET | ND_SOCK_CONNECTING : CONNECTION;
        struct nd_sock *sock = nd_sock_created(SOCK2, flags);
        sock->connect_began = fake.now - 59800 * ND_MSEC;
        sock->clock[ND_IN].time.waited = connecting ? 0 : 59800 * ND_MSEC;
        add(SET, SOCK2, EPOLLIN);
        ck_assert_int_le(set_of(SET)->due, fake.now + 200 * ND_MSEC);
        nd_epoll_noted(SET, SOCK2, NULL);
    }
}
END_TEST

START_TEST(repeated_registrations_do_not_put_a_scan_off) {
    add_new(SET, SOCK, CONNECTION, EPOLLIN);
    for (int i = 0; i < 100 && !has_expired(SOCK); i++) {
        add(SET, SOCK, i & 1 ? EPOLLIN : EPOLLIN | EPOLLOUT);
        wait_for(SET, 100 * ND_MSEC);
    }
    ck_assert(has_expired(SOCK));
    ck_assert_int_le(fake.now, 1000 * ND_SEC + LIMIT + 100 * ND_MSEC);
}
END_TEST

START_TEST(threads_may_change_a_set_during_a_wait) {
    nest();
    add_new(OTHER_SET, SOCK, CONNECTION, EPOLLIN);
    wait_for(SET, ND_SEC);
    set_of(SET)->due = set_of(OTHER_SET)->due = fake.now + 60 * ND_SEC;
    set_of(SET)->rescheduled = set_of(OTHER_SET)->rescheduled = 0;
    nd_epoll_scan_by(SET, fake.now, 500 * ND_MSEC);
    ck_assert_int_eq(set_of(SET)->due, fake.now + 500 * ND_MSEC);
    ck_assert_int_eq(set_of(OTHER_SET)->due, fake.now + 500 * ND_MSEC);
}
END_TEST

/* What the record of a socket tells the sets that it is in. */

START_TEST(the_listener_is_registered_with_the_first_membership) {
    start_without_limits();
    ck_assert_ptr_null(nd_sock_listener);
    add_new(SET, SOCK, CONNECTION, EPOLLIN);
    ck_assert_ptr_nonnull(nd_sock_listener);
}
END_TEST

START_TEST(an_operation_that_begins_bounds_the_sets_of_its_socket) {
    start_without_limits();
    nest();
    struct nd_sock *sock = add_new(OTHER_SET, SOCK, CONNECTION, EPOLLIN);
    wait_for(SET, 2 * ND_SEC); /* after which the inner set is known to be without limits */
    wait_for(SET, 2 * ND_SEC);
    ck_assert(!set_of(SET)->timed && !set_of(OTHER_SET)->timed);
    nd_sock_begin_operation(SOCK, sock, "SSL_connect", "TLS_HANDSHAKE", LIMIT);
    const nd_time began = fake.now;
    ck_assert_uint_eq(nd_watch_exact(SET), ND_WATCH_WAIT);
    ck_assert_uint_eq(nd_watch_exact(OTHER_SET), ND_WATCH_WAIT);
    ck_assert_int_le(set_of(OTHER_SET)->due, began + LIMIT / 8);
    ck_assert(wait_for(SET, 60 * ND_SEC));
    ck_assert_int_eq(fake.now, began + LIMIT);
    ck_assert_str_eq(fake.last.limit, "TLS_HANDSHAKE");
}
END_TEST

START_TEST(a_limit_in_the_direction_not_waited_for_bounds_nothing) {
    start_without_limits();
    struct nd_sock *sock = add_new(SET, SOCK, CONNECTION, EPOLLOUT);
    wait_for(SET, ND_SEC);
    nd_settings.outbound.recv = LIMIT;
    nd_sock_change(SOCK, sock, 0, 0);
    ck_assert_uint_eq(nd_watch_exact(SOCK) & ND_WATCH_WAIT, ND_WATCH_WAIT_IN);
    ck_assert(!set_of(SET)->timed);
}
END_TEST

START_TEST(a_timeout_pending_in_a_set_is_reported) {
    start_without_limits();
    struct epoll_event event;
    nest();
    add_new(OTHER_SET, SOCK, ND_SOCK_STREAM | ND_SOCK_INET | ND_SOCK_LISTENING, EPOLLIN);
    nd_settings.accept = LIMIT;
    nd_settings_generation++;
    wait_for(SET, LIMIT + ND_SEC);
    ck_assert_str_eq(fake.last.limit, "ACCEPT");
    ck_assert(nd_epoll_shows(SET) && nd_epoll_shows(OTHER_SET));
    ck_assert_int_eq(nd_epoll_show(SET, &event, 0, 1), 1);
    ck_assert(event.data.u64 == OTHER_SET && event.events == EPOLLIN);
    ck_assert_int_eq(nd_epoll_show(OTHER_SET, &event, 0, 1), 1);
    ck_assert(event.data.u64 == SOCK && event.events == EPOLLIN);
}
END_TEST

/* It was waited for in poll, which reported it, before it was added. */
START_TEST(a_timeout_pending_before_the_socket_is_added_is_reported) {
    start_without_limits();
    struct epoll_event event;
    struct nd_sock *sock = nd_sock_created(SOCK, ND_SOCK_STREAM | ND_SOCK_INET | ND_SOCK_LISTENING);
    nd_sock_change(SOCK, sock, ND_SOCK_TIMEOUT_PENDING, 0);
    add(SET, SOCK, EPOLLIN);
    ck_assert(nd_epoll_shows(SET));
    ck_assert_int_eq(nd_epoll_show(SET, &event, 0, 1), 1);
    ck_assert_uint_eq(event.data.u64, SOCK);
}
END_TEST

void add_tests(TCase *tests) {
    tcase_add_checked_fixture(tests, start, NULL);
    tcase_add_test(tests, an_empty_set_is_never_due);
    tcase_add_test(tests, waits_for_a_set_with_a_limit_are_watched);
    tcase_add_test(tests, a_set_made_unseen_gets_a_record);
    tcase_add_test(tests, what_is_no_socket_is_not_noted);
    tcase_add_test(tests, a_change_keeps_the_clock);
    tcase_add_test(tests, the_clock_stops_without_events);
    tcase_add_test(tests, the_clock_stops_at_removal);
    tcase_add_test(tests, a_socket_added_during_a_wait_has_its_whole_limit);
    tcase_add_test(tests, a_delivered_one_shot_is_not_waited_for);
    tcase_add_test(tests, other_registrations_are_waited_for_after_their_events);
    tcase_add_test(tests, a_wrong_hint_is_checked);
    tcase_add_test(tests, a_one_shot_tells_of_a_connect);
    tcase_add_test(tests, a_scan_is_only_ever_put_forward);
    tcase_add_test(tests, a_socket_added_later_is_due_in_time);
    tcase_add_test(tests, a_socket_that_is_nearly_due_reschedules_the_set);
    tcase_add_test(tests, repeated_registrations_do_not_put_a_scan_off);
    tcase_add_test(tests, threads_may_change_a_set_during_a_wait);
    tcase_add_test(tests, a_new_limit_holds_for_what_is_in_the_set);
    tcase_add_test(tests, a_limit_taken_away_does_not_fire);
    tcase_add_test(tests, a_new_limit_reaches_inner_sets);
    tcase_add_test(tests, a_set_notices_settings_that_its_record_has);
    tcase_add_test(tests, the_listener_is_registered_with_the_first_membership);
    tcase_add_test(tests, an_operation_that_begins_bounds_the_sets_of_its_socket);
    tcase_add_test(tests, a_limit_in_the_direction_not_waited_for_bounds_nothing);
    tcase_add_test(tests, a_timeout_pending_in_a_set_is_reported);
    tcase_add_test(tests, a_timeout_pending_before_the_socket_is_added_is_reported);
}
