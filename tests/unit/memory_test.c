/* Reading another process's memory: a child's, in which nothing needs to be where somebody says. */
#include "cli/process/memory.h"
#include "tests/unit/unit.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

enum { PAGE = 4096 };

static pid_t child;
static char *page; /* with nothing mapped behind it */
static char bytes[2 * PAGE];

/* The child has the page as it is now. */
static void start_child(void) {
    child = fork();
    if (child == 0)
        for (;;)
            pause();
}

static void start(void) {
    page = mmap(NULL, 2 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    munmap(page + PAGE, PAGE);
    memset(page, 'a', PAGE);
    start_child();
    memset(page, 'b', PAGE); /* here */
}

static void stop(void) {
    kill(child, SIGKILL);
    waitpid(child, NULL, 0);
}

static int fails_with(int error, uint64_t address, size_t size) {
    errno = 0;
    return memory_read(child, address, bytes, size) == -1 && errno == error;
}

START_TEST(the_other_processs_memory) {
    ck_assert_int_eq(memory_read(child, (uintptr_t)page, bytes, PAGE), 0);
    ck_assert(bytes[0] == 'a' && bytes[PAGE - 1] == 'a');
    ck_assert_int_eq(memory_write(child, (uintptr_t)page + 1, "xyz", 3), 0);
    ck_assert_int_eq(memory_read(child, (uintptr_t)page, bytes, 5), 0);
    ck_assert_int_eq(memcmp(bytes, "axyza", 5), 0);
    ck_assert_int_eq(page[1], 'b');
}
END_TEST

START_TEST(all_of_it_or_nothing) {
    const uint64_t end = (uintptr_t)page + PAGE;
    ck_assert_int_eq(memory_read(child, end - 1, bytes, 1), 0);
    ck_assert(fails_with(EFAULT, end - 1, 2));
    ck_assert(fails_with(EFAULT, end, 1));
    ck_assert_int_eq(memory_write(child, end - 1, "xy", 2), -1);
    ck_assert_int_eq(errno, EFAULT);
}
END_TEST

START_TEST(addresses_that_are_none) {
    static const uint64_t none[] = {0, 1, INT64_MAX, INT64_MAX - 4, (uint64_t)1 << 63, UINT64_MAX - 4, UINT64_MAX};
    for (size_t i = 0; i < sizeof none / sizeof none[0]; i++) {
        ck_assert(fails_with(EFAULT, none[i], 5));
        ck_assert_int_eq(memory_write(child, none[i], bytes, 5), -1);
        ck_assert_int_eq(memory_read_text(child, none[i], bytes, sizeof bytes), -1);
        ck_assert_str_eq(bytes, "");
    }
}
END_TEST

START_TEST(a_process_that_is_gone) {
    stop();
    ck_assert(fails_with(ESRCH, (uintptr_t)page, 1));
    ck_assert_int_eq(memory_read_text(child, (uintptr_t)page, bytes, sizeof bytes), -1);
}
END_TEST

START_TEST(text_ends_where_its_memory_does) {
    const uint64_t end = (uintptr_t)page + PAGE;
    static const unsigned lengths[] = {1, 2, 255, 256, 257, 600, PAGE};
    for (size_t i = 0; i < sizeof lengths / sizeof lengths[0]; i++) {
        ck_assert_int_eq(memory_read_text(child, end - lengths[i], bytes, sizeof bytes), 0);
        ck_assert_uint_eq(strlen(bytes), lengths[i]);
    }
    ck_assert_int_eq(memory_read_text(child, end, bytes, sizeof bytes), -1);
}
END_TEST

START_TEST(text_is_cut_to_its_room) {
    static const size_t sizes[] = {1, 2, 3, 256, 257, 258, 513};
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        memset(bytes, '!', sizeof bytes);
        ck_assert_int_eq(memory_read_text(child, (uintptr_t)page + 7, bytes, sizes[i]), 0);
        ck_assert_uint_eq(strlen(bytes), sizes[i] - 1);
        ck_assert_int_eq(bytes[sizes[i]], '!');
    }
}
END_TEST

START_TEST(text_ends_at_its_end) {
    for (unsigned at = 250; at < 262; at++) {
        ck_assert_int_eq(memory_write(child, (uintptr_t)page + at, "", 1), 0);
        ck_assert_int_eq(memory_read_text(child, (uintptr_t)page + 1, bytes, sizeof bytes), 0);
        ck_assert_uint_eq(strlen(bytes), at - 1);
        ck_assert_int_eq(memory_write(child, (uintptr_t)page + at, "a", 1), 0);
    }
}
END_TEST

void add_tests(TCase *tests) {
    tcase_add_checked_fixture(tests, start, stop);
    tcase_add_test(tests, the_other_processs_memory);
    tcase_add_test(tests, all_of_it_or_nothing);
    tcase_add_test(tests, addresses_that_are_none);
    tcase_add_test(tests, a_process_that_is_gone);
    tcase_add_test(tests, text_ends_where_its_memory_does);
    tcase_add_test(tests, text_is_cut_to_its_room);
    tcase_add_test(tests, text_ends_at_its_end);
}
