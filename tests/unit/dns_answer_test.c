#include "resolver/dns_answer.h"

#include <errno.h>
#include <gnu/libc-version.h>
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "tests/unit/unit.h"

static int minor = 36;

const char *gnu_get_libc_version(void) {
    static char text[16];
    snprintf(text, sizeof text, "2.%d", minor);
    return text;
}

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
    ck_assert_int_eq(host.status, ND_NOTFOUND); /* not a valid host name */
}
END_TEST

/* What nss_dns says by its version, of both families and of one. */
static void both(int version) {
    struct nd_dns_message none = {0};
    minor = version;
    nd_host_free(&host);
    nd_answer_both(&host, &message, &none);
}

static void one(int version, int family) {
    minor = version;
    nd_host_free(&host);
    nd_answer_one(&host, &message, family);
}

static void says(enum nd_status status, int h_err, size_t count) {
    ck_assert_int_eq(host.status, status);
    ck_assert_int_eq(host.h_err, h_err);
    ck_assert_uint_eq(host.count, count);
}

START_TEST(an_alias_that_is_no_host) {
    start("a.x", ND_TYPE_A, 2);
    add_cname("a.x", "b*d.x");
    add_record("b*d.x", ND_TYPE_A, "\1\2\3\4", 4);
    one(35, AF_INET);
    says(ND_TRYAGAIN, NO_RECOVERY, 0);
    both(35);
    says(ND_TRYAGAIN, NETDB_INTERNAL, 0);
    ck_assert_int_eq(host.sys_err, 0);
    both(26);
    says(ND_TRYAGAIN, NETDB_INTERNAL, 0);
    both(25);
    says(ND_TRYAGAIN, HOST_NOT_FOUND, 0);
    one(36, AF_INET);
    says(ND_SUCCESS, 0, 1);
    both(36);
    says(ND_SUCCESS, 0, 1);
}
END_TEST

START_TEST(a_question_that_is_for_no_host) {
    start("a*.x", ND_TYPE_A, 1);
    add_record("a*.x", ND_TYPE_A, "\1\2\3\4", 4);
    one(35, AF_INET);
    says(ND_UNAVAIL, NO_RECOVERY, 0);
    ck_assert_int_eq(host.sys_err, EBADMSG);
    both(35);
    says(ND_UNAVAIL, NO_RECOVERY, 0);
    one(36, AF_INET);
    says(ND_NOTFOUND, HOST_NOT_FOUND, 0);
    both(36);
    says(ND_NOTFOUND, HOST_NOT_FOUND, 0);
}
END_TEST

START_TEST(only_aliases) {
    start("a.x", ND_TYPE_A, 1);
    add_cname("a.x", "b.x");
    one(35, AF_INET);
    says(ND_NOTFOUND, NO_RECOVERY, 0);
    both(35);
    says(ND_NOTFOUND, HOST_NOT_FOUND, 0);
    one(36, AF_INET);
    says(ND_TRYAGAIN, NO_RECOVERY, 0);
    both(36);
    says(ND_NOTFOUND, HOST_NOT_FOUND, 0);
}
END_TEST

START_TEST(the_answer_is_damaged_behind_an_address) {
    start("a.x", ND_TYPE_A, 2);
    add_record("a.x", ND_TYPE_A, "\1\2\3\4", 4);
    add_record("a.x", ND_TYPE_A, "\1\2\3\4", 4);
    message.size -= 2;
    one(35, AF_INET);
    says(ND_SUCCESS, 0, 1);
    both(35);
    says(ND_SUCCESS, 0, 1);
    one(36, AF_INET);
    ck_assert_int_eq(host.status, ND_UNAVAIL);
    both(36);
    ck_assert_int_eq(host.status, ND_UNAVAIL);
}
END_TEST

START_TEST(an_address_of_the_wrong_size) {
    start("a.x", ND_TYPE_A, 2);
    add_record("a.x", ND_TYPE_A, "\1\2\3\4\5", 5);
    add_record("a.x", ND_TYPE_A, "\1\2\3\4", 4);
    one(35, AF_INET);
    says(ND_TRYAGAIN, NO_RECOVERY, 0);
    one(24, AF_INET);
    says(ND_TRYAGAIN, NO_RECOVERY, 0);
    one(23, AF_INET);
    says(ND_SUCCESS, 0, 1);
    both(35);
    says(ND_TRYAGAIN, NETDB_INTERNAL, 0);
    one(36, AF_INET);
    says(ND_SUCCESS, 0, 1);
    both(36);
    says(ND_SUCCESS, 0, 1);
}
END_TEST

