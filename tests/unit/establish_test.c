#include "shim/socket/establish.h"

#include <arpa/inet.h>
#include <pthread.h>

#include "shim/limit/wait_clock.h"
#include "shim/socket/change.h"
#include "tests/unit/fake_kernel.h"
#include "tests/unit/unit.h"

enum { FD = 700, THREAD = 1, OTHER = 2, THIRD = 3 };
#define LIMIT (8 * ND_SEC)

static struct nd_sock *sock;

static void start(void) {
    fake_start();
    nd_settings.establish = LIMIT;
    sock = nd_sock_created(FD, ND_SOCK_STREAM | ND_SOCK_INET);
}

static struct in6_addr address_of(const char *text) {
    struct in6_addr address;
    ck_assert_int_eq(inet_pton(AF_INET6, text, &address), 1);
    return address;
}

/* A lookup of `name` by the thread that takes no time and finds ::1 to ::`count`. */
static void look_up(const char *name, int family, uint64_t thread, int first, int count) {
    struct nd_budget budget =
        nd_establish_lookup(name, thread, nd_establish_lookup_began(name, family, thread, LIMIT, fake.now));
    for (int i = first; i < first + count; i++) {
        char text[16];
        snprintf(text, sizeof text, "::%d", i);
        const struct in6_addr address = address_of(text);
        nd_establish_found(&budget, &address);
    }
    nd_establish_store(&budget, family, fake.now);
}

static bool attempt(const char *address, uint64_t thread) {
    const struct nd_endpoint_address endpoint = {address_of(address), 443};
    return nd_establish_attempt(sock, &endpoint, thread, true, fake.now);
}

/* How long a connect that begins now may take. */
static nd_time time_of(const char *address, uint64_t thread) {
    nd_time deadline;
    ck_assert(attempt(address, thread));
    ck_assert_int_eq(nd_connect_bound(sock, fake.now, &deadline), ND_LIMIT_ESTABLISH);
    return deadline - fake.now;
}

START_TEST(off_costs_nothing_and_bounds_nothing) {
    nd_time deadline;
    nd_settings.establish = 0;
    nd_settings.connect = ND_SEC;
    ck_assert_int_eq(nd_connect_bound(sock, fake.now, &deadline), ND_LIMIT_CONNECT);
    ck_assert_int_eq(deadline, fake.now + ND_SEC);
    nd_settings.connect = 0;
    ck_assert_int_eq(nd_connect_deadline(sock, fake.now), ND_NEVER);
}
END_TEST

START_TEST(an_address_without_a_name_has_it_all) {
    ck_assert_int_eq(time_of("::1", THREAD), LIMIT);
    fake.now += LIMIT;
    nd_establish_change(sock, ND_ESTABLISH_FAILED, fake.now);
    ck_assert_int_eq(time_of("::1", THREAD), LIMIT); /* each connect is an establishment of its own */
}
END_TEST

START_TEST(the_sooner_of_connect_and_establish_holds) {
    nd_time deadline;
    look_up("two.test", AF_UNSPEC, THREAD, 1, 2);
    nd_settings.connect = 3 * ND_SEC;
    ck_assert(attempt("::1", THREAD));
    ck_assert_int_eq(nd_connect_bound(sock, fake.now, &deadline), ND_LIMIT_CONNECT);
    nd_settings.connect = 5 * ND_SEC;
    ck_assert_int_eq(nd_connect_bound(sock, fake.now, &deadline), ND_LIMIT_ESTABLISH);
    ck_assert_int_eq(deadline, fake.now + LIMIT / 2);
}
END_TEST

START_TEST(a_change_of_the_limit_holds_at_once) {
    look_up("two.test", AF_UNSPEC, THREAD, 1, 2);
    const nd_time began = fake.now;
    ck_assert_int_eq(time_of("::1", THREAD), LIMIT / 2);
    nd_settings.establish = 20 * ND_SEC;
    ck_assert_int_eq(nd_connect_deadline(sock, began), began + 10 * ND_SEC);
}
END_TEST

