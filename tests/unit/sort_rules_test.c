#include "resolver/sort_rules.h"

#include <arpa/inet.h>
#include <string.h>

#include "tests/unit/unit.h"

static union nd_socket_address to[2];
static struct nd_destination d[2];
static bool native_matters;
static struct nd_sort_tables tables;

static void set_address(union nd_socket_address *a, const char *text) {
    memset(a, 0, sizeof *a);
    if (inet_pton(AF_INET, text, &a->v4.sin_addr) > 0)
        a->sa.sa_family = AF_INET;
    else if (inet_pton(AF_INET6, text, &a->v6.sin6_addr) > 0)
        a->sa.sa_family = AF_INET6;
}

static void set(int i, const char *destination, const char *source) {
    set_address(&to[i], destination);
    d[i] = (struct nd_destination){.address = &to[i].sa, .native = true, .index = UINT32_MAX, .has_source = source};
    if (source)
        set_address(&d[i].source, source);
}

static int sign(void) {
    int order = nd_compare_destinations(&d[0], &d[1], &tables, &native_matters);
    ck_assert_int_eq((order > 0) - (order < 0),
                     -((nd_compare_destinations(&d[1], &d[0], &tables, &native_matters) > 0) -
                       (nd_compare_destinations(&d[1], &d[0], &tables, &native_matters) < 0)));
    return (order > 0) - (order < 0);
}

/* The first goes first. */
static const struct {
    const char *a, *a_source, *b, *b_source;
} ordered[] = {
    {"198.51.100.1", "10.0.0.1", "2001:db8::1", NULL},                           /* 1 */
    {"2001:db8::1", "2001:db8::2", "198.51.100.1", "169.254.0.1"},               /* 2 */
    {"2001:db8:1::1", "2001:db8:1::2", "2002:c633:6401::1", "2001:db8::2"},      /* 5 */
    {"2001:db8::1", "2001:db8::2", "10.1.2.3", "10.1.2.4"},                      /* 6 */
    {"fe80::1", "fe80::2", "2001:db8::1", "2001:db8::2"},                        /* 8 */
    {"2001:db8:3ffe::1", "2001:db8:3f44::2", "2001:db8::1", "2001:db8:3f44::2"}, /* 9 */
};

START_TEST(applies_the_rules) {
    set(0, ordered[_i].a, ordered[_i].a_source);
    set(1, ordered[_i].b, ordered[_i].b_source);
    ck_assert_int_eq(sign(), -1);
}
END_TEST

START_TEST(avoids_deprecated_and_prefers_home_and_native) {
    set(0, "2001:db8::1", "2001:db8::2");
    set(1, "2001:db8::1", "2001:db8::2");
    ck_assert_int_eq(sign(), 0);
    d[1].deprecated = true;
    ck_assert_int_eq(sign(), -1);
    d[0].deprecated = true;
    d[0].home = true;
    ck_assert_int_eq(sign(), -1);
    d[1].home = true;
    native_matters = false;
    d[0].index = 1;
    d[1].native = false;
    ck_assert_int_eq(sign(), -1);
    ck_assert(native_matters);
}
END_TEST

START_TEST(ipv4_bits_count_only_inside_a_subnet) {
    set(0, "10.0.0.129", "10.0.0.1");
    set(1, "10.0.0.3", "10.0.0.1");
    ck_assert_int_eq(sign(), 0); /* no prefix length is known */
    d[0].prefix_length = d[1].prefix_length = 24;
    ck_assert_int_eq(sign(), 1);
    set(0, "10.9.0.1", "10.0.0.1");
    set(1, "11.0.0.1", "10.0.0.1");
    d[0].prefix_length = d[1].prefix_length = 24;
    ck_assert_int_eq(sign(), 0);
}
END_TEST

START_TEST(takes_other_tables) {
    static const struct nd_prefix ipv4_first[] = {{{[10] = 0xff, [11] = 0xff}, 96, 100}, {.value = 40}};
    static const struct nd_prefix documentation[] = {{{0x20, 0x01, 0x0d, 0xb8}, 32, 9}, {.value = 1}};
    static const struct nd_prefix private[] = {{{[10] = 0xff, [11] = 0xff, 10}, 104, 5},
                                               {{[10] = 0xff, [11] = 0xff}, 96, 14}};
    set(0, "10.1.2.3", "10.1.2.4");
    set(1, "2001:db8::1", "2001:db8::2");
    ck_assert_int_eq(sign(), 1);
    tables.precedences = ipv4_first;
    ck_assert_int_eq(sign(), -1);
    tables = nd_sort_tables;
    set(0, "2001:db8::1", "2001:db8::2");
    set(1, "2001:dead::1", "2001:db8::2");
    tables.labels = documentation;
    ck_assert_int_eq(sign(), -1);
    tables = nd_sort_tables;
    set(0, "192.0.2.1", "192.0.2.2");
    set(1, "192.0.2.1", "10.0.0.1");
    ck_assert_int_eq(sign(), 0);
    tables.scopes = private;
    ck_assert_int_eq(sign(), -1);
}
END_TEST

static void built_in(void) {
    tables = nd_sort_tables;
}

void add_tests(TCase *tests) {
    tcase_add_checked_fixture(tests, built_in, NULL);
    tcase_add_test(tests, takes_other_tables);
    tcase_add_loop_test(tests, applies_the_rules, 0, (int)(sizeof ordered / sizeof *ordered));
    tcase_add_test(tests, avoids_deprecated_and_prefers_home_and_native);
    tcase_add_test(tests, ipv4_bits_count_only_inside_a_subnet);
}
