#include "shim/tls/scope.h"

#include <pthread.h>
#include <setjmp.h>

#include "base/frame.h"
#include "shim/mode.h"
#include "shim/socket/change.h"
#include "shim/tls/innermost.h"
#include "tests/unit/fake_kernel.h"
#include "tests/unit/unit.h"

#define FD 700
#define OTHER 701
#define NOINLINE __attribute__((noinline))

static jmp_buf away;
static int an_object, another_object;
static const void *code = &an_object; /* where the operations' own calls come from */

static void start(void) {
    fake_start();
    nd_scope_drop(FD);
    nd_scope_drop(OTHER);
}

static bool expects_code(const struct nd_scope *scope, const void *caller) {
    (void)scope;
    return caller == code;
}

static bool bounds(struct nd_scope *scope, const void *caller) {
    return caller == code && scope->timeout;
}

static const struct nd_scope_kind kind = {.expects = expects_code, .bounds = bounds};

/* A TLS operation on `fd` that calls inside(). */
static NOINLINE void operation(int fd, enum nd_limit limit, void (*inside)(void)) {
    struct nd_scope scope = {.kind = &kind,
                             .operation = "SSL_x",
                             .object = fd == FD ? &an_object : &another_object,
                             .fd = fd,
                             .inbound = fd == OTHER,
                             .limit = limit,
                             .began = fake.now,
                             .timeout = 5 * ND_SEC};
    nd_scope_open(&scope, ND_FRAME_SLOT());
    inside();
    nd_scope_close(&scope);
}

static const struct nd_scope *scope_of(int fd) {
    return nd_scope_of(fd, code);
}

/* Another call from the same place: it overwrites what an operation that was left there kept. */
static NOINLINE const struct nd_scope *another_call(int fd) {
    const struct nd_scope *scope = scope_of(fd);
    __asm__ volatile("" ::: "memory"); /* no tail call */
    return scope;
}

static void look(void) {
    const struct nd_scope *scope = scope_of(FD);
    ck_assert_ptr_nonnull(scope);
    ck_assert_str_eq(scope->operation, "SSL_x");
    ck_assert_int_eq(scope->began, fake.now);
    ck_assert_int_eq(scope->timeout, 5 * ND_SEC);
    ck_assert_ptr_null(scope_of(OTHER));
    ck_assert_ptr_nonnull(scope_of(FD)); /* asking for another one has not ended it */
}

START_TEST(a_scope_is_its_descriptors_and_ends_with_the_operation) {
    ck_assert_ptr_null(scope_of(FD));
    operation(FD, ND_LIMIT_TLS_HANDSHAKE, look);
    ck_assert_ptr_null(scope_of(FD));
}
END_TEST

static void ask_for_the_object(void) {
    ck_assert_ptr_eq(nd_scope_around(&an_object), scope_of(FD));
    ck_assert_ptr_null(nd_scope_around(&another_object));
}

START_TEST(an_operation_within_is_recognised_by_its_object) {
    operation(FD, ND_LIMIT_TLS_HANDSHAKE, ask_for_the_object);
    ck_assert_ptr_null(nd_scope_around(&an_object));
}
END_TEST

static void ask_for_a_deadline(void) {
    ck_assert(nd_scope_bounds(FD, code));
    ck_assert(!nd_scope_bounds(FD, &another_object) && !nd_scope_bounds(OTHER, code));
    nd_scope_of(FD, code)->timeout = 0;
    ck_assert(!nd_scope_bounds(FD, code));
}

START_TEST(a_call_is_bounded_where_its_scope_has_a_deadline) {
    ck_assert(!nd_scope_bounds(FD, code));
    operation(FD, ND_LIMIT_TLS_HANDSHAKE, ask_for_a_deadline);
    ck_assert(!nd_scope_bounds(FD, code));
}
END_TEST

static void ask_from_elsewhere(void) {
    ck_assert_ptr_null(nd_scope_of(FD, &another_object));
    ck_assert_ptr_nonnull(scope_of(FD));
}

START_TEST(a_call_that_is_not_the_operations_has_no_scope) {
    operation(FD, ND_LIMIT_TLS_HANDSHAKE, ask_from_elsewhere);
}
END_TEST

static int updates;

static void update(struct nd_scope *scope) {
    updates++;
    scope->timeout = 9 * ND_SEC;
}

static NOINLINE void updated_operation(void) {
    static const struct nd_scope_kind updated = {.update = update};
    struct nd_scope scope = {.kind = &updated, .operation = "SSL_x", .object = &an_object, .fd = FD};
    nd_scope_open(&scope, ND_FRAME_SLOT());
    ck_assert_int_eq(scope_of(FD)->timeout, 9 * ND_SEC);
    nd_scope_close(&scope);
}

