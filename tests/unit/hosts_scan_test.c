#include "resolver/hosts_scan.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tests/unit/unit.h"

static char path[] = "/tmp/hosts_scan_test.XXXXXX";
static char *text;
static size_t size, capacity;
static struct nd_hosts_table *table;

static void add(const char *bytes, size_t count) {
    if (size + count + 1 > capacity) {
        capacity = 2 * (size + count + 1);
        text = realloc(text, capacity);
    }
    memcpy(text + size, bytes, count);
    size += count;
    text[size] = '\0';
}

#define ADD(literal) add(literal, sizeof(literal) - 1)

static void setup(void) {
    close(mkstemp(path));
    ADD("");
}

static void write_file(void) {
    FILE *f = fopen(path, "w");
    fwrite(text, 1, size, f);
    fclose(f);
    table = nd_hosts_table_make(text, size);
}

static void teardown(void) {
    nd_hosts_table_free(table);
    table = NULL;
    free(text);
    text = NULL;
    size = capacity = 0;
    unlink(path);
}

static void check_same(const struct nd_hosts_line *a, const struct nd_hosts_line *b, const char *name) {
    ck_assert_msg(!a == !b, "%s: %s", name, a ? "only by scan" : "only by index");
    if (!a)
        return;
    ck_assert_int_eq(a->family, b->family);
    ck_assert_mem_eq(a->address, b->address, 16);
    ck_assert_uint_eq(a->name_count, b->name_count);
    const char *x = a->names, *y = b->names;
    for (uint32_t i = 0; i < a->name_count; i++, x += strlen(x) + 1, y += strlen(y) + 1)
        ck_assert_str_eq(x, y);
}

/* Both ways find the same lines in the same order. Returns how many. */
static int find(const char *name) {
    struct nd_hosts_scan scan;
    struct nd_hosts_cursor cursor;
    const struct nd_hosts_line *line;
    int count = 0;
    ck_assert(nd_hosts_scan_open(&scan, path));
    nd_hosts_table_find(&cursor, table, name);
    do {
        line = nd_hosts_scan_name(&scan, name);
        check_same(line, nd_hosts_table_next(&cursor), name);
        count += line != NULL;
    } while (line);
    ck_assert_int_eq(scan.error, 0);
    nd_hosts_scan_close(&scan);
    return count;
}

/* The number of lines with exactly this address, by both ways. */
static int find_address(const char *address, int family) {
    unsigned char bytes[16];
    struct nd_hosts_scan scan;
    const struct nd_hosts_line *line;
    size_t length = family == AF_INET ? 4 : 16;
    int by_scan = 0, by_index = 0;
    inet_pton(family, address, bytes);
    ck_assert(nd_hosts_scan_open(&scan, path));
    while ((line = nd_hosts_scan_address(&scan, bytes, family)) != NULL)
        by_scan += line->family == family && memcmp(line->address, bytes, length) == 0;
    nd_hosts_scan_close(&scan);
    for (size_t i = 0; i < table->line_count; i++)
        by_index += table->lines[i].family == family && memcmp(table->lines[i].address, bytes, length) == 0;
    ck_assert_int_eq(by_scan, by_index);
    return by_scan;
}

START_TEST(finds_what_the_index_finds) {
    setup();
    ADD("10.0.0.1 one ONE uno\n10.0.0.2 two one\n::3 three one# four\n#10.0.0.4 one\n10.0.0.5#one\none 10.0.0.6\n"
        "300.0.0.1 one\n\t 10.0.0.7\tone\r\n10.0.0.8 one\0x\n10.0.0.9 \0 one\nphone one-more one.\n10.0.0.10 phone\n"
        "10.0.0.11\n::ffff:10.0.0.1 mapped\n0::3 again\n10.0.0.12 last one");
    write_file();
    ck_assert_int_eq(find("one"), 6);
    ck_assert_int_eq(find("ONE"), 6);
    ck_assert_int_eq(find("on"), 0);
    ck_assert_int_eq(find("four"), 0);
    ck_assert_int_eq(find("phone"), 1);
    ck_assert_int_eq(find("10.0.0.6"), 0);
    ck_assert_int_eq(find_address("10.0.0.1", AF_INET), 1);
    ck_assert_int_eq(find_address("10.0.0.5", AF_INET), 1);
    ck_assert_int_eq(find_address("10.0.0.11", AF_INET), 1);
    ck_assert_int_eq(find_address("::3", AF_INET6), 2);
    ck_assert_int_eq(find_address("::ffff:10.0.0.1", AF_INET6), 1);
    teardown();
}
END_TEST

START_TEST(finds_what_lies_across_its_buffer) {
    setup();
    char line[64], word[200];
    for (int i = 0; i < 20000; i++)
        add(line, (size_t)sprintf(line, "10.0.%d.%d host%d h\n", i / 250, i % 250, i));
    ADD("10.9.9.9 long");
    memset(word, 'x', sizeof word);
    for (int i = 0; i < 2000; i++) {
        ADD(" ");
        add(word, sizeof word);
    }
    ADD(" end\n10.9.9.8 end");
    write_file();
    ck_assert_int_eq(find("h"), 20000);
    ck_assert_int_eq(find("host19999"), 1);
    ck_assert_int_eq(find("end"), 2);
    for (int i = 0; i < 20000; i += 371) {
        sprintf(line, "HOST%d", i);
        ck_assert_int_eq(find(line), 1);
        sprintf(line, "10.0.%d.%d", i / 250, i % 250);
        ck_assert_int_eq(find_address(line, AF_INET), 1);
    }
    teardown();
}
END_TEST

START_TEST(agrees_on_random_bytes) {
    static const char *const pieces[] = {"a",  "A",     "b",  "ab",          " ",        "  ",  "\t",
                                         "\n", "\n\n",  "#",  "\r",          "10.0.0.1", "::1", ".",
                                         "\0", "a\0b ", "\v", "10.0.0.1 a ", "-",        "\xff"};
    srandom(1);
    for (int round = 0; round < 200; round++) {
        setup();
        for (long i = random() % 60; i > 0; i--) {
            size_t which = (size_t)random() % (sizeof pieces / sizeof *pieces);
            add(pieces[which], which == 14 ? 1 : which == 15 ? 4 : strlen(pieces[which]));
        }
        write_file();
        find("a");
        find("b");
        find("ab");
        find("10.0.0.1");
        find_address("10.0.0.1", AF_INET);
        find_address("::1", AF_INET6);
        teardown();
        memcpy(strrchr(path, '.'), ".XXXXXX", 8);
    }
}
END_TEST

START_TEST(says_why_it_cannot_read) {
    struct nd_hosts_scan scan;
    errno = 77;
    ck_assert(!nd_hosts_scan_open(&scan, "/nonexistent/hosts"));
    ck_assert_int_eq(scan.error, ENOENT);
    ck_assert(nd_hosts_scan_open(&scan, "/tmp"));
    ck_assert_ptr_null(nd_hosts_scan_name(&scan, "a"));
    ck_assert_int_eq(scan.error, EISDIR);
    nd_hosts_scan_close(&scan);
    ck_assert_int_eq(errno, 77);
}
END_TEST

void add_tests(TCase *tests) {
    tcase_set_timeout(tests, 30);
    tcase_add_test(tests, finds_what_the_index_finds);
    tcase_add_test(tests, finds_what_lies_across_its_buffer);
    tcase_add_test(tests, agrees_on_random_bytes);
    tcase_add_test(tests, says_why_it_cannot_read);
}