START_TEST(threads_have_budgets_of_their_own) {
    look_up("two.test", AF_UNSPEC, THREAD, 1, 2);
    ck_assert_int_eq(time_of("::1", THREAD), LIMIT / 2);
    fake.now += LIMIT / 2;
    nd_establish_change(sock, ND_ESTABLISH_FAILED, fake.now);
    look_up("Two.TEST.", AF_UNSPEC, OTHER, 1, 2);
    ck_assert_int_eq(time_of("::1", OTHER), LIMIT / 2);
    ck_assert_int_eq(time_of("::2", THREAD), LIMIT / 2); /* what is left of its own */
    ck_assert_int_eq(time_of("::2", OTHER), LIMIT);
}
END_TEST

START_TEST(a_thread_may_look_names_up_for_others) {
    look_up("two.test", AF_UNSPEC, THREAD, 1, 2);
    ck_assert_int_eq(time_of("::1", OTHER), LIMIT / 2);
    fake.now += LIMIT / 2;
    nd_establish_change(sock, ND_ESTABLISH_FAILED, fake.now);
    ck_assert_int_eq(time_of("::2", OTHER), LIMIT / 2);
    fake.now += LIMIT / 2;
    nd_establish_change(sock, ND_ESTABLISH_FAILED, fake.now);
    ck_assert(!attempt("::2", OTHER));
    look_up("two.test", AF_UNSPEC, THIRD, 1, 2); /* a new lookup for it */
    ck_assert_int_eq(time_of("::1", OTHER), LIMIT / 2);
}
END_TEST

START_TEST(what_another_thread_uses_is_left_alone) {
    look_up("two.test", AF_UNSPEC, THREAD, 1, 2);
    ck_assert_int_eq(time_of("::1", THREAD), LIMIT / 2);
    fake.now += ND_SEC;
    ck_assert_int_eq(time_of("::2", OTHER), LIMIT / 2); /* its own, which begins now */
    fake.now += ND_SEC;
    ck_assert_int_eq(time_of("::1", OTHER), LIMIT - ND_SEC);
    ck_assert_int_eq(time_of("::2", THREAD), LIMIT - 2 * ND_SEC);
}
END_TEST

START_TEST(the_latest_lookup_of_an_address_counts) {
    look_up("one.test", AF_UNSPEC, THREAD, 1, 1);
    fake.now += ND_SEC;
    look_up("other.test", AF_UNSPEC, THREAD, 1, 2);
    ck_assert_int_eq(time_of("::1", THREAD), LIMIT / 2);
}
END_TEST

START_TEST(two_lookups_for_two_families) {
    look_up("two.test", AF_INET6, THREAD, 1, 1);
    fake.now += ND_SEC;
    look_up("two.test", AF_INET, THREAD, 2, 1);
    ck_assert_int_eq(time_of("::2", THREAD), (LIMIT - ND_SEC) / 2);
    nd_establish_change(sock, ND_ESTABLISH_FAILED, fake.now);
    look_up("two.test", AF_INET, THREAD, 2, 1); /* once more: another establishment */
    ck_assert_int_eq(time_of("::2", THREAD), LIMIT);
}
END_TEST

START_TEST(success_ends_it_and_a_failed_handshake_does_not) {
    look_up("two.test", AF_UNSPEC, THREAD, 1, 2);
    ck_assert(attempt("::1", THREAD));
    nd_establish_change(sock, ND_ESTABLISH_SUCCEEDED, fake.now);
    fake.now += LIMIT;
    nd_establish_change(sock, ND_ESTABLISH_REOPENED, fake.now);
    ck_assert(!attempt("::2", THREAD));
}
END_TEST

START_TEST(nothing_of_a_descriptor_remains) {
    look_up("two.test", AF_UNSPEC, THREAD, 1, 2);
    ck_assert(attempt("::1", THREAD));
    ck_assert_int_eq(nd_establish_began(sock), fake.now);
    sock = nd_sock_created(FD, ND_SOCK_STREAM | ND_SOCK_INET);
    ck_assert_int_eq(nd_establish_began(sock), 0);
}
END_TEST

