#include "cli/config_block.h"
#include "tests/unit/unit.h"

#include <stdlib.h>
#include <string.h>

static char *put(const char *text, const char *lines) {
    size_t size;
    char *result = config_block_put(text, strlen(text), lines, &size);
    ck_assert_uint_eq(size, strlen(result));
    return result;
}

START_TEST(comes_and_goes) {
    static const char *const texts[] = {"", "# mine\nRECV = 3s\n", "[program x]\nMODE = off"};
    char *first = put(texts[_i], "MODE = observe\n"), *second = put(first, "MODE = enforce\nSEND = 1s\n"),
         *none = put(second, "");
    ck_assert_ptr_nonnull(strstr(first, "\nMODE = observe\n"));
    ck_assert_ptr_null(strstr(second, "observe"));
    ck_assert_str_eq(second + strlen(second) - strlen(texts[_i]), texts[_i]);
    ck_assert_str_eq(none, texts[_i]);
    free(first);
    free(second);
    free(none);
}
END_TEST

START_TEST(sees_what_others_set) {
    char *text = put("# MODE = off\n  tls-handshake\t= 3s\nRECVX = 1\n[program x]\nSEND = 1s\n", "MODE = observe\n");
    ck_assert_uint_eq(config_block_other_line(text, "MODE"), 0);
    ck_assert_uint_eq(config_block_other_line(text, "TLS_HANDSHAKE"), 5);
    ck_assert_uint_eq(config_block_other_line(text, "RECV"), 0);
    ck_assert_uint_eq(config_block_other_line(text, "SEND"), 0);
    free(text);
}
END_TEST

void add_tests(TCase *tests) {
    tcase_add_loop_test(tests, comes_and_goes, 0, 3);
    tcase_add_test(tests, sees_what_others_set);
}
