/* Bars, and when colours are shown. */
#include "cli/terminal.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tests/unit/unit.h"

static const char *bar(uint64_t value, uint64_t most) {
    static char text[11];
    terminal_bar(text, 10, value, most, '.');
    return text;
}

START_TEST(fills_bars) {
    ck_assert_str_eq(bar(0, 100), "..........");
    ck_assert_str_eq(bar(1, 100), "#.........");
    ck_assert_str_eq(bar(50, 100), "#####.....");
    ck_assert_str_eq(bar(99, 100), "#########.");
    ck_assert_str_eq(bar(100, 100), "##########");
    ck_assert_str_eq(bar(UINT64_MAX, 3), "##########");
    ck_assert_str_eq(bar(UINT64_MAX / 2 - 5, UINT64_MAX), "####......");
    ck_assert_str_eq(bar(1, 0), "##########");
    ck_assert_str_eq(bar(0, 0), "..........");
}
END_TEST

START_TEST(is_plain_in_a_pipe) {
    FILE *file = tmpfile();
    setenv("TERM", "xterm", 1);
    unsetenv("NO_COLOR");
    ck_assert_str_eq(terminal_colours(file).alarm, "");
    ck_assert_uint_eq(terminal_width(file), 80);
    fclose(file);
}
END_TEST

/* A pseudo-terminal's own side. */
static FILE *open_terminal(int *master) {
    *master = posix_openpt(2);
    ck_assert(*master >= 0 && grantpt(*master) == 0 && unlockpt(*master) == 0);
    FILE *file = fopen(ptsname(*master), "r+");
    ck_assert_ptr_nonnull(file);
    return file;
}

START_TEST(honours_no_color) {
    int master;
    FILE *file = open_terminal(&master);
    setenv("TERM", "xterm", 1);
    unsetenv("NO_COLOR");
    ck_assert_str_ne(terminal_colours(file).alarm, "");
    setenv("NO_COLOR", "", 1); /* as if it was not set, by its own rule */
    ck_assert_str_ne(terminal_colours(file).alarm, "");
    setenv("NO_COLOR", "1", 1);
    ck_assert_str_eq(terminal_colours(file).alarm, "");
    unsetenv("NO_COLOR");
    setenv("TERM", "dumb", 1);
    ck_assert_str_eq(terminal_colours(file).alarm, "");
    fclose(file);
    close(master);
}
END_TEST

void add_tests(TCase *tests) {
    tcase_add_test(tests, fills_bars);
    tcase_add_test(tests, is_plain_in_a_pipe);
    tcase_add_test(tests, honours_no_color);
}
