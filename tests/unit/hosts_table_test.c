#include "resolver/hosts_table.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/unit/unit.h"

static struct nd_hosts_table *table;
static char *text;

static void make(const char *content, size_t size) {
    nd_hosts_table_free(table);
    free(text);
    text = malloc(size + 1);
    memcpy(text, content, size);
    text[size] = '\0';
    table = nd_hosts_table_make(text, size);
    ck_assert_ptr_nonnull(table);
}

/* The last bytes of the addresses of all lines with `name`. */
static const char *find(const char *name) {
    static char found[256];
    struct nd_hosts_cursor cursor;
    const struct nd_hosts_line *line;
    size_t used = 0;
    found[0] = '\0';
    nd_hosts_table_find(&cursor, table, name);
    while ((line = nd_hosts_table_next(&cursor)) != NULL && used < sizeof found - 8)
        used += (size_t)sprintf(found + used, "%s%d", used ? " " : "", line->address[line->family == AF_INET ? 3 : 15]);
    return found;
}

#define MAKE(literal) make(literal, sizeof(literal) - 1)

START_TEST(finds_names_and_aliases_in_the_order_of_the_file) {
    MAKE("10.0.0.1 one ONE uno\n10.0.0.2 two one\n::3 three one # four\n#10.0.0.4 one\n");
    ck_assert_str_eq(find("one"), "1 2 3");
    ck_assert_str_eq(find("UNO"), "1");
    ck_assert_str_eq(find("four"), "");
    ck_assert_str_eq(find("on"), "");
    ck_assert_uint_eq(table->line_count, 3);
    ck_assert_uint_eq(table->lines[0].name_count, 3);
    ck_assert_str_eq(table->lines[0].names + 4, "ONE");
}
END_TEST

START_TEST(passes_over_what_is_no_address) {
    MAKE("300.0.0.1 a\nfe80::1%lo a\nname a\n 10.0.0.5\t a\r\n10.0.0.6\n10.0.0.7 b");
    ck_assert_str_eq(find("a"), "5");
    ck_assert_str_eq(find(""), "6"); /* an address alone has the empty name, as in libc */
    ck_assert_str_eq(find("b"), "7");
}
END_TEST

START_TEST(withstands_odd_bytes) {
    MAKE("");
    ck_assert_str_eq(find("a"), "");
    MAKE("\n\n#\n \n\0\0\n10.0.0.1 a\0b c\n10.0.0.2 c");
    ck_assert_str_eq(find("a"), "1");
    ck_assert_str_eq(find("c"), "2"); /* what follows a NUL in its line is ignored, as with fgets */
    MAKE("10.0.0.1 \xff\xfe\n");
    ck_assert_str_eq(find("\xff\xfe"), "1");
}
END_TEST

START_TEST(holds_large_files) {
    size_t size = 0, room = 4 << 20;
    char *big = malloc(room), name[32];
    for (unsigned i = 0; i < 100000; i++)
        size += (size_t)snprintf(big + size, room - size, "10.%u.%u.%u host%u\n", i >> 16, i >> 8 & 255, i & 255, i);
    make(big, size);
    for (unsigned i = 0; i < 100000; i += 9999) {
        char expected[8];
        snprintf(name, sizeof name, "HOST%u", i);
        snprintf(expected, sizeof expected, "%u", i & 255);
        ck_assert_str_eq(find(name), expected);
    }
    memset(big, 'x', 1 << 20); /* a line of 1 MB */
    memcpy(big, "10.0.0.9 ", 9);
    memcpy(big + (1 << 20), " end\n10.0.0.8 end\n", 18);
    make(big, (1 << 20) + 18);
    ck_assert_str_eq(find("end"), "9 8");
    free(big);
}
END_TEST

void add_tests(TCase *tests) {
    tcase_add_test(tests, finds_names_and_aliases_in_the_order_of_the_file);
    tcase_add_test(tests, passes_over_what_is_no_address);
    tcase_add_test(tests, withstands_odd_bytes);
    tcase_add_test(tests, holds_large_files);
}
