#include "shim/settings/endpoint.h"
#include "tests/unit/unit.h"

#include <arpa/inet.h>
#include <stdlib.h>
#include <string.h>
#include <sys/un.h>

static struct nd_endpoint where;

static const char *parse(const char *text) {
    return nd_endpoint_parse((struct nd_word){text, strlen(text)}, &where);
}

static bool has(const char *address) {
    struct in6_addr v6;
    if (inet_pton(AF_INET6, address, &v6) != 1) {
        char mapped[64] = "::ffff:";
        strcat(mapped, address);
        ck_assert_int_eq(inet_pton(AF_INET6, mapped, &v6), 1);
    }
    return nd_endpoint_has_address(&where, &v6);
}

static const struct {
    const char *text, *inside, *outside;
    uint16_t port;
    unsigned narrowness;
} addresses[] = {
    {"192.0.2.1", "192.0.2.1", "192.0.2.2", 0, 129},
    {"10.0.0.0/8", "10.255.0.1", "11.0.0.0", 0, 105},
    {"10.1.2.3/8:5432", "10.255.0.1", "11.0.0.0", 5432, 105},
    {"0.0.0.0/0", "1.2.3.4", "::1", 0, 97},
    {"::/0", "2001:db8::1", "1.2.3.4", 0, 1},
    {"10.0.0.0/9", "10.127.0.1", "10.128.0.1", 0, 106},
    {"2001:db8::/32", "2001:db8:ffff::1", "2001:db9::", 0, 33},
    {"[2001:db8::1]:443", "2001:db8::1", "2001:db8::2", 443, 129},
    {"[2001:db8::/33]:65535", "2001:db8:7fff::1", "2001:db8:8000::1", 65535, 34},
    {"::1", "::1", "::2", 0, 129},
    {"::ffff:10.0.0.0/104", "10.1.1.1", "11.1.1.1", 0, 105},
};

START_TEST(reads_addresses) {
    ck_assert_ptr_null(parse(addresses[_i].text));
    ck_assert_int_eq(where.kind, ND_ENDPOINT_ADDRESS);
    ck_assert_uint_eq(where.port, addresses[_i].port);
    ck_assert_uint_eq(nd_endpoint_narrowness(&where), addresses[_i].narrowness);
    ck_assert(has(addresses[_i].inside));
    ck_assert(!has(addresses[_i].outside));
}
END_TEST

static const char *const wrong[] = {
    "10.0.0.0/33",  "10.0.0/8",    "300.1.1.1",  "1.2.3",  "::1/129",      "10.0.0.0/",       "10.0.0.0/-1",
    "10.0.0.0/8/8", "[::1",        "[::1]443",   "[::1]:", "[1.2.3.4]:80", "2001:db8::1:::1", "host:",
    "host:0",       "host:65536",  "host:http",  "host/8", "unix:",        "unix:@",          "unix:/",
    "a b",          "h\xc3\xb6st", "host:99999", "[]",     "[]:80",        "fe80::1%lo",
};

START_TEST(refuses_what_is_no_place) {
    ck_assert_msg(parse(wrong[_i]) != NULL, "'%s' was read", wrong[_i]);
}
END_TEST

START_TEST(any_host) {
    static const char *const texts[] = {"*", "*:80", ":80"};
    ck_assert_ptr_null(parse(texts[_i]));
    ck_assert_int_eq(where.kind, ND_ENDPOINT_ANY);
    ck_assert_uint_eq(nd_endpoint_narrowness(&where), 0);
    ck_assert(has("1.2.3.4") && has("::1"));
    ck_assert(nd_endpoint_has_port(&where, 80));
    ck_assert_int_eq(nd_endpoint_has_port(&where, 81), _i == 0);
}
END_TEST

START_TEST(names) {
    ck_assert_ptr_null(parse("DB.example.com.:5432"));
    ck_assert_int_eq(where.kind, ND_ENDPOINT_NAME);
    ck_assert_uint_eq(where.port, 5432);
    ck_assert_uint_eq(nd_endpoint_narrowness(&where), ND_ENDPOINT_MOST_NARROW);
    ck_assert(nd_endpoint_has_name(&where, "db.Example.com") && nd_endpoint_has_name(&where, "db.example.com."));
    ck_assert(!nd_endpoint_has_name(&where, "db.example.co") && !nd_endpoint_has_name(&where, "xdb.example.com"));
    ck_assert(!has("1.2.3.4"));
}
END_TEST

