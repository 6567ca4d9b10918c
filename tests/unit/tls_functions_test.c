#include "shim/tls/functions.h"

#include <dlfcn.h>
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "tests/unit/unit.h"

#define HERE __builtin_extract_return_addr(__builtin_return_address(0))

static const struct nd_tls *find(const void *object, struct nd_tls *room) {
    return nd_tls_find(ND_OPENSSL, HERE, object, room);
}

static void *libssl; /* loaded as Python does: its names are nobody else's */

static void load(void) {
    libssl = dlopen("libssl.so.3", RTLD_LAZY | RTLD_LOCAL);
    if (!libssl)
        libssl = dlopen("libssl.so.1.1", RTLD_LAZY | RTLD_LOCAL);
    ck_assert_msg(libssl != NULL, "this test needs an OpenSSL");
}

START_TEST(without_openssl_nothing_is_found) {
    struct nd_tls room;
    errno = 7;
    ck_assert_ptr_null(find(NULL, &room));
    ck_assert_int_eq(errno, 7);
}
END_TEST

/* An SSL object, which tells who made it. */
static void *new_object(void) {
    const void *(*method)(void) = (const void *(*)(void))dlsym(libssl, "TLS_method");
    void *(*new_context)(const void *) = (void *(*)(const void *))dlsym(libssl, "SSL_CTX_new");
    void *(*new_ssl)(void *) = (void *(*)(void *))dlsym(libssl, "SSL_new");
    void (*free_context)(void *) = (void (*)(void *))dlsym(libssl, "SSL_CTX_free");
    void *context = new_context(method());
    void *ssl = new_ssl(context);
    free_context(context); /* the object keeps its own reference */
    return ssl;
}

static void free_object(void *object) {
    ((void (*)(void *))dlsym(libssl, "SSL_free"))(object);
}

static void check_found(const struct nd_tls *tls) {
    ck_assert_ptr_eq(*(void *const *)&tls->SSL_read, dlsym(libssl, "SSL_read"));
    ck_assert_ptr_eq(*(void *const *)&tls->SSL_shutdown, dlsym(libssl, "SSL_shutdown"));
    ck_assert_ptr_eq(*(void *const *)&tls->SSL_get_rfd, dlsym(libssl, "SSL_get_rfd"));
    ck_assert_ptr_eq(*(void *const *)&tls->ERR_peek_error, dlsym(libssl, "ERR_peek_error"));
}

/* The caller does not know the library: a tail call may have hidden who does. */
START_TEST(a_private_openssl_is_found_again_and_again) {
    struct nd_tls room;
    load();
    void *object = new_object();
    errno = 7;
    for (int i = 0; i < 3; i++) {
        const struct nd_tls *tls = find(object, &room);
        ck_assert_ptr_nonnull(tls);
        ck_assert(i == 0 || tls != &room); /* kept since the first time */
        check_found(tls);
    }
    ck_assert_int_eq(errno, 7);
    free_object(object);
    dlclose(libssl);
}
END_TEST

