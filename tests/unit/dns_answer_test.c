#include "resolver/dns_answer.h"

#include <netdb.h>
#include <string.h>
#include <sys/socket.h>

#include "tests/unit/unit.h"

static uint8_t bytes[512];
static struct nd_dns_message message;
static struct nd_host host;

static void add(const void *data, size_t size) {
    memcpy(bytes + message.size, data, size);
    message.size += size;
}

static void add_name(const char *name) {
    uint8_t wire[ND_WIRE_NAME_MAX];
    add(wire, (size_t)nd_name_to_wire(name, wire));
}

static void start(const char *question, unsigned type, unsigned records) {
    uint8_t header[ND_DNS_HEADER] = {0, 1, 0x81, 0x80, 0, 1, 0, (uint8_t)records};
    nd_host_free(&host);
    message = (struct nd_dns_message){.bytes = bytes};
    add(header, sizeof header);
    add_name(question);
    add((uint8_t[]){0, (uint8_t)type, 0, 1}, 4);
}

static void add_record(const char *owner, unsigned type, const void *data, size_t size) {
    add_name(owner);
    add((uint8_t[]){0, (uint8_t)type, 0, 1, 0, 0, 0, 60, 0, (uint8_t)size}, 10);
    add(data, size);
}

static void add_cname(const char *owner, const char *target) {
    uint8_t wire[ND_WIRE_NAME_MAX];
    add_record(owner, ND_TYPE_CNAME, wire, (size_t)nd_name_to_wire(target, wire));
}

START_TEST(follows_cnames) {
    start("a.x", ND_TYPE_A, 3);
    add_cname("a.x", "b.x");
    add_cname("b.x", "c.x");
    add_record("C.x", ND_TYPE_A, "\1\2\3\4", 4);
    nd_answer_one(&host, &message, AF_INET);
    ck_assert_int_eq(host.status, ND_SUCCESS);
    ck_assert_str_eq(host.canonical, "c.x");
    ck_assert_uint_eq(host.name_count, 2);
    ck_assert_str_eq(host.names[0], "a.x");
    ck_assert_uint_eq(host.count, 1);
    ck_assert_int_eq(host.addresses[0].bytes[3], 4);
}
END_TEST

START_TEST(passes_over_other_owners_and_sizes) {
    start("a.x", ND_TYPE_A, 3);
    add_record("b.x", ND_TYPE_A, "\1\2\3\4", 4);
    add_record("a.x", ND_TYPE_A, "\1\2\3\4\5", 5);
    add_record("a.x", ND_TYPE_AAAA, "0123456789abcdef", 16);
    nd_answer_one(&host, &message, AF_INET);
    ck_assert_int_eq(host.status, ND_TRYAGAIN);
    ck_assert_int_eq(host.h_err, NO_RECOVERY);
    ck_assert_uint_eq(host.count, 0);
}
END_TEST

START_TEST(joins_both_families) {
    struct nd_dns_message none = {0};
    start("a.x", ND_TYPE_AAAA, 1);
    add_record("a.x", ND_TYPE_AAAA, "0123456789abcdef", 16);
    nd_answer_both(&host, &none, &message);
    ck_assert_int_eq(host.status, ND_SUCCESS);
    ck_assert_int_eq(host.addresses[0].family, AF_INET6);
    ck_assert_str_eq(host.canonical, "a.x");
    nd_answer_both(&host, &message, &message);
    ck_assert_uint_eq(host.count, 3);
}
END_TEST

START_TEST(refuses_cut_packets) {
    start("a.x", ND_TYPE_A, 1);
    add_record("a.x", ND_TYPE_A, "\1\2\3\4", 4);
    size_t whole = message.size;
    for (size_t size = 0; size < whole; size++) {
        struct nd_dns_message cut = {bytes, size, false};
        nd_host_free(&host);
        nd_answer_one(&host, &cut, AF_INET);
        ck_assert_int_eq(host.status, ND_UNAVAIL);
        ck_assert_int_eq(host.h_err, NO_RECOVERY);
        nd_answer_ptr(&host, &cut);
        ck_assert_int_eq(host.status, ND_UNAVAIL);
    }
}
END_TEST

START_TEST(reads_names_of_addresses) {
    uint8_t wire[ND_WIRE_NAME_MAX];
    start("1.0.0.127.in-addr.arpa", ND_TYPE_PTR, 1);
    add_record("1.0.0.127.in-addr.arpa", ND_TYPE_PTR, wire, (size_t)nd_name_to_wire("host.x", wire));
    nd_answer_ptr(&host, &message);
    ck_assert_int_eq(host.status, ND_SUCCESS);
    ck_assert_str_eq(host.canonical, "host.x");
    start("1.0.0.127.in-addr.arpa", ND_TYPE_PTR, 1);
    add_record("1.0.0.127.in-addr.arpa", ND_TYPE_PTR, wire, (size_t)nd_name_to_wire("ho*st.x", wire));
    nd_answer_ptr(&host, &message);
    ck_assert_int_eq(host.status, ND_UNAVAIL); /* not a valid host name */
}
END_TEST

void add_tests(TCase *tests) {
    tcase_add_test(tests, follows_cnames);
    tcase_add_test(tests, passes_over_other_owners_and_sizes);
    tcase_add_test(tests, joins_both_families);
    tcase_add_test(tests, refuses_cut_packets);
    tcase_add_test(tests, reads_names_of_addresses);
}