START_TEST(a_duplicate_has_the_same) {
    struct nd_sock *duplicate = nd_sock_created(FD + 1, ND_SOCK_STREAM | ND_SOCK_INET);
    look_up("two.test", AF_UNSPEC, THREAD, 1, 2);
    ck_assert(attempt("::1", THREAD));
    nd_establish_inherit(sock, duplicate);
    ck_assert_int_eq(nd_connect_deadline(duplicate, fake.now), fake.now + LIMIT / 2);
}
END_TEST

START_TEST(memory_is_bounded) {
    char name[32];
    for (int i = 0; i < 3 * ND_ESTABLISH_LOOKUPS; i++) {
        snprintf(name, sizeof name, "%d.test", i);
        look_up(name, AF_UNSPEC, THREAD, 2 * i + 1, 2);
    }
    ck_assert_int_eq(time_of("::1", THREAD), LIMIT); /* forgotten */
    snprintf(name, sizeof name, "::%d", 2 * (3 * ND_ESTABLISH_LOOKUPS - 1) + 1);
    ck_assert_int_eq(time_of(name, THREAD), LIMIT / 2);
}
END_TEST

static void *storm(void *thread) {
    const struct nd_endpoint_address endpoint = {address_of("::1"), 443};
    struct nd_sock mine = {.generation = 1};
    for (int i = 0; i < 2000; i++) {
        if (i % 20 == 0)
            look_up("two.test", AF_UNSPEC, (uintptr_t)thread, 1, 2);
        nd_establish_attempt(&mine, &endpoint, (uintptr_t)thread, true, fake.now);
        nd_establish_change(&mine, ND_ESTABLISH_FAILED, fake.now);
        if (mine.establish.others > 1 || mine.establish.began != fake.now)
            return thread;
    }
    return NULL;
}

START_TEST(threads_at_once) {
    pthread_t threads[4];
    void *wrong;
    for (uintptr_t i = 0; i < 4; i++)
        ck_assert_int_eq(pthread_create(&threads[i], NULL, storm, (void *)(i + 1)), 0); // NOLINT
    for (int i = 0; i < 4; i++) {
        pthread_join(threads[i], &wrong);
        ck_assert_ptr_null(wrong);
    }
}
END_TEST

START_TEST(a_pending_connect_expires) {
    look_up("two.test", AF_UNSPEC, nd_establish_thread(), 1, 2);
    ck_assert(attempt("::1", nd_establish_thread()));
    sock->connect_began = fake.now;
    fake.info.tcpi_state = TCP_SYN_SENT;
    nd_sock_change(FD, sock, ND_SOCK_CONNECTING, 0);
    ck_assert_int_eq(nd_wait_clock_due(sock, 0, fake.now), fake.now + LIMIT / 2);
    fake.now += LIMIT / 2;
    ck_assert(nd_wait_clock_expire("poll", FD, sock, 0, true, fake.now));
    ck_assert_str_eq(fake.last.limit, "ESTABLISH");
    ck_assert_int_eq(fake.last.timeout, LIMIT);
    ck_assert_int_eq(fake.last.elapsed, LIMIT / 2);
}
END_TEST

void add_tests(TCase *tests) {
    tcase_add_checked_fixture(tests, start, NULL);
    tcase_add_test(tests, off_costs_nothing_and_bounds_nothing);
    tcase_add_test(tests, an_address_without_a_name_has_it_all);
    tcase_add_test(tests, the_sooner_of_connect_and_establish_holds);
    tcase_add_test(tests, a_change_of_the_limit_holds_at_once);
    tcase_add_test(tests, threads_have_budgets_of_their_own);
    tcase_add_test(tests, a_thread_may_look_names_up_for_others);
    tcase_add_test(tests, what_another_thread_uses_is_left_alone);
    tcase_add_test(tests, the_latest_lookup_of_an_address_counts);
    tcase_add_test(tests, two_lookups_for_two_families);
    tcase_add_test(tests, success_ends_it_and_a_failed_handshake_does_not);
    tcase_add_test(tests, nothing_of_a_descriptor_remains);
    tcase_add_test(tests, a_duplicate_has_the_same);
    tcase_add_test(tests, memory_is_bounded);
    tcase_add_test(tests, threads_at_once);
    tcase_add_test(tests, a_pending_connect_expires);
}
