#include "resolver/helper.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "resolver/helper_calls.h"
#include "tests/unit/unit.h"

/* A libc whose lookups wait until they are released. */
static _Atomic int gate, calls, signals_blocked, active, peak;

static void note_active(void) {
    int now = ++active, most = peak;
    while (now > most && !atomic_compare_exchange_weak(&peak, &most, now))
        ;
}

static int real_getaddrinfo(const char *node, const char *service, const struct addrinfo *hints,
                            struct addrinfo **res) {
    sigset_t mask;
    (void)service;
    (void)hints;
    sigprocmask(SIG_BLOCK, NULL, &mask);
    signals_blocked = sigismember(&mask, SIGTERM) && sigismember(&mask, SIGALRM) && sigismember(&mask, SIGSEGV);
    calls++;
    note_active();
    while (!gate)
        usleep(1000);
    if (gate == 2) /* slow, but alive */
        usleep(400000);
    for (int turn = 0; gate == 3 && strcmp(node, "n1") != 0 && peak <= ND_HELPERS && turn < 10000; turn++)
        usleep(1000);
    active--;
    if (strcmp(node, "none") == 0) {
        errno = EIO;
        return EAI_SYSTEM;
    }
    struct addrinfo numeric = {.ai_flags = AI_NUMERICHOST | AI_CANONNAME, .ai_socktype = SOCK_STREAM};
    return getaddrinfo("192.0.2.1", "80", &numeric, res);
}

static struct nd_lookup in_ms(int ms) {
    return (struct nd_lookup){.deadline = nd_now() + ms * ND_MSEC};
}

static int ask(const char *node, int ms, struct addrinfo **res) {
    struct nd_lookup lookup = in_ms(ms);
    int code = nd_helper_getaddrinfo(real_getaddrinfo, node, "80", NULL, res, &lookup);
    ck_assert(lookup.expired == (code == EAI_AGAIN));
    return code;
}

START_TEST(gives_libc_s_answer) {
    struct addrinfo *list = NULL;
    gate = 1;
    ck_assert_int_eq(ask("a", 5000, &list), 0);
    ck_assert_str_eq(list->ai_canonname, "192.0.2.1");
    ck_assert_int_eq(list->ai_addr->sa_family, AF_INET);
    freeaddrinfo(list);
    ck_assert_int_eq(ask("none", 5000, &list), EAI_SYSTEM);
    ck_assert_int_eq(errno, EIO);
    ck_assert(signals_blocked);
    while (nd_helper_count() > 0)
        usleep(1000);
}
END_TEST

START_TEST(leaves_at_the_deadline) {
    struct addrinfo *list;
    nd_time start = nd_now();
    gate = 0;
    ck_assert_int_eq(ask("a", 100, &list), EAI_AGAIN);
    ck_assert_int_ge(nd_now() - start, 100 * ND_MSEC);
    ck_assert_int_le(nd_now() - start, ND_SEC);
    ck_assert_int_eq(nd_helper_count(), 1);
}
END_TEST

#define CALLERS 200

static void *caller(void *arg) {
    char name[16];
    struct addrinfo *list;
    snprintf(name, sizeof name, "n%d", arg ? (int)(intptr_t)arg : 0);
    ask(name, 300, &list);
    return NULL;
}

/* The helper threads, which are stuck, outlive their callers; on a loaded host the last of them begins late. */
static void run_callers(bool different) {
    pthread_t threads[CALLERS];
    int expected = different ? ND_HELPERS : 1;
    for (intptr_t i = 0; i < CALLERS; i++)
        ck_assert_int_eq(pthread_create(&threads[i], NULL, caller, (void *)(different ? i : 0)), 0);
    for (int i = 0; i < CALLERS; i++)
        pthread_join(threads[i], NULL);
    ck_assert_int_eq(nd_helper_count(), expected);
    for (int turn = 0; active < expected && turn < 10000; turn++)
        usleep(1000);
    ck_assert_int_eq(active, expected);
}

START_TEST(asks_the_same_question_once) {
    gate = 0;
    run_callers(false);
    ck_assert_int_eq(calls, 1);
    gate = 1;
    while (nd_helper_count() > 0)
        usleep(1000);
}
END_TEST

START_TEST(has_at_most_64_threads) {
    gate = 0;
    run_callers(true);
    ck_assert_int_eq(calls, ND_HELPERS);
    struct addrinfo *list;
    ck_assert_int_eq(ask("one more", 50, &list), EAI_AGAIN);
    gate = 1; /* threads become free again */
    ck_assert_int_eq(ask("one more", 5000, &list), 0);
    freeaddrinfo(list);
}
END_TEST

