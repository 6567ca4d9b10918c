#include "cli/preload_list.h"
#include "tests/unit/unit.h"

#include <stdlib.h>
#include <string.h>

#define OURS "/usr/$LIB/libnetdeadline.so"

/* A list, and what is left of it without our names. */
static const struct {
    const char *before, *after;
} lists[] = {
    {"", ""},
    {OURS "\n", ""},
    {OURS, ""},
    {" \n\n" OURS "\n", ""},
    {"libnetdeadline.so", ""},
    {"/opt/a.so\n" OURS "\n", "/opt/a.so\n"},
    {"/opt/a.so\n" OURS "\n/opt/b.so\n", "/opt/a.so\n/opt/b.so\n"},
    {"/opt/a.so " OURS ":/opt/b.so", "/opt/a.so :/opt/b.so"},
    {OURS ":" OURS "\t/opt/libnetdeadline.so\n", ""},
    {"# " OURS "\n", "# " OURS "\n"},
    {"/opt/a.so# " OURS "\n" OURS "#x " OURS "\n", "/opt/a.so# " OURS "\n#x " OURS "\n"},
    {"/opt/libnetdeadline.so.1 /opt/libnetdeadline.so/ /opt/xlibnetdeadline.so\n",
     "/opt/libnetdeadline.so.1 /opt/libnetdeadline.so/ /opt/xlibnetdeadline.so\n"},
};

START_TEST(takes_our_names_out) {
    char text[256];
    size_t length;
    strcpy(text, lists[_i].before);
    bool has = preload_list_next(text, strlen(text), text, &length) != NULL;
    ck_assert_int_eq(has, strcmp(lists[_i].before, lists[_i].after) != 0);
    size_t kept = preload_list_remove(text, strlen(text));
    ck_assert_uint_eq(kept, strlen(lists[_i].after));
    ck_assert_int_eq(memcmp(text, lists[_i].after, kept), 0);
}
END_TEST

START_TEST(adds_a_line) {
    static const char *const before[] = {"", "/opt/a.so", "/opt/a.so\n", "# nothing"};
    static const char *const after[] = {OURS "\n", "/opt/a.so\n" OURS "\n", "/opt/a.so\n" OURS "\n",
                                        "# nothing\n" OURS "\n"};
    size_t size, length;
    char *with = preload_list_with(before[_i], strlen(before[_i]), OURS, &size);
    ck_assert_str_eq(with, after[_i]);
    ck_assert_uint_eq(size, strlen(with));
    ck_assert_ptr_nonnull(preload_list_next(with, size, with, &length));
    ck_assert_uint_eq(length, strlen(OURS));
    free(with);
}
END_TEST

void add_tests(TCase *tests) {
    tcase_add_loop_test(tests, takes_our_names_out, 0, sizeof lists / sizeof lists[0]);
    tcase_add_loop_test(tests, adds_a_line, 0, 4);
}
