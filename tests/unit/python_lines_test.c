/* Lines of instructions, by tables that each version of Python has made of the same function, and its own list of where
 * its lines begin. */
#include "cli/process/python_lines.h"

#include <string.h>

#include "tests/unit/unit.h"

static const unsigned char made_by_3_9[] = {0x00, 0x01, 0x02, 0x02, 0x02, 0xfe, 0x04, 0x03, 0x0c, 0x01,
                                            0x02, 0x01, 0x04, 0x01, 0x02, 0xff, 0x06, 0x03, 0x06, 0x02};
static const unsigned char made_by_3_10[] = {0x02, 0x01, 0x02, 0x02, 0x04, 0xfe, 0x0c, 0x03, 0x02, 0x01,
                                             0x04, 0x01, 0x02, 0x01, 0x06, 0xff, 0x04, 0x03, 0x04, 0x02};
static const unsigned char made_by_3_11[] = {
    0x80, 0x00, 0xd8, 0x09, 0x0a, 0xe0, 0x09, 0x0a, 0xf1, 0x05, 0x02, 0x0a, 0x0b, 0x80, 0x41, 0xf5, 0x06, 0x00,
    0x0e, 0x13, 0x90, 0x31, 0x89, 0x58, 0x8c, 0x58, 0xf0, 0x00, 0x05, 0x05, 0x11, 0xf0, 0x00, 0x05, 0x05, 0x11,
    0x88, 0x01, 0xf0, 0x02, 0x04, 0x09, 0x11, 0xd8, 0x0c, 0x0d, 0x8f, 0x43, 0x8a, 0x43, 0xd8, 0x10, 0x11, 0xf1,
    0x03, 0x01, 0x0d, 0x13, 0xf4, 0x00, 0x01, 0x0d, 0x13, 0xf0, 0x00, 0x01, 0x0d, 0x13, 0xf0, 0x06, 0x00, 0x0d,
    0x11, 0xf8, 0x88, 0x44, 0x88, 0x44, 0x88, 0x44, 0x88, 0x44, 0xe0, 0x0b, 0x0c, 0x80, 0x48};
static const unsigned char made_by_3_13[] = {
    0x80, 0x00, 0xd8, 0x09, 0x0a, 0xe0, 0x09, 0x0a, 0xf1, 0x05, 0x02, 0x0a, 0x0b, 0x80, 0x41, 0xf4, 0x06, 0x00,
    0x0e, 0x13, 0x90, 0x31, 0x8e, 0x58, 0x88, 0x01, 0xf0, 0x02, 0x04, 0x09, 0x11, 0xd8, 0x0c, 0x0d, 0x8f, 0x43,
    0x89, 0x43, 0xd8, 0x10, 0x11, 0xf4, 0x03, 0x01, 0x0d, 0x13, 0xf1, 0x06, 0x00, 0x0d, 0x11, 0xf1, 0x0b, 0x00,
    0x0e, 0x16, 0xf0, 0x0e, 0x00, 0x0c, 0x0d, 0x80, 0x48, 0xf8, 0xf0, 0x05, 0x00, 0x0d, 0x11, 0xfa};

/* Where a line begins; the last entry is the end. */
struct begin {
    size_t offset;
    unsigned line;
};
static const struct begin lines_3_9[] = {{0, 2},  {2, 4},  {4, 2},   {8, 5},   {20, 6}, {22, 7},
                                         {26, 8}, {28, 7}, {34, 10}, {40, 12}, {44, 0}};
static const struct begin lines_3_10[] = {{0, 2},  {2, 4},  {4, 2},   {8, 5},   {20, 6}, {22, 7},
                                          {26, 8}, {28, 7}, {34, 10}, {38, 12}, {42, 0}};
static const struct begin lines_3_11[] = {{0, 1},  {2, 2},  {4, 4},   {6, 2},  {12, 5},  {46, 6},   {48, 7},
                                          {72, 8}, {74, 7}, {90, 10}, {92, 0}, {94, 10}, {102, 12}, {106, 0}};
static const struct begin lines_3_13[] = {{0, 1},  {2, 2},   {4, 4},  {6, 2},   {12, 5}, {40, 6},  {42, 7}, {64, 8},
                                          {66, 7}, {76, 10}, {80, 5}, {84, 12}, {88, 0}, {90, 10}, {92, 0}, {98, 0}};

static void expect(enum python_lines how, const unsigned char *table, size_t size, const struct begin *begins) {
    for (; begins[1].offset > begins[0].offset; begins++)
        for (size_t at = begins[0].offset; at < begins[1].offset; at += 2)
            ck_assert_msg(python_line_at(how, table, size, 1, at) == begins->line, "at %zu: %u, not %u", at,
                          python_line_at(how, table, size, 1, at), begins->line);
}

/* The list ends where offsets no longer rise. */
#define EXPECT(how, version)                                                                                           \
    do {                                                                                                               \
        struct begin list[sizeof lines_##version / sizeof lines_##version[0] + 1] = {{0, 0}};                          \
        memcpy(list, lines_##version, sizeof lines_##version);                                                         \
        expect(how, made_by_##version, sizeof made_by_##version, list);                                                \
    } while (0)

START_TEST(lines_of_each_version) {
    EXPECT(PYTHON_LINES_PAIRS, 3_9);
    EXPECT(PYTHON_LINES_RANGES, 3_10);
    EXPECT(PYTHON_LINES_LOCATIONS, 3_11);
    EXPECT(PYTHON_LINES_LOCATIONS, 3_13);
}
END_TEST

START_TEST(lines_that_are_not_told) {
    ck_assert_uint_eq(python_line_at(PYTHON_LINES_RANGES, made_by_3_10, sizeof made_by_3_10, 1, 1000), 0);
    ck_assert_uint_eq(python_line_at(PYTHON_LINES_LOCATIONS, made_by_3_13, sizeof made_by_3_13, 1, SIZE_MAX), 0);
    ck_assert_uint_eq(python_line_at(PYTHON_LINES_LOCATIONS, made_by_3_9, sizeof made_by_3_9, 1, 0), 0);
}
END_TEST

/* Any bytes give some line or none, and the reading stays within them. */
START_TEST(tables_of_anything) {
    unsigned char table[64];
    uint32_t random = 1;
    for (int round = 0; round < 20000; round++) {
        for (size_t i = 0; i < sizeof table; i++)
            table[i] = (unsigned char)((random = random * 1664525 + 1013904223) >> 24);
        const size_t size = random >> 8 & 63;
        unsigned char *exact =
            memmove(table + sizeof table - size, table, size); /* what is beyond is not the table's */
        for (int how = PYTHON_LINES_PAIRS; how <= PYTHON_LINES_LOCATIONS; how++)
            ck_assert_uint_le(python_line_at((enum python_lines)how, exact, size, random >> 1, random % 300),
                              INT32_MAX);
    }
}
END_TEST

void add_tests(TCase *tests) {
    tcase_add_test(tests, lines_of_each_version);
    tcase_add_test(tests, lines_that_are_not_told);
    tcase_add_test(tests, tables_of_anything);
}
