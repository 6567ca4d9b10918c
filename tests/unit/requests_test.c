#include "resolver/requests.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "tests/unit/unit.h"

/* Lookups that wait until they are released. */
static atomic_int gate, running, most_running, told;
static struct gaicb records[40], *list[40];

static int look_up(const char *node, const char *service, const struct addrinfo *hints, struct addrinfo **res) {
    (void)service;
    (void)hints;
    int now = ++running;
    most_running = now > most_running ? now : most_running;
    while (!gate)
        usleep(1000);
    running--;
    *res = NULL;
    return node[0] == 'g' ? 0 : EAI_NONAME;
}

static void ask(int count, const struct sigevent *event) {
    for (int i = 0; i < count; i++) {
        records[i] = (struct gaicb){.ar_name = i % 2 ? "good" : "bad"};
        list[i] = &records[i];
    }
    ck_assert_int_eq(nd_requests_add(list, count, look_up, event), 0);
}

static int wait_for(int count, bool all, int ms) {
    return nd_requests_wait((const struct gaicb *const *)list, count, all, nd_now() + ms * ND_MSEC);
}

static void check_all_done(void) {
    ck_assert(!nd_requests_any((const struct gaicb *const *)list, 40));
    for (int i = 0; i < 40; i++)
        ck_assert_int_eq(gai_error(&records[i]), i % 2 ? 0 : EAI_NONAME);
}

START_TEST(looks_all_up_in_a_few_threads) {
    ask(40, NULL);
    ck_assert(nd_requests_any((const struct gaicb *const *)list, 40));
    ck_assert_int_eq(wait_for(40, true, 100), EAI_AGAIN);
    gate = 1;
    ck_assert_int_eq(wait_for(40, true, 5000), 0);
    ck_assert_int_eq(most_running, ND_REQUEST_THREADS);
    check_all_done();
}
END_TEST

START_TEST(passes_over_nothing) {
    gate = 1;
    ask(4, NULL);
    list[1] = list[2] = NULL;
    ck_assert_int_eq(wait_for(4, true, 5000), 0);
    ck_assert_int_eq(nd_requests_add(list + 1, 2, look_up, NULL), 0);
    ck_assert_int_eq(nd_requests_add(list, 0, look_up, NULL), 0);
}
END_TEST

START_TEST(suspends_until_one_is_done) {
    struct gaicb other = {.ar_name = "good"}, *others[] = {&other};
    gate = 1;
    ck_assert_int_eq(nd_requests_add(others, 1, look_up, NULL), 0);
    ck_assert_int_eq(nd_requests_wait((const struct gaicb *const *)others, 1, true, ND_NEVER), 0);
    gate = 0;
    ask(2, NULL);
    ck_assert_int_eq(wait_for(2, false, 50), EAI_AGAIN);
    gate = 1;
    ck_assert_int_eq(wait_for(2, false, 5000), 0);
    ck_assert_int_eq(wait_for(2, true, 5000), 0);
}
END_TEST

static void on_alarm(int number) {
    (void)number;
}

START_TEST(is_interrupted_by_a_signal) {
    struct sigaction action = {.sa_handler = on_alarm};
    sigaction(SIGALRM, &action, NULL);
    ask(1, NULL);
    ualarm(50000, 0);
    ck_assert_int_eq(wait_for(1, false, 5000), EAI_INTR);
    ualarm(50000, 0);
    ck_assert_int_eq(wait_for(1, true, 200), EAI_AGAIN);
}
END_TEST

START_TEST(cancels_what_has_not_begun) {
    ask(40, NULL);
    usleep(50000);
    ck_assert_int_eq(nd_requests_cancel(&records[0]), EAI_NOTCANCELED);
    ck_assert_int_eq(nd_requests_cancel(&records[39]), EAI_CANCELED);
    ck_assert_int_eq(gai_error(&records[39]), EAI_CANCELED);
    ck_assert_int_eq(nd_requests_cancel(&records[39]), EAI_ALLDONE);
    gate = 1;
    ck_assert_int_eq(wait_for(40, true, 5000), 0);
    ck_assert_int_eq(nd_requests_cancel(&records[0]), EAI_ALLDONE);
}
END_TEST

static void on_told(int number, siginfo_t *info, void *context) {
    (void)number;
    (void)context;
    told += info->si_code == SI_ASYNCNL && info->si_value.sival_int == 7 && info->si_pid == getpid() ? 1 : 100;
}

static void call_told(union sigval value) {
    sigset_t mask;
    sigprocmask(SIG_BLOCK, NULL, &mask);
    told += value.sival_int == 7 && !sigismember(&mask, SIGUSR1) ? 1 : 100;
}

static void wait_until_told(void) {
    for (int i = 0; i < 2000 && !told; i++)
        usleep(1000);
    usleep(20000);
    ck_assert_int_eq(told, 1);
}

START_TEST(tells_by_a_signal_once) {
    struct sigaction action = {.sa_sigaction = on_told, .sa_flags = SA_SIGINFO};
    sigaction(SIGUSR1, &action, NULL);
    struct sigevent event = {.sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGUSR1, .sigev_value.sival_int = 7};
    gate = _i;
    ask(5, &event);
    gate = 1;
    wait_until_told();
}
END_TEST

START_TEST(tells_by_a_thread_once) {
    struct sigevent event = {.sigev_notify = SIGEV_THREAD, .sigev_value.sival_int = 7};
    event.sigev_notify_function = call_told;
    gate = 1;
    ask(_i, &event); /* an empty list is done at once */
    wait_until_told();
}
END_TEST

START_TEST(a_forked_child_starts_afresh) {
    ask(20, NULL);
    usleep(20000);
    pid_t child = fork();
    if (child == 0) {
        gate = 1;
        bool any = nd_requests_any((const struct gaicb *const *)list, 20);
        ask(20, NULL);
        _exit(!any && wait_for(20, true, 5000) == 0 ? 0 : 1);
    }
    int status;
    waitpid(child, &status, 0);
    ck_assert_int_eq(status, 0);
}
END_TEST

void add_tests(TCase *tests) {
    tcase_set_timeout(tests, 30);
    tcase_add_test(tests, looks_all_up_in_a_few_threads);
    tcase_add_test(tests, passes_over_nothing);
    tcase_add_test(tests, suspends_until_one_is_done);
    tcase_add_test(tests, is_interrupted_by_a_signal);
    tcase_add_test(tests, cancels_what_has_not_begun);
    tcase_add_loop_test(tests, tells_by_a_signal_once, 0, 2);
    tcase_add_loop_test(tests, tells_by_a_thread_once, 0, 2);
    tcase_add_test(tests, a_forked_child_starts_afresh);
}
