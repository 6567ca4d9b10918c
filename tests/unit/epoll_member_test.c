#include "shim/wait/epoll_member.h"

#include <stdlib.h>

#include "tests/unit/fake_epoll.h"
#include "tests/unit/unit.h"

static void start(void) {
    fake_sets_start();
    nd_settings.outbound.recv = LIMIT;
}

/* Several sets. */

START_TEST(the_clock_adds_up_over_sets) {
    nd_sock_created(OTHER_SET, ND_SOCK_EPOLL);
    add_new(SET, SOCK, CONNECTION, EPOLLIN);
    add(OTHER_SET, SOCK, EPOLLIN);
    wait_for(SET, 700 * ND_MSEC);
    wait_for(OTHER_SET, 700 * ND_MSEC);
    ck_assert_int_eq(waited_for(SOCK), 1400 * ND_MSEC);
    ck_assert(wait_for(SET, LIMIT));
    ck_assert_int_eq(fake.now, 1000 * ND_SEC + LIMIT);
}
END_TEST

START_TEST(in_more_sets_than_are_noted_the_latest_counts) {
    add_new(SET, SOCK, CONNECTION, EPOLLIN);
    for (int epfd = OTHER_SET; epfd <= FIFTH_SET; epfd++) {
        nd_sock_created(epfd, ND_SOCK_EPOLL);
        add(epfd, SOCK, EPOLLIN);
    }
    ck_assert_ptr_nonnull(member_of(SOCK, SET));
    ck_assert_ptr_nonnull(member_of(SOCK, THIRD_SET));
    ck_assert_ptr_null(member_of(SOCK, FOURTH_SET));
    ck_assert(wait_for(FIFTH_SET, 2 * LIMIT));
}
END_TEST

START_TEST(a_closed_set_gives_its_membership_back) {
    add_new(SET, SOCK, CONNECTION, EPOLLIN);
    for (int epfd = OTHER_SET; epfd <= FOURTH_SET; epfd++) {
        nd_sock_created(epfd, ND_SOCK_EPOLL);
        add(epfd, SOCK, EPOLLIN);
    }
    wait_for(OTHER_SET, ND_SEC);
    close_fd(OTHER_SET);
    nd_sock_created(FIFTH_SET, ND_SOCK_EPOLL);
    add(FIFTH_SET, SOCK, EPOLLIN);
    ck_assert_ptr_nonnull(member_of(SOCK, FOURTH_SET));
    ck_assert_ptr_nonnull(member_of(SOCK, FIFTH_SET));
    ck_assert_int_eq(waited_for(SOCK), ND_SEC);
}
END_TEST

START_TEST(so_does_one_that_was_closed_unseen) {
    add_new(SET, SOCK, CONNECTION, EPOLLIN);
    for (int epfd = OTHER_SET; epfd <= FOURTH_SET; epfd++) {
        nd_sock_created(epfd, ND_SOCK_EPOLL);
        add(epfd, SOCK, EPOLLIN);
    }
    nd_sock_created(OTHER_SET, ND_SOCK_EPOLL);
    add(OTHER_SET, SOCK, EPOLLIN);
    for (int epfd = SET; epfd <= FOURTH_SET; epfd++)
        ck_assert_ptr_nonnull(member_of(SOCK, epfd));
}
END_TEST

START_TEST(a_set_of_the_same_number_is_another_one) {
    add_new(SET, SOCK, CONNECTION, EPOLLIN);
    nd_sock_clear(SET); /* closed where no hook saw it */
    nd_sock_created(SET, ND_SOCK_EPOLL);
    ck_assert_ptr_null(member_of(SOCK, SET));
    ck_assert(!wait_for(SET, 60 * ND_SEC));
}
END_TEST

/* Sets in sets. */

START_TEST(a_limit_in_an_inner_set_bounds_the_outer_wait) {
    nest();
    wait_for(SET, ND_SEC);
    add_new(OTHER_SET, SOCK, CONNECTION, EPOLLIN);
    ck_assert_uint_eq(nd_watch_exact(SET), ND_WATCH_WAIT);
    const nd_time began = fake.now;
    ck_assert(wait_for(SET, 60 * ND_SEC));
    ck_assert_int_eq(fake.now, began + LIMIT);
    ck_assert(has_expired(SOCK));
}
END_TEST