START_TEST(names_with_wildcards) {
    ck_assert_ptr_null(parse("*.ex?mple.com"));
    unsigned wide = nd_endpoint_narrowness(&where);
    ck_assert(nd_endpoint_has_name(&where, "a.b.example.com") && !nd_endpoint_has_name(&where, "example.com"));
    ck_assert(!nd_endpoint_has_name(&where, "a.exmple.com"));
    ck_assert_ptr_null(parse("*.db.example.com"));
    ck_assert_uint_gt(nd_endpoint_narrowness(&where), wide);
    ck_assert_uint_lt(nd_endpoint_narrowness(&where), ND_ENDPOINT_MOST_NARROW);
}
END_TEST

START_TEST(paths) {
    struct sockaddr_un local = {.sun_family = AF_UNIX, .sun_path = "/run/x.sock"};
    const socklen_t start = offsetof(struct sockaddr_un, sun_path);
    ck_assert_ptr_null(parse("unix:/run/*.sock"));
    ck_assert(nd_endpoint_has_path(&where, (void *)&local, sizeof local));
    ck_assert(nd_endpoint_has_path(&where, (void *)&local, start + 11));
    ck_assert(!nd_endpoint_has_path(&where, (void *)&local, start + 10));
    ck_assert(!nd_endpoint_has_path(&where, (void *)&local, start));
    ck_assert_ptr_null(parse("unix:x"));
    ck_assert(!nd_endpoint_has_path(&where, (void *)&local, sizeof local));
    ck_assert_ptr_null(parse("unix:*"));
    ck_assert(nd_endpoint_has_path(&where, (void *)&local, sizeof local));
    ck_assert_ptr_null(parse("unix:private/*"));
    ck_assert(!nd_endpoint_has_path(&where, (void *)&local, sizeof local));
    strcpy(local.sun_path, "private/rewrite");
    ck_assert(nd_endpoint_has_path(&where, (void *)&local, sizeof local));
    ck_assert_ptr_null(parse("unix:@abc"));
    memcpy(local.sun_path, "\0abc", 5);
    ck_assert(nd_endpoint_has_path(&where, (void *)&local, start + 4));
    ck_assert_ptr_null(parse("*"));
    ck_assert(nd_endpoint_has_path(&where, (void *)&local, start + 4));
    ck_assert_ptr_null(parse(":80"));
    ck_assert(!nd_endpoint_has_path(&where, (void *)&local, start + 4));
}
END_TEST

START_TEST(places_of_addresses) {
    struct nd_endpoint_address place;
    struct sockaddr_in v4 = {.sin_family = AF_INET, .sin_port = htons(80), .sin_addr = {htonl(0x01020304)}};
    struct sockaddr_in6 v6 = {.sin6_family = AF_INET6, .sin6_port = htons(81)};
    ck_assert(nd_endpoint_address_of((void *)&v4, sizeof v4, &place));
    ck_assert_uint_eq(place.port, 80);
    ck_assert(IN6_IS_ADDR_V4MAPPED(&place.address) && place.address.s6_addr[15] == 4);
    ck_assert(!nd_endpoint_address_of((void *)&v4, 8, &place));
    ck_assert(!nd_endpoint_address_of((void *)&v4, 1, &place));
    ck_assert(nd_endpoint_address_of((void *)&v6, 24, &place)); /* as the kernel takes it, without a scope */
    ck_assert_uint_eq(place.port, 81);
    v4.sin_family = AF_UNIX;
    ck_assert(!nd_endpoint_address_of((void *)&v4, sizeof v4, &place));
}
END_TEST

void add_tests(TCase *tests) {
    tcase_add_loop_test(tests, reads_addresses, 0, sizeof addresses / sizeof addresses[0]);
    tcase_add_loop_test(tests, refuses_what_is_no_place, 0, sizeof wrong / sizeof wrong[0]);
    tcase_add_loop_test(tests, any_host, 0, 3);
    tcase_add_test(tests, names);
    tcase_add_test(tests, names_with_wildcards);
    tcase_add_test(tests, paths);
    tcase_add_test(tests, places_of_addresses);
}
