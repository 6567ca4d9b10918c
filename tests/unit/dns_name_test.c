#include "resolver/dns_name.h"

#include <string.h>

#include "tests/unit/unit.h"

#define COUNT(a) ((int)(sizeof(a) / sizeof *(a)))

static const char *const good[] = {
    "a",       "a.b.c", "a.b.",  ".",          "",
    "\\046.x", "a\\.b", "x_y-z", "\\000\\255", "123456789012345678901234567890123456789012345678901234567890123.x"};
static const size_t sizes[] = {3, 7, 5, 1, 1, 5, 5, 7, 4, 67};

START_TEST(makes_wire_names) {
    uint8_t wire[ND_WIRE_NAME_MAX];
    ck_assert_int_eq(nd_name_to_wire(good[_i], wire), (int)sizes[_i]);
    uint8_t again[ND_WIRE_NAME_MAX];
    ck_assert_int_eq(nd_name_unpack(wire, sizes[_i], 0, again), (int)sizes[_i]);
    ck_assert(nd_name_equal(wire, again));
}
END_TEST

static const char *const bad[] = {
    "a..b", ".a",   "..",    "a..",   "\\",
    "a\\",  "\\25", "\\256", "\\1x2", "0123456789012345678901234567890123456789012345678901234567890123"};

START_TEST(refuses_bad_names) {
    uint8_t wire[ND_WIRE_NAME_MAX];
    ck_assert_msg(nd_name_to_wire(bad[_i], wire) == -1, "%s", bad[_i]);
}
END_TEST

START_TEST(names_end_at_255_bytes) {
    char text[400] = "";
    uint8_t wire[ND_WIRE_NAME_MAX];
    for (int i = 0; i < 127; i++)
        strcat(text, "a.");
    ck_assert_int_eq(nd_name_to_wire(text, wire), 255);
    strcat(text, "a");
    ck_assert_int_eq(nd_name_to_wire(text, wire), -1);
    memset(text, 'x', 300);
    text[300] = '\0';
    ck_assert_int_eq(nd_name_to_wire(text, wire), -1);
}
END_TEST

START_TEST(follows_pointers_and_no_loops) {
    const uint8_t packet[] = {1, 'a', 0, 1, 'b', 0xc0, 0, 0xc0, 7, 0xc0, 9, 0xc0, 200, 0x40, 5, 'x'};
    uint8_t wire[ND_WIRE_NAME_MAX];
    char text[16];
    ck_assert_int_eq(nd_name_unpack(packet, sizeof packet, 3, wire), 4);
    ck_assert_int_eq(nd_name_to_text(wire, text, sizeof text), 3);
    ck_assert_str_eq(text, "b.a");
    ck_assert_int_eq(nd_name_unpack(packet, sizeof packet, 7, wire), -1);
    ck_assert_int_eq(nd_name_unpack(packet, sizeof packet, 11, wire), -1);
    ck_assert_int_eq(nd_name_unpack(packet, sizeof packet, 13, wire), -1);
    ck_assert_int_eq(nd_name_unpack(packet, sizeof packet, 14, wire), -1);
    ck_assert_int_eq(nd_name_unpack(packet, sizeof packet, 99, wire), -1);
}
END_TEST

START_TEST(writes_text_with_escapes) {
    uint8_t wire[ND_WIRE_NAME_MAX];
    char text[32];
    nd_name_to_wire("a\\.b\\007.c", wire);
    ck_assert_int_eq(nd_name_to_text(wire, text, sizeof text), 10);
    ck_assert_str_eq(text, "a\\.b\\007.c");
    ck_assert_int_eq(nd_name_to_text(wire, text, 10), -1);
    ck_assert_int_eq(nd_name_to_text(wire, text, 11), 10);
}
END_TEST

START_TEST(knows_host_names) {
    ck_assert(nd_text_is_host("a_b-c.1") && nd_text_is_host("a.") && nd_text_is_host(""));
    ck_assert(!nd_text_is_host("-a") && !nd_text_is_host("a b") && !nd_text_is_host("a*b") &&
              !nd_text_is_host("\xc3\xa9"));
    uint8_t a[ND_WIRE_NAME_MAX], b[ND_WIRE_NAME_MAX];
    nd_name_to_wire("Ab.c", a);
    nd_name_to_wire("aB.C.", b);
    ck_assert(nd_name_equal(a, b));
    nd_name_to_wire("ab.cd", b);
    ck_assert(!nd_name_equal(a, b));
}
END_TEST

void add_tests(TCase *tests) {
    tcase_add_loop_test(tests, makes_wire_names, 0, COUNT(good));
    tcase_add_loop_test(tests, refuses_bad_names, 0, COUNT(bad));
    tcase_add_test(tests, names_end_at_255_bytes);
    tcase_add_test(tests, follows_pointers_and_no_loops);
    tcase_add_test(tests, writes_text_with_escapes);
    tcase_add_test(tests, knows_host_names);
}