START_TEST(a_limit_that_stands_is_found_when_its_set_is_added) {
    nd_sock_created(OTHER_SET, ND_SOCK_EPOLL);
    add_new(OTHER_SET, SOCK, CONNECTION, EPOLLIN);
    add(SET, OTHER_SET, EPOLLIN);
    ck_assert(wait_for(SET, 60 * ND_SEC));
    ck_assert_int_eq(fake.now, 1000 * ND_SEC + LIMIT);
}
END_TEST

START_TEST(an_inner_set_that_is_removed_is_not_waited_for) {
    nest();
    add_new(OTHER_SET, SOCK, CONNECTION, EPOLLIN);
    nd_epoll_noted(SET, OTHER_SET, NULL);
    ck_assert(!wait_for(SET, 60 * ND_SEC));
    ck_assert_int_eq(waited_for(SOCK), 0);
}
END_TEST

/* What is left of a closed set in the one around it must not make a circle: the kernel allows none. */
START_TEST(a_closed_inner_set_may_come_back_as_the_outer_one) {
    nest();
    add_new(SET, SOCK, CONNECTION, EPOLLIN);
    close_fd(OTHER_SET);
    nd_sock_created(OTHER_SET, ND_SOCK_EPOLL);
    add(OTHER_SET, SET, EPOLLIN);
    nd_epoll_scan_by(OTHER_SET, fake.now, ND_SEC);
    ck_assert(wait_for(OTHER_SET, 60 * ND_SEC));
    ck_assert_int_eq(fake.now, 1000 * ND_SEC + LIMIT);
}
END_TEST

START_TEST(nor_one_that_was_closed_unseen) {
    nest();
    add_new(SET, SOCK, CONNECTION, EPOLLIN);
    nd_sock_created(OTHER_SET, ND_SOCK_EPOLL);
    add(OTHER_SET, SET, EPOLLIN);
    nd_epoll_scan_by(OTHER_SET, fake.now, ND_SEC);
    ck_assert(wait_for(OTHER_SET, 60 * ND_SEC));
}
END_TEST

START_TEST(closed_inner_sets_make_space_for_others) {
    for (int epfd = OTHER_SET; epfd <= FIFTH_SET; epfd++) {
        nd_sock_created(epfd, ND_SOCK_EPOLL);
        add(SET, epfd, EPOLLIN);
        if (epfd < FIFTH_SET)
            close_fd(epfd);
    }
    nest();
    add_new(OTHER_SET, SOCK, CONNECTION, EPOLLIN);
    ck_assert_int_eq(set_of(SET)->inner[0], FIFTH_SET + 1);
    ck_assert_int_eq(set_of(SET)->inner[1], OTHER_SET + 1);
    ck_assert(wait_for(SET, 60 * ND_SEC));
}
END_TEST

/* Descriptors of one set. */

START_TEST(duplicates_are_one_set) {
    add_new(SET, SOCK, CONNECTION, EPOLLIN);
    nd_duplicates_create(SET, COPY);
    nd_duplicates_create(COPY, OTHER_COPY);
    ck_assert_int_eq(nd_epoll_home(COPY), SET);
    ck_assert_int_eq(nd_epoll_home(OTHER_COPY), SET);
    add_new(COPY, SOCK2, CONNECTION, EPOLLIN);
    ck_assert_ptr_nonnull(member_of(SOCK2, SET));
    wait_for(COPY, ND_SEC);
    wait_for(SET, 500 * ND_MSEC);
    ck_assert_int_eq(waited_for(SOCK), 1500 * ND_MSEC);
    ck_assert_int_eq(waited_for(SOCK2), 1500 * ND_MSEC);
    nd_epoll_noted(OTHER_COPY, SOCK2, NULL);
    ck_assert_ptr_null(member_of(SOCK2, SET));
}
END_TEST

START_TEST(closing_a_duplicate_changes_nothing) {
    add_new(SET, SOCK, CONNECTION, EPOLLIN);
    nd_duplicates_create(SET, COPY);
    close_fd(COPY);
    ck_assert_ptr_nonnull(member_of(SOCK, SET));
    ck_assert(wait_for(SET, 60 * ND_SEC));
}
END_TEST

