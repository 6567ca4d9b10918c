#include "shim/scope.h"

#include <check.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdlib.h>

#include "tests/unit/fake_kernel.h"

#define FD 700
#define OTHER 701
#define NOINLINE __attribute__((noinline))

static struct nd_sock *sock, *other_sock;
static bool opened; /* whether the last open was granted */
static jmp_buf away;

static void start(void) {
    fake_start();
    sock = nd_sock_born(FD, ND_SOCK_STREAM | ND_SOCK_INET | ND_SOCK_CONNECTED);
    other_sock = nd_sock_born(OTHER, ND_SOCK_STREAM | ND_SOCK_INET | ND_SOCK_CONNECTED | ND_SOCK_INBOUND);
    nd_scope_drop(FD);
    nd_scope_drop(OTHER);
}

/* A TLS operation on `fd` that calls inside(). */
static NOINLINE void operation(int fd, enum nd_scope_limit limit, void (*inside)(void)) {
    struct nd_scope saved;
    bool granted = nd_scope_open(&saved, fd, fd == FD ? sock : other_sock, limit, "SSL_x", 5 * ND_SEC, ND_FRAME_SLOT());
    opened = granted;
    inside();
    if (granted)
        nd_scope_close(&saved);
}

/* Another call from the same place: it overwrites what an operation that was left there kept. */
static NOINLINE const struct nd_scope *another_call(int fd) {
    const struct nd_scope *scope = nd_scope_of(fd);
    __asm__ volatile("" ::: "memory"); /* no tail call */
    return scope;
}

static void look(void) {
    const struct nd_scope *scope = nd_scope_of(FD);
    ck_assert_ptr_nonnull(scope);
    ck_assert_str_eq(scope->operation, "SSL_x");
    ck_assert_int_eq(scope->began, fake.now);
    ck_assert_int_eq(scope->timeout, 5 * ND_SEC);
    ck_assert_ptr_null(nd_scope_of(OTHER));
    ck_assert_ptr_nonnull(nd_scope_of(FD)); /* asking for another one has not ended it */
}

START_TEST(a_scope_is_its_descriptors_and_ends_with_the_operation) {
    ck_assert_ptr_null(nd_scope_of(FD));
    operation(FD, ND_SCOPE_HANDSHAKE, look);
    ck_assert(opened);
    ck_assert(nd_sock_flags(sock) & ND_SOCK_SCOPED);
    ck_assert_ptr_null(nd_scope_of(FD));
}
END_TEST

static void nothing(void) {
}

static void same_again(void) {
    nd_time began = fake.now;
    fake.now += ND_SEC;
    operation(FD, ND_SCOPE_RECV, nothing);
    ck_assert(!opened);
    ck_assert_int_eq(nd_scope_of(FD)->began, began);
    ck_assert_int_eq(nd_scope_of(FD)->limit, ND_SCOPE_HANDSHAKE);
}

START_TEST(the_outermost_counts) {
    operation(FD, ND_SCOPE_HANDSHAKE, same_again);
    ck_assert_ptr_null(nd_scope_of(FD));
}
END_TEST

static void look_at_other(void) {
    ck_assert_ptr_nonnull(nd_scope_of(OTHER));
    ck_assert_ptr_null(nd_scope_of(FD));
}

static void callback(void) {
    operation(OTHER, ND_SCOPE_RECV, look_at_other);
    ck_assert(opened);
    ck_assert_ptr_nonnull(nd_scope_of(FD));
    ck_assert_ptr_null(nd_scope_of(OTHER));
}

START_TEST(an_operation_in_a_callback_gives_the_outer_back) {
    operation(FD, ND_SCOPE_HANDSHAKE, callback);
    ck_assert_ptr_null(nd_scope_of(FD));
}
END_TEST

static void jump(void) {
    longjmp(away, 1);
}

START_TEST(a_scope_left_by_longjmp_is_recognised) {
    if (setjmp(away) == 0)
        operation(FD, ND_SCOPE_HANDSHAKE, jump);
    ck_assert_ptr_null(another_call(FD));
}
END_TEST