START_TEST(each_row_is_found_under_its_own_name) {
    struct nd_tls room;
    load();
    const struct nd_tls *tls = find(NULL, &room);
    ck_assert_ptr_nonnull(tls);
#define ND_TLS(name, type, params, args)                                                                               \
    if (strncmp(#name, "SSL_", 4) == 0)                                                                                \
        ck_assert_ptr_eq(*(void *const *)&tls->name, dlsym(libssl, #name));
#include "shim/hooks.def"
    ck_assert(nd_tls_contains(tls, (void *)tls->SSL_read) && nd_tls_contains(tls, (void *)tls->ERR_peek_error));
    ck_assert(!nd_tls_contains(tls, (void *)&malloc) && !nd_tls_contains(tls, (void *)&load));
    dlclose(libssl);
}
END_TEST

START_TEST(an_unloaded_openssl_is_not_found_any_more) {
    struct nd_tls room;
    load();
    ck_assert_ptr_nonnull(find(NULL, &room));
    dlclose(libssl);
    if (!dlopen("libssl.so.3", RTLD_LAZY | RTLD_NOLOAD) && !dlopen("libssl.so.1.1", RTLD_LAZY | RTLD_NOLOAD))
        ck_assert_ptr_null(find(NULL, &room));
    load();
    check_found(find(NULL, &room));
    dlclose(libssl);
}
END_TEST

START_TEST(a_strange_address_still_finds_one) {
    struct nd_tls room;
    load();
    check_found(nd_tls_find(ND_OPENSSL, NULL, NULL, &room));
    dlclose(libssl);
}
END_TEST

static void *find_often(void *arg) {
    struct nd_tls room;
    void *object = new_object();
    for (int i = 0; i < 200; i++) {
        const struct nd_tls *tls = find(object, &room);
        if (!tls || *(void *const *)&tls->SSL_read != arg)
            return arg;
    }
    free_object(object);
    return NULL;
}

START_TEST(threads_find_the_same) {
    pthread_t threads[8];
    void *failed;
    load();
    void *expected = dlsym(libssl, "SSL_read");
    for (int i = 0; i < 8; i++)
        pthread_create(&threads[i], NULL, find_often, expected);
    for (int i = 0; i < 8; i++) {
        pthread_join(threads[i], &failed);
        ck_assert_ptr_null(failed);
    }
    dlclose(libssl);
}
END_TEST

/* OpenSSL's error queue */
static unsigned long first_error;
static int begun, queued_lib, queued_reason;

static unsigned long peek_error(void) {
    return first_error;
}

static void new_error(void) {
    begun++;
}

static void set_error(int lib, int reason, const char *format, ...) {
    ck_assert_ptr_null(format);
    queued_lib = lib;
    queued_reason = reason;
    errno = 0;
}

static void put_error(int lib, int func, int reason, const char *file, int line) {
    (void)func, (void)file, (void)line;
    set_error(lib, reason, NULL);
}

static void queue(struct nd_tls tls) {
    begun = queued_lib = queued_reason = 0;
    errno = ETIMEDOUT;
    nd_tls_queue_errno(&tls);
    ck_assert_int_eq(errno, ETIMEDOUT);
}

START_TEST(an_empty_queue_gets_errno) {
    first_error = 0;
    queue((struct nd_tls){.ERR_peek_error = peek_error, .ERR_new = new_error, .ERR_set_error = set_error});
    ck_assert_int_eq(begun, 1);
    ck_assert_int_eq(queued_lib, 2); /* ERR_LIB_SYS */
    ck_assert_int_eq(queued_reason, ETIMEDOUT);
    queue((struct nd_tls){.ERR_peek_error = peek_error, .ERR_put_error = put_error}); /* before 3.0 */
    ck_assert_int_eq(queued_lib, 2);
    ck_assert_int_eq(queued_reason, ETIMEDOUT);
}
END_TEST

START_TEST(what_stands_in_the_queue_stays) {
    first_error = 1;
    queue((struct nd_tls){.ERR_peek_error = peek_error, .ERR_new = new_error, .ERR_set_error = set_error});
    ck_assert_int_eq(begun + queued_lib, 0);
}
END_TEST

START_TEST(a_library_without_a_queue_is_survived) {
    first_error = 0;
    queue((struct nd_tls){0});
    queue((struct nd_tls){.ERR_peek_error = peek_error});
    queue((struct nd_tls){.ERR_peek_error = peek_error, .ERR_new = new_error});
    ck_assert_int_eq(begun + queued_lib, 0);
}
END_TEST

void add_tests(TCase *tests) {
    tcase_add_test(tests, without_openssl_nothing_is_found);
    tcase_add_test(tests, a_private_openssl_is_found_again_and_again);
    tcase_add_test(tests, each_row_is_found_under_its_own_name);
    tcase_add_test(tests, an_unloaded_openssl_is_not_found_any_more);
    tcase_add_test(tests, a_strange_address_still_finds_one);
    tcase_add_test(tests, threads_find_the_same);
    tcase_add_test(tests, an_empty_queue_gets_errno);
    tcase_add_test(tests, what_stands_in_the_queue_stays);
    tcase_add_test(tests, a_library_without_a_queue_is_survived);
}