START_TEST(closing_the_home_hands_the_set_over) {
    nd_sock_created(OTHER_SET, ND_SOCK_EPOLL);
    add_new(SET, SOCK, CONNECTION, EPOLLIN);
    add(OTHER_SET, SET, EPOLLIN);
    nd_duplicates_create(SET, COPY);
    nd_duplicates_create(SET, OTHER_COPY);
    wait_for(SET, ND_SEC);
    close_fd(SET);
    ck_assert_int_eq(nd_epoll_home(COPY), COPY);
    ck_assert_int_eq(nd_epoll_home(OTHER_COPY), COPY);
    ck_assert_ptr_nonnull(member_of(SOCK, COPY));
    ck_assert_ptr_nonnull(member_of(COPY, OTHER_SET));
    ck_assert_int_eq(set_of(OTHER_SET)->inner[0], COPY + 1);
    ck_assert_uint_eq(nd_watch_exact(COPY), ND_WATCH_WAIT);
    wait_for(OTHER_COPY, 500 * ND_MSEC);
    ck_assert_int_eq(waited_for(SOCK), 1500 * ND_MSEC);
    ck_assert(wait_for(OTHER_SET, 60 * ND_SEC)); /* through the outer set, too */
    ck_assert_int_eq(fake.now, 1000 * ND_SEC + LIMIT);
}
END_TEST

/* The set around knows the set by the duplicate, or by both. */
START_TEST(the_registrations_of_a_duplicate_outlive_the_home) {
    for (int both = 0; both < 2; both++) {
        nd_sock_created(SET, ND_SOCK_EPOLL);
        nd_sock_created(OTHER_SET, ND_SOCK_EPOLL);
        nd_sock_created(THIRD_SET, ND_SOCK_EPOLL);
        add_new(SET, SOCK, CONNECTION, EPOLLIN);
        nd_duplicates_create(SET, COPY);
        add(OTHER_SET, COPY, EPOLLIN);
        add(THIRD_SET, SET, EPOLLIN);
        if (both)
            add(OTHER_SET, SET, EPOLLIN);
        close_fd(SET);
        ck_assert_ptr_nonnull(member_of(COPY, OTHER_SET));
        ck_assert_ptr_nonnull(member_of(COPY, THIRD_SET));
        wait_for(THIRD_SET, ND_SEC);
        ck_assert(wait_for(OTHER_SET, 60 * ND_SEC));
        ck_assert_int_eq(waited_for(SOCK), LIMIT);
        close_fd(COPY);
    }
}
END_TEST

START_TEST(the_registrations_of_a_duplicate_outlive_it) {
    nd_sock_created(OTHER_SET, ND_SOCK_EPOLL);
    add_new(SET, SOCK, CONNECTION, EPOLLIN);
    nd_duplicates_create(SET, COPY);
    add(OTHER_SET, COPY, EPOLLIN);
    close_fd(COPY);
    ck_assert_ptr_nonnull(member_of(SET, OTHER_SET));
    ck_assert(wait_for(OTHER_SET, 60 * ND_SEC));
}
END_TEST

void add_tests(TCase *tests) {
    tcase_add_checked_fixture(tests, start, NULL);
    tcase_add_test(tests, the_clock_adds_up_over_sets);
    tcase_add_test(tests, in_more_sets_than_are_noted_the_latest_counts);
    tcase_add_test(tests, a_closed_set_gives_its_membership_back);
    tcase_add_test(tests, so_does_one_that_was_closed_unseen);
    tcase_add_test(tests, a_set_of_the_same_number_is_another_one);
    tcase_add_test(tests, a_limit_in_an_inner_set_bounds_the_outer_wait);
    tcase_add_test(tests, a_limit_that_stands_is_found_when_its_set_is_added);
    tcase_add_test(tests, an_inner_set_that_is_removed_is_not_waited_for);
    tcase_add_test(tests, a_closed_inner_set_may_come_back_as_the_outer_one);
    tcase_add_test(tests, nor_one_that_was_closed_unseen);
    tcase_add_test(tests, closed_inner_sets_make_space_for_others);
    tcase_add_test(tests, duplicates_are_one_set);
    tcase_add_test(tests, closing_a_duplicate_changes_nothing);
    tcase_add_test(tests, closing_the_home_hands_the_set_over);
    tcase_add_test(tests, the_registrations_of_a_duplicate_outlive_the_home);
    tcase_add_test(tests, the_registrations_of_a_duplicate_outlive_it);
}