static void *patient_caller(void *arg) {
    char name[16];
    struct addrinfo *list;
    snprintf(name, sizeof name, "n%d", (int)(intptr_t)arg);
    if (ask(name, 20000, &list) != 0)
        return arg;
    freeaddrinfo(list);
    return NULL;
}

START_TEST(has_more_threads_where_they_make_progress) {
    pthread_t threads[CALLERS];
    void *failed;
    gate = 3; /* one ends, the others do so when there are more of them */
    for (intptr_t i = 0; i < 100; i++)
        ck_assert_int_eq(pthread_create(&threads[i], NULL, patient_caller, (void *)(i + 1)), 0);
    for (int i = 0; i < 100; i++) {
        pthread_join(threads[i], &failed);
        ck_assert_ptr_null(failed);
    }
    ck_assert_int_gt(peak, ND_HELPERS);
    ck_assert_int_le(peak, (int)ND_MAX_HELPERS);
    peak = 0;
    gate = 0; /* now they are stuck, and there are no more than at first */
    run_callers(true);
    ck_assert_int_eq(peak, ND_HELPERS);
    gate = 1;
}
END_TEST

static int real_nested(const char *node, const char *service, const struct addrinfo *hints, struct addrinfo **res) {
    struct nd_lookup lookup = in_ms(100);
    (void)service;
    (void)hints;
    return strcmp(node, "outer") == 0 ? nd_helper_getaddrinfo(real_nested, "inner", "80", NULL, res, &lookup)
                                      : real_getaddrinfo(nd_helper_count() == 1 ? node : "none", "80", NULL, res);
}

START_TEST(a_lookup_in_a_helper_thread_is_made_there) {
    struct nd_lookup lookup = in_ms(5000);
    struct addrinfo *list;
    gate = 2; /* longer than the limit of the inner lookup, which nobody waits for */
    ck_assert_int_eq(nd_helper_getaddrinfo(real_nested, "outer", "80", NULL, &list, &lookup), 0);
    freeaddrinfo(list);
    ck_assert_int_eq(nd_helper_count(), 0);
}
END_TEST

START_TEST(a_forked_child_starts_afresh) {
    struct addrinfo *list;
    gate = 0;
    ask("a", 50, &list);
    pid_t child = fork();
    if (child == 0) {
        gate = 1;
        _exit(nd_helper_count() == 0 && ask("a", 5000, &list) == 0 ? 0 : 1);
    }
    int status;
    waitpid(child, &status, 0);
    ck_assert_int_eq(status, 0);
}
END_TEST

static int real_name(const char *name, int family, struct hostent *entry, char *buffer, size_t size,
                     struct hostent **result, int *h_err) {
    *result = NULL;
    *h_err = HOST_NOT_FOUND;
    if (strcmp(name, "none") == 0)
        return 0;
    return gethostbyname2_r("192.0.2.7", family, entry, buffer, size, result, h_err);
}

START_TEST(gives_hostents) {
    struct nd_lookup lookup = in_ms(5000);
    struct hostent entry, *result;
    char buffer[512];
    int h_err;
    ck_assert_int_eq(
        nd_helper_gethostbyname2_r(real_name, "a", AF_INET, &entry, buffer, sizeof buffer, &result, &h_err, &lookup),
        0);
    ck_assert_str_eq(result->h_name, "192.0.2.7");
    ck_assert_int_eq(nd_helper_gethostbyname2_r(real_name, "a", AF_INET, &entry, buffer, 8, &result, &h_err, &lookup),
                     ERANGE);
    ck_assert_int_eq(h_err, NETDB_INTERNAL);
    result = nd_helper_gethostbyname2(real_name, "a", AF_INET, &lookup);
    ck_assert_ptr_nonnull(result);
    ck_assert_ptr_null(nd_helper_gethostbyname2(real_name, "none", AF_INET, &lookup));
    ck_assert_int_eq(h_errno, HOST_NOT_FOUND);
}
END_TEST

void add_tests(TCase *tests) {
    tcase_set_timeout(tests, 60);
    tcase_add_test(tests, gives_libc_s_answer);
    tcase_add_test(tests, leaves_at_the_deadline);
    tcase_add_test(tests, asks_the_same_question_once);
    tcase_add_test(tests, has_at_most_64_threads);
    tcase_add_test(tests, has_more_threads_where_they_make_progress);
    tcase_add_test(tests, a_lookup_in_a_helper_thread_is_made_there);
    tcase_add_test(tests, a_forked_child_starts_afresh);
    tcase_add_test(tests, gives_hostents);
}