START_TEST(a_scope_is_brought_up_to_date) {
    updates = 0;
    updated_operation();
    ck_assert_int_eq(updates, 1);
}
END_TEST

static void look_at_other(void) {
    ck_assert_ptr_nonnull(scope_of(OTHER));
    ck_assert_ptr_null(scope_of(FD));
}

static void callback(void) {
    operation(OTHER, ND_LIMIT_RECV, look_at_other);
    ck_assert_ptr_nonnull(scope_of(FD));
    ck_assert_ptr_null(scope_of(OTHER));
}

START_TEST(an_operation_in_a_callback_gives_the_outer_back) {
    operation(FD, ND_LIMIT_TLS_HANDSHAKE, callback);
    ck_assert_ptr_null(scope_of(FD));
}
END_TEST

static void jump(void) {
    longjmp(away, 1);
}

START_TEST(a_scope_left_by_longjmp_is_recognised) {
    if (setjmp(away) == 0)
        operation(FD, ND_LIMIT_TLS_HANDSHAKE, jump);
    ck_assert_ptr_null(another_call(FD));
}
END_TEST

START_TEST(after_a_longjmp_the_next_operation_has_its_own_scope) {
    if (setjmp(away) == 0)
        operation(FD, ND_LIMIT_TLS_HANDSHAKE, jump);
    fake.now += 3600 * ND_SEC;
    operation(FD, ND_LIMIT_TLS_HANDSHAKE, look);
}
END_TEST

/* What a program may do with a frame that was left: use it as a buffer, without a word over the return address. */
static NOINLINE const struct nd_scope *buffer_over_it(void) {
    char buffer[8192];
    __asm__ volatile("" : : "r"(buffer) : "memory");
    return another_call(FD);
}

static NOINLINE void deep_operation(void) {
    char above[2048]; /* the frame left lies in the buffer */
    __asm__ volatile("" : : "r"(above) : "memory");
    operation(FD, ND_LIMIT_TLS_HANDSHAKE, jump);
}

static const void *elsewhere = &another_object;

static NOINLINE const struct nd_scope *buffer_and_own_call(void) {
    char buffer[8192];
    __asm__ volatile("" : : "r"(buffer) : "memory");
    const struct nd_scope *scope = nd_scope_of(FD, elsewhere);
    __asm__ volatile("" ::: "memory");
    return scope;
}

static NOINLINE void spoil(void) {
    char buffer[8192];
    __asm__ volatile("" : : "r"(buffer) : "memory");
    struct nd_scope *scope = nd_scope_of(FD, code);
    if (scope)
        scope->kind = (const struct nd_scope_kind *)(uintptr_t)1;
}

START_TEST(a_frame_left_in_a_buffer_does_not_bound_the_programs_own_calls) {
    if (setjmp(away) == 0)
        deep_operation();
    ck_assert_ptr_null(buffer_and_own_call());
    if (buffer_over_it()) /* from the library's own code: it may be taken for true as long as it is whole */
        spoil();
    ck_assert_ptr_null(buffer_over_it());
}
END_TEST

static void close_it(void) {
    nd_scope_drop(OTHER);
    ck_assert_ptr_nonnull(scope_of(FD));
    nd_scope_drop(FD);
    ck_assert_ptr_null(scope_of(FD));
}

START_TEST(a_closed_descriptor_has_no_scope) {
    operation(FD, ND_LIMIT_TLS_HANDSHAKE, close_it);
    ck_assert_ptr_null(scope_of(FD));
}
END_TEST

static void *look_from_another_thread(void *arg) {
    (void)arg;
    return (void *)(uintptr_t)scope_of(FD);
}

static void ask_a_thread(void) {
    pthread_t thread;
    void *found;
    pthread_create(&thread, NULL, look_from_another_thread, NULL);
    pthread_join(thread, &found);
    ck_assert_ptr_null(found);
}

START_TEST(a_scope_is_its_threads) {
    operation(FD, ND_LIMIT_TLS_HANDSHAKE, ask_a_thread);
}
END_TEST

/* A calm operation: its object is the one that talks through the descriptor. */
static NOINLINE void calm_operation(void (*inside)(void)) {
    struct nd_scope scope;
    nd_scope_open_established(&scope, &an_object, FD, ND_FRAME_SLOT());
    inside();
    nd_scope_close_established(&scope);
}

static NOINLINE bool is_calm(void) {
    bool calm = nd_scope_current.scope && nd_scope_is_established(FD);
    __asm__ volatile("" ::: "memory");
    return calm;
}

