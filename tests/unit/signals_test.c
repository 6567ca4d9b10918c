#include "shim/wait/signals.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>

#include "tests/unit/unit.h"

static void handler(int number) {
    (void)number;
}

static void install(int number, void (*function)(int), int flags) {
    struct sigaction action = {.sa_handler = function, .sa_flags = flags};
    ck_assert_int_eq(sigaction(number, &action, NULL), 0);
}

/* Check's own handlers are in the parent only where it forks. */
static void start(void) {
    for (int number = 1; number < NSIG; number++)
        signal(number, SIG_DFL);
}

START_TEST(without_handlers_a_call_goes_on) {
    errno = 7;
    ck_assert(nd_signals_restart());
    install(SIGUSR1, SIG_IGN, 0);
    ck_assert(nd_signals_restart());
    ck_assert_int_eq(errno, 7);
}
END_TEST

START_TEST(handlers_that_restart_let_it_go_on) {
    install(SIGALRM, handler, SA_RESTART);
    install(SIGTERM, handler, SA_RESTART | SA_SIGINFO);
    install(40, handler, SA_RESTART);
    ck_assert(nd_signals_restart());
}
END_TEST

static const int numbers[] = {SIGHUP, SIGALRM, SIGCHLD, SIGWINCH, 40};

START_TEST(a_handler_that_does_not_restart_ends_it) {
    install(SIGUSR1, handler, SA_RESTART);
    install(numbers[_i], handler, SA_SIGINFO);
    ck_assert(!nd_signals_restart());
}
END_TEST

START_TEST(a_blocked_handler_did_not_run) {
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGALRM);
    install(SIGALRM, handler, 0);
    pthread_sigmask(SIG_BLOCK, &set, NULL);
    ck_assert(nd_signals_restart());
    pthread_sigmask(SIG_UNBLOCK, &set, NULL);
    ck_assert(!nd_signals_restart());
}
END_TEST

static const int faults[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT, SIGTRAP, SIGSYS};

START_TEST(crash_handlers_do_not_count) {
    install(faults[_i], handler, SA_SIGINFO);
    ck_assert(nd_signals_restart());
}
END_TEST

/* The kernel has put the default back before it ran the handler. */
START_TEST(a_one_shot_that_has_run_ends_it) {
    install(SIGUSR1, handler, (int)SA_RESETHAND);
    raise(SIGUSR1);
    ck_assert(!nd_signals_restart());
    install(SIGUSR1, handler, (int)SA_RESETHAND | SA_RESTART);
    raise(SIGUSR1);
    ck_assert(nd_signals_restart());
}
END_TEST

START_TEST(a_default_with_a_handlers_flags_is_no_handler) {
    install(SIGUSR1, SIG_DFL, SA_SIGINFO);
    install(SIGUSR2, SIG_IGN, SA_SIGINFO);
    ck_assert(nd_signals_restart());
}
END_TEST

START_TEST(held_signals_are_let_go) {
    struct nd_signals_held held = {.any = false};
    sigset_t now;
    nd_signals_hold(&held);
    nd_signals_hold(&held); /* once */
    pthread_sigmask(SIG_BLOCK, NULL, &now);
    ck_assert(sigismember(&now, SIGUSR1) == 1 && sigismember(&now, SIGSEGV) == 0 && sigismember(&now, SIGSYS) == 0);
    nd_signals_let_go(&held);
    pthread_sigmask(SIG_BLOCK, NULL, &now);
    ck_assert(sigismember(&now, SIGUSR1) == 0);
}
END_TEST

#define COUNT(array) ((int)(sizeof(array) / sizeof(array)[0]))

void add_tests(TCase *tests) {
    tcase_add_checked_fixture(tests, start, NULL);
    tcase_add_test(tests, without_handlers_a_call_goes_on);
    tcase_add_test(tests, handlers_that_restart_let_it_go_on);
    tcase_add_loop_test(tests, a_handler_that_does_not_restart_ends_it, 0, COUNT(numbers));
    tcase_add_test(tests, a_blocked_handler_did_not_run);
    tcase_add_loop_test(tests, crash_handlers_do_not_count, 0, COUNT(faults));
    tcase_add_test(tests, a_one_shot_that_has_run_ends_it);
    tcase_add_test(tests, a_default_with_a_handlers_flags_is_no_handler);
    tcase_add_test(tests, held_signals_are_let_go);
}
