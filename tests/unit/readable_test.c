#include "shim/readable.h"

#include <errno.h>
#include <sys/mman.h>

#include "tests/unit/unit.h"

#define PAGE 4096

START_TEST(what_is_there_can_be_read) {
    char *pages = mmap(NULL, 3 * PAGE, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    ck_assert_int_eq(munmap(pages + 2 * PAGE, PAGE), 0);
    errno = 42;
    for (int round = 0; round < 2; round++) {
        ck_assert(nd_readable(pages, 1));
        ck_assert(nd_readable(pages + PAGE - 8, 16));
        ck_assert(nd_readable(pages, 2 * PAGE));
        ck_assert(nd_readable(pages + 2 * PAGE - 1, 1));
        ck_assert(!nd_readable(pages + 2 * PAGE - 1, 2));
        ck_assert(!nd_readable(pages + 2 * PAGE, 1));
        ck_assert(!nd_readable(pages, 3 * PAGE));
    }
    ck_assert_int_eq(errno, 42);
    munmap(pages, 2 * PAGE);
}
END_TEST

START_TEST(what_is_forbidden_cannot) {
    char *page = mmap(NULL, PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    ck_assert(!nd_readable(page, 8));
    munmap(page, PAGE);
}
END_TEST

START_TEST(nonsense_cannot) {
    char here;
    ck_assert(!nd_readable(NULL, 8));
    ck_assert(!nd_readable((void *)8, 8));
    ck_assert(!nd_readable((void *)(UINTPTR_MAX - 7), 8));
    ck_assert(!nd_readable((void *)(UINTPTR_MAX - 7), 16)); /* past the end of all memory */
    ck_assert(!nd_readable(&here, 0));
    ck_assert(nd_readable(&here, 1));
}
END_TEST

void add_tests(TCase *tests) {
    tcase_add_test(tests, what_is_there_can_be_read);
    tcase_add_test(tests, what_is_forbidden_cannot);
    tcase_add_test(tests, nonsense_cannot);
}
