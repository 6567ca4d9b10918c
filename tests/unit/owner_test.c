#include "shim/socket/owner.h"

#include <sched.h>
#include <signal.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "shim/mode.h"
#include "shim/report/slots.h"
#include "shim/socket/change.h"
#include "shim/socket/duplicates.h"
#include "tests/unit/unit.h"

#define STREAM (ND_SOCK_STREAM | ND_SOCK_INET | ND_SOCK_CONNECTED)

/* A low one, one past the byte array, and the last that has a record. */
static const int numbers[] = {700, 100000, (1 << 20) - 1};
static int number;

static void start(void) {
    nd_process = getpid();
    nd_owner_note();
}

/* Calls `act` in a child that shares this memory, and gives what it returns. */
static int in_child_with_this_memory(int (*act)(void *)) {
    static char stack[1 << 16] __attribute__((aligned(16)));
    int status;
    const pid_t child = clone(act, stack + sizeof stack, CLONE_VM | CLONE_VFORK | SIGCHLD, NULL);
    ck_assert_int_eq(waitpid(child, &status, 0), child);
    return WEXITSTATUS(status);
}

static int clear(void *none) {
    (void)none;
    nd_sock_clear_stale(number);
    return nd_owner_is_caller();
}

static int create(void *none) {
    (void)none;
    return nd_sock_created(number, 0) != NULL;
}

static int duplicate(void *none) {
    (void)none;
    nd_duplicates_create(number, number == 700 ? 701 : number - 1);
    return 0;
}

START_TEST(a_child_in_this_memory_leaves_the_records) {
    number = numbers[_i];
    const struct nd_sock *sock = nd_sock_created(number, STREAM);
    const uint32_t generation = sock->generation;
    ck_assert_int_eq(in_child_with_this_memory(clear), false);
    ck_assert_int_eq(in_child_with_this_memory(create), false);
    in_child_with_this_memory(duplicate);
    ck_assert_uint_eq(nd_sock_flags(sock), STREAM | ND_SOCK_KNOWN);
    ck_assert_uint_eq(sock->generation, generation);
    const struct nd_sock *other = nd_sock_lookup(number == 700 ? 701 : number - 1);
    ck_assert(!other || !nd_sock_flags(other));
    ck_assert(nd_owner_is_caller());
    nd_sock_clear_stale(number);
    ck_assert_uint_eq(nd_sock_flags(sock), 0);
}
END_TEST

/* By a raw system call no handler of pthread_atfork runs. */
START_TEST(a_child_with_memory_of_its_own_has_the_records) {
    number = numbers[0];
    nd_sock_created(number, STREAM);
    const pid_t child = (pid_t)syscall(SYS_clone, SIGCHLD, NULL, NULL, NULL, NULL);
    if (child == 0) {
        const bool own = nd_owner_is_caller() && nd_process == (pid_t)syscall(SYS_getpid);
        _exit(own && in_child_with_this_memory(clear) == false ? 0 : 1);
    }
    int status;
    ck_assert_int_eq(waitpid(child, &status, 0), child);
    ck_assert_int_eq(status, 0);
}
END_TEST

#ifndef __SANITIZE_THREAD__ /* which has a thread of its own */
START_TEST(one_thread_takes_the_records_along) {
    ck_assert_int_eq(unshare(CLONE_FILES), 0);
    nd_owner_unshared();
    ck_assert(!nd_owner_left_table && nd_owner_is_caller());
}
END_TEST
#endif

void add_tests(TCase *tests) {
    tcase_add_checked_fixture(tests, start, NULL);
    tcase_add_loop_test(tests, a_child_in_this_memory_leaves_the_records, 0, sizeof numbers / sizeof *numbers);
    tcase_add_test(tests, a_child_with_memory_of_its_own_has_the_records);
#ifndef __SANITIZE_THREAD__
    tcase_add_test(tests, one_thread_takes_the_records_along);
#endif
}