static void look_calmly(void) {
    ck_assert(is_calm() && nd_scope_around(&an_object) && !nd_scope_around(&another_object));
    nd_sock_lookup(FD)->tls = &another_object;
    ck_assert(!is_calm());
    nd_sock_lookup(FD)->tls = &an_object;
    nd_scope_current.return_to++;
    ck_assert(!is_calm() && !nd_scope_around(&an_object));
    nd_scope_current.return_to--;
}

START_TEST(a_calm_scope_is_its_objects) {
    nd_sock_created(FD, ND_SOCK_STREAM)->tls = &an_object;
    calm_operation(look_calmly);
    ck_assert_ptr_null(nd_scope_current.scope);
}
END_TEST

static NOINLINE bool calm_in_a_buffer(void) {
    char buffer[8192];
    __asm__ volatile("" : : "r"(buffer) : "memory");
    return is_calm();
}

static NOINLINE void deep_calm_operation(void) {
    char above[2048];
    __asm__ volatile("" : : "r"(above) : "memory");
    calm_operation(jump);
}

static NOINLINE void spoil_calm(void) {
    char buffer[8192];
    __asm__ volatile("" : : "r"(buffer) : "memory");
    if (is_calm())
        nd_scope_current.scope->object = &another_object;
}

START_TEST(a_calm_scope_left_by_longjmp_is_recognised) {
    nd_sock_created(FD, ND_SOCK_STREAM)->tls = &an_object;
    if (setjmp(away) == 0)
        calm_operation(jump);
    ck_assert(!is_calm());
    if (setjmp(away) == 0)
        deep_calm_operation();
    spoil_calm();
    ck_assert(!calm_in_a_buffer());
    operation(FD, ND_LIMIT_TLS_HANDSHAKE, look); /* over one that was left */
    ck_assert(!is_calm());
}
END_TEST

static const struct {
    enum nd_limit limit;
    bool inbound;
    const char *name;
} names[] = {
    {ND_LIMIT_TLS_HANDSHAKE, false, "TLS_HANDSHAKE"},
    {ND_LIMIT_TLS_HANDSHAKE, true, "INBOUND_TLS_HANDSHAKE"},
    {ND_LIMIT_TLS_SHUTDOWN, false, "TLS_SHUTDOWN"},
    {ND_LIMIT_TLS_SHUTDOWN, true, "INBOUND_TLS_SHUTDOWN"},
    {ND_LIMIT_RECV, false, "RECV"},
    {ND_LIMIT_RECV, true, "INBOUND_RECV"},
};
static int current_name;

static void describe(void) {
    const struct nd_scope *scope = scope_of(names[current_name].inbound ? OTHER : FD);
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
    nd_scope_observe(scope_of(FD));
    ck_assert_uint_eq(fake.told, 0);
    fake.now++;
    nd_scope_observe(scope_of(FD));
    ck_assert_uint_eq(fake.told, 1);
}

START_TEST(observing_tells_of_too_long_an_operation) {
    operation(FD, ND_LIMIT_TLS_HANDSHAKE, observe);
    ck_assert_int_eq(fake.disconnects, 0);
}
END_TEST

void add_tests(TCase *tests) {
    tcase_add_checked_fixture(tests, start, NULL);
    tcase_add_test(tests, a_scope_is_its_descriptors_and_ends_with_the_operation);
    tcase_add_test(tests, an_operation_within_is_recognised_by_its_object);
    tcase_add_test(tests, a_call_that_is_not_the_operations_has_no_scope);
    tcase_add_test(tests, a_call_is_bounded_where_its_scope_has_a_deadline);
    tcase_add_test(tests, a_scope_is_brought_up_to_date);
    tcase_add_test(tests, a_frame_left_in_a_buffer_does_not_bound_the_programs_own_calls);
    tcase_add_test(tests, an_operation_in_a_callback_gives_the_outer_back);
    tcase_add_test(tests, a_scope_left_by_longjmp_is_recognised);
    tcase_add_test(tests, a_calm_scope_is_its_objects);
    tcase_add_test(tests, a_calm_scope_left_by_longjmp_is_recognised);
    tcase_add_test(tests, after_a_longjmp_the_next_operation_has_its_own_scope);
    tcase_add_test(tests, a_closed_descriptor_has_no_scope);
    tcase_add_test(tests, a_scope_is_its_threads);
    tcase_add_loop_test(tests, an_expiry_names_its_limit, 0, (int)(sizeof names / sizeof *names));
    tcase_add_test(tests, observing_tells_of_too_long_an_operation);
}