START_TEST(after_a_longjmp_the_next_operation_has_its_own_scope) {
    if (setjmp(away) == 0)
        operation(FD, ND_SCOPE_HANDSHAKE, jump);
    fake.now += 3600 * ND_SEC;
    operation(FD, ND_SCOPE_HANDSHAKE, look);
    ck_assert(opened);
}
END_TEST

static void close_it(void) {
    nd_scope_drop(OTHER);
    ck_assert_ptr_nonnull(nd_scope_of(FD));
    nd_scope_drop(FD);
    ck_assert_ptr_null(nd_scope_of(FD));
}

START_TEST(a_closed_descriptor_has_no_scope) {
    operation(FD, ND_SCOPE_HANDSHAKE, close_it);
    ck_assert_ptr_null(nd_scope_of(FD));
}
END_TEST

static void *look_from_another_thread(void *arg) {
    (void)arg;
    return (void *)(uintptr_t)nd_scope_of(FD);
}

static void ask_a_thread(void) {
    pthread_t thread;
    void *found;
    pthread_create(&thread, NULL, look_from_another_thread, NULL);
    pthread_join(thread, &found);
    ck_assert_ptr_null(found);
}

START_TEST(a_scope_is_its_threads) {
    operation(FD, ND_SCOPE_HANDSHAKE, ask_a_thread);
}
END_TEST

static const struct {
    enum nd_scope_limit limit;
    bool inbound;
    const char *name;
} names[] = {
    {ND_SCOPE_HANDSHAKE, false, "TLS_HANDSHAKE"},
    {ND_SCOPE_HANDSHAKE, true, "INBOUND_TLS_HANDSHAKE"},
    {ND_SCOPE_SHUTDOWN, false, "TLS_SHUTDOWN"},
    {ND_SCOPE_SHUTDOWN, true, "INBOUND_TLS_SHUTDOWN"},
    {ND_SCOPE_RECV, false, "RECV"},
    {ND_SCOPE_RECV, true, "INBOUND_RECV"},
};
static int current_name;

static void describe(void) {
    const struct nd_scope *scope = nd_scope_of(names[current_name].inbound ? OTHER : FD);
    struct nd_expiry expiry = nd_scope_expiry(scope, fake.now + 6 * ND_SEC);
    ck_assert_str_eq(expiry.operation, "SSL_x");
    ck_assert_str_eq(expiry.limit, names[current_name].name);
    ck_assert_int_eq(expiry.timeout, 5 * ND_SEC);
    ck_assert_int_eq(expiry.elapsed, 6 * ND_SEC);
}

START_TEST(an_expiry_names_its_limit) {
    current_name = _i;
    operation(names[_i].inbound ? OTHER : FD, names[_i].limit, describe);
}
END_TEST

static void observe(void) {
    nd_observing = true;
    fake.now += 5 * ND_SEC - 1;
    nd_scope_observe(FD);
    ck_assert_uint_eq(fake.told, 0);
    fake.now++;
    nd_scope_observe(OTHER);
    ck_assert_uint_eq(fake.told, 0);
    nd_scope_observe(FD);
    ck_assert_uint_eq(fake.told, 1);
}

START_TEST(observing_tells_of_too_long_an_operation) {
    operation(FD, ND_SCOPE_HANDSHAKE, observe);
    ck_assert_int_eq(fake.disconnects, 0);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("scope");
    TCase *tests = tcase_create("scope");
    tcase_add_checked_fixture(tests, start, NULL);
    tcase_add_test(tests, a_scope_is_its_descriptors_and_ends_with_the_operation);
    tcase_add_test(tests, the_outermost_counts);
    tcase_add_test(tests, an_operation_in_a_callback_gives_the_outer_back);
    tcase_add_test(tests, a_scope_left_by_longjmp_is_recognised);
    tcase_add_test(tests, after_a_longjmp_the_next_operation_has_its_own_scope);
    tcase_add_test(tests, a_closed_descriptor_has_no_scope);
    tcase_add_test(tests, a_scope_is_its_threads);
    tcase_add_loop_test(tests, an_expiry_names_its_limit, 0, (int)(sizeof names / sizeof *names));
    tcase_add_test(tests, observing_tells_of_too_long_an_operation);
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