START_TEST(an_address_of_another_owner_or_family) {
    start("a.x", ND_TYPE_A, 2);
    add_record("b.x", ND_TYPE_A, "\1\2\3\4", 4);
    add_record("a.x", ND_TYPE_AAAA, "0123456789abcdef", 16);
    both(35);
    says(ND_SUCCESS, 0, 2);
    ck_assert_str_eq(host.canonical, "b.x");
    both(36);
    says(ND_NOTFOUND, HOST_NOT_FOUND, 0);
    one(35, AF_INET);
    says(ND_TRYAGAIN, NO_RECOVERY, 0);
}
END_TEST

START_TEST(the_names_are_spelt_as_in_the_answer) {
    start("a.x", ND_TYPE_A, 2);
    add_cname("A.x", "b.x");
    add_record("B.X", ND_TYPE_A, "\1\2\3\4", 4);
    one(35, AF_INET);
    ck_assert_str_eq(host.canonical, "B.X");
    ck_assert_str_eq(host.names[0], "A.x");
    both(35);
    ck_assert_str_eq(host.canonical, "b.x");
    one(36, AF_INET);
    ck_assert_str_eq(host.canonical, "b.x");
    ck_assert_str_eq(host.names[0], "a.x");
}
END_TEST

START_TEST(the_name_of_an_address_is_no_host) {
    uint8_t wire[ND_WIRE_NAME_MAX];
    start("1.0.0.127.in-addr.arpa", ND_TYPE_PTR, 1);
    add_record("1.0.0.127.in-addr.arpa", ND_TYPE_PTR, wire, (size_t)nd_name_to_wire("ho*st.x", wire));
    minor = 35;
    nd_answer_ptr(&host, &message);
    says(ND_TRYAGAIN, NO_RECOVERY, 0);
    start("1.0.0.127.in-addr.arpa", ND_TYPE_PTR, 2);
    add_cname("1.0.0.127.in-addr.arpa", "1.x*");
    add_record("1.x*", ND_TYPE_PTR, wire, (size_t)nd_name_to_wire("host.x", wire));
    nd_answer_ptr(&host, &message);
    ck_assert_int_eq(host.status, ND_SUCCESS);
    ck_assert_str_eq(host.canonical, "host.x");
}
END_TEST

START_TEST(cut_packets_stay_within_their_size) {
    uint8_t *cut;
    start("a.x", ND_TYPE_A, 3);
    add_cname("a.x", "b.x");
    add_record("b.x", ND_TYPE_A, "\1\2\3\4", 4);
    add_record("b.x", ND_TYPE_A, "\1\2\3\4", 4);
    minor = 31;
    for (size_t size = 0; size < message.size; size++) {
        ck_assert_ptr_nonnull(cut = malloc(size + 1));
        memcpy(cut, bytes, size);
        struct nd_dns_message m = {cut, size, false}, none = {0};
        nd_host_free(&host);
        nd_answer_one(&host, &m, AF_INET);
        ck_assert_uint_le(host.count, 1);
        nd_host_free(&host);
        nd_answer_both(&host, &none, &m);
        ck_assert_uint_le(host.count, 1);
        nd_host_free(&host);
        nd_answer_ptr(&host, &m);
        ck_assert_int_ne(host.status, ND_SUCCESS);
        free(cut);
    }
}
END_TEST

void add_tests(TCase *tests) {
    tcase_add_test(tests, follows_cnames);
    tcase_add_test(tests, passes_over_other_owners_and_sizes);
    tcase_add_test(tests, joins_both_families);
    tcase_add_test(tests, refuses_cut_packets);
    tcase_add_test(tests, reads_names_of_addresses);
    tcase_add_test(tests, an_alias_that_is_no_host);
    tcase_add_test(tests, a_question_that_is_for_no_host);
    tcase_add_test(tests, only_aliases);
    tcase_add_test(tests, the_answer_is_damaged_behind_an_address);
    tcase_add_test(tests, an_address_of_the_wrong_size);
    tcase_add_test(tests, an_address_of_another_owner_or_family);
    tcase_add_test(tests, the_names_are_spelt_as_in_the_answer);
    tcase_add_test(tests, the_name_of_an_address_is_no_host);
    tcase_add_test(tests, cut_packets_stay_within_their_size);
}
