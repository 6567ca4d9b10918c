#include "resolver/lock.h"

#include <sys/wait.h>
#include <unistd.h>

#include "tests/unit/unit.h"

static int in_child(int (*run)(int *lock), int *lock) {
    int status;
    pid_t child = fork();
    if (child == 0)
        _exit(run(lock));
    waitpid(child, &status, 0);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static int take(int *lock) {
    return nd_lock_try(lock) ? 1 : 2;
}

START_TEST(it_is_held_by_one) {
    int lock = 0;
    ck_assert(nd_lock_try(&lock));
    ck_assert(!nd_lock_try(&lock));
    nd_unlock(&lock);
    ck_assert(nd_lock_try(&lock));
}
END_TEST

START_TEST(a_forked_child_takes_it_over) {
    int lock = 0;
    ck_assert(nd_lock_try(&lock));
    ck_assert_int_eq(in_child(take, &lock), 1);
}
END_TEST

/* As the kernel zeroes it in a child with memory of its own. */
static uint32_t process;

static int take_zeroed(int *lock) {
    process = 0;
    return nd_lock_owner() == getpid() ? take(lock) : 3;
}

START_TEST(a_process_that_is_known_is_not_asked_for) {
    int lock = 0;
    process = 12345;
    nd_lock_process = &process;
    ck_assert_int_eq(nd_lock_owner(), 12345);
    ck_assert(nd_lock_try(&lock));
    ck_assert_int_eq(lock, 12345);
    ck_assert_int_eq(in_child(take, &lock), 2); /* a child that shares this memory, as after vfork */
    ck_assert_int_eq(in_child(take_zeroed, &lock), 1);
}
END_TEST

void add_tests(TCase *tests) {
    tcase_add_test(tests, it_is_held_by_one);
    tcase_add_test(tests, a_forked_child_takes_it_over);
    tcase_add_test(tests, a_process_that_is_known_is_not_asked_for);
}
