#include "resolver/numeric.h"

#include <arpa/inet.h>

#include "tests/unit/unit.h"

#define COUNT(a) ((int)(sizeof(a) / sizeof *(a)))

static const struct {
    const char *text;
    uint32_t address;
} good[] = {
    {"127.0.0.1", 0x7f000001},
    {"127.1", 0x7f000001},
    {"127.0.257", 0x7f000101},
    {"0x7f.1", 0x7f000001},
    {"0177.0.0.01", 0x7f000001},
    {"2130706433", 0x7f000001},
    {"0", 0},
    {"4294967295", 0xffffffff},
    {"0xffffffff", 0xffffffff},
    {"1.0xffffff", 0x01ffffff},
    {"1.2.65535", 0x0102ffff},
};

START_TEST(reads_the_forms_of_inet_aton) {
    struct in_addr a;
    ck_assert(nd_parse_ipv4(good[_i].text, &a));
    ck_assert_uint_eq(ntohl(a.s_addr), good[_i].address);
}
END_TEST

static const char *const bad[] = {"",          ".",         "1.",        "1.2.3.4.",   "1.2.3.4.5",
                                  "256.1.1.1", "1.2.3.256", "1.2.65536", "1.16777216", "4294967296",
                                  "0x",        "08",        "1.2.3.4 ",  " 1.2.3.4",   "-1",
                                  "+1",        "1..2",      "0xg",       "1e3",        "99999999999999999999"};

START_TEST(refuses_what_inet_aton_refuses) {
    struct in_addr a;
    ck_assert_msg(!nd_parse_ipv4(bad[_i], &a), "%s", bad[_i]);
}
END_TEST

START_TEST(reads_scopes) {
    struct in6_addr local, global;
    uint32_t scope = 0;
    inet_pton(AF_INET6, "fe80::1", &local);
    inet_pton(AF_INET6, "2001:db8::1", &global);
    ck_assert(nd_parse_scope(&local, "lo", &scope) && scope == 1);
    ck_assert(nd_parse_scope(&global, "7", &scope) && scope == 7);
    ck_assert(nd_parse_scope(&global, "4294967295", &scope) && scope == UINT32_MAX);
    ck_assert(!nd_parse_scope(&global, "lo", &scope));
    ck_assert(!nd_parse_scope(&local, "no-such-interface", &scope));
    ck_assert(!nd_parse_scope(&local, "", &scope));
    ck_assert(!nd_parse_scope(&local, "4294967296", &scope));
    ck_assert(!nd_parse_scope(&local, "1x", &scope));
}
END_TEST

START_TEST(reads_addresses_with_scopes) {
    struct in6_addr address;
    uint32_t scope = 0;
    bool valid;
    ck_assert(nd_parse_ipv6("2001:db8::1", &address, &scope, &valid) && valid && scope == 0);
    ck_assert(nd_parse_ipv6("fe80::1%lo", &address, &scope, &valid) && valid && scope == 1);
    ck_assert(nd_parse_ipv6("fe80::1%no-such-interface", &address, &scope, &valid) && !valid);
    ck_assert(IN6_IS_ADDR_LINKLOCAL(&address));
    ck_assert(!nd_parse_ipv6("%lo", &address, &scope, &valid));
    ck_assert(!nd_parse_ipv6("fe80::1:0000:0000:0000:0000:0000:0000:0000:0000:0000%lo", &address, &scope, &valid));
}
END_TEST

void add_tests(TCase *tests) {
    tcase_add_loop_test(tests, reads_the_forms_of_inet_aton, 0, COUNT(good));
    tcase_add_loop_test(tests, refuses_what_inet_aton_refuses, 0, COUNT(bad));
    tcase_add_test(tests, reads_scopes);
    tcase_add_test(tests, reads_addresses_with_scopes);
}
