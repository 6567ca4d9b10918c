/* What lookups say by the version of musl. The name servers are made up here, and resolv.conf. */
#include <errno.h>
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "resolver/dns_message.h"
#include "resolver/musl.h"
#include "resolver/musl_ask.h"
#include "resolver/res.h"
#include "tests/unit/unit.h"

static int version, asked;
static bool is_silent;
static char names[300]; /* that were asked for */

int nd_libc_musl_version(void) {
    return version;
}

const void *nd_libc_address(void) {
    return NULL;
}

void *nd_libc_musl_function(const char *name) {
    (void)name;
    return NULL;
}

int nd_musl_conf_read(struct nd_musl_conf *conf) {
    *conf = (struct nd_musl_conf){
        .server_count = 1, .ndots = 1, .attempts = 2, .timeout_s = 5, .search = "a.test . b.test\n"};
    return 0;
}

static void name_of(const uint8_t *packet, char *text) {
    size_t at = ND_DNS_HEADER, used = 0;
    for (; packet[at]; at += packet[at] + 1u)
        used += (size_t)sprintf(text + used, "%s%.*s", used ? "." : "", packet[at], (const char *)packet + at + 1);
    text[used] = '\0';
}

/* The words of a name say what it has: 4 and 6 (addresses), x4 and x6 (no such name by that question), s4 and s6
 * (silence), f4 (REFUSED), c (a CNAME), full (50 IPv4 addresses), most (70 of them), cut (half of the last record is missing). */
static uint8_t *answer(const struct nd_question *q, size_t *size) {
    char name[256], target[] = "\5other\4test";
    name_of(q->packet, name);
    const bool is4 = q->packet[q->size - 3] == 1;
    if (is_silent || strstr(name, is4 ? "s4" : "s6"))
        return NULL;
    uint8_t *p = nd_message_new(4096);
    memcpy(p, q->packet, q->size);
    p[2] = 0x81;
    p[3] = strstr(name, is4 ? "x4" : "x6") ? ND_NXDOMAIN : strstr(name, "f4") && is4 ? ND_REFUSED : 0;
    *size = q->size;
    if (p[3])
        return p;
    const int count = !strchr(name, is4 ? '4' : '6') ? 0
                      : is4 && strstr(name, "full")  ? 50
                      : is4 && strstr(name, "most")  ? 70
                                                     : 1;
    if (strchr(name, 'c')) {
        const uint8_t record[] = {0xc0, 12, 0, 5, 0, 1, 0, 0, 0, 9, 0, sizeof target};
        memcpy(p + *size, record, sizeof record);
        memcpy(p + *size + sizeof record, target, sizeof target);
        *size += sizeof record + sizeof target;
        p[7]++;
    }
    for (int i = 0; i < count; i++) {
        const uint8_t length = is4 ? 4 : 16, record[] = {0xc0, 12, 0, is4 ? 1 : 28, 0, 1, 0, 0, 0, 9, 0, length};
        memcpy(p + *size, record, sizeof record);
        memset(p + *size + sizeof record, i + 1, length);
        *size += sizeof record + length;
        p[7]++;
    }
    if (strstr(name, "cut"))
        *size -= 2;
    return p;
}

void nd_musl_ask(struct nd_musl_ask *ask) {
    for (int i = 0; i < ask->question_count; i++) {
        size_t size = 0;
        ask->answers[i].bytes = answer(&ask->questions[i], &size);
        ask->answers[i].size = ask->lengths[i] = size < ask->room ? size : ask->room;
    }
    char name[256];
    name_of(ask->questions[0].packet, name);
    snprintf(names + strlen(names), sizeof names - strlen(names), "%s ", name);
    asked++;
}

void nd_musl_ask_free(struct nd_musl_ask *ask) {
    for (int i = 0; i < 2; i++)
        nd_message_free(ask->answers[i].bytes);
}

static struct nd_musl_address found[ND_MUSL_ADDRESSES];
static char canonical[ND_MUSL_NAME];

static int find_in(int of_version, const char *name, int family) {
    struct nd_lookup lookup = {.deadline = ND_NEVER};
    version = of_version;
    asked = 0;
    names[0] = '\0';
    return nd_musl_find(found, canonical, name, family, 0, &lookup);
}

static int find_all(int of_version, const char *name) {
    return find_in(of_version, name, AF_UNSPEC);
}

START_TEST(both_answers_are_needed_from_1_2_2_on) {
    ck_assert_int_eq(find_all(10124, "4-s6.test."), 1);
    ck_assert_int_eq(find_all(10202, "4-s6.test."), EAI_AGAIN);
    ck_assert_int_eq(find_all(10205, "6-s4.test."), EAI_AGAIN);
    ck_assert_int_eq(find_all(10124, "6-s4.test."), 1);
    ck_assert_int_eq(find_all(10124, "4-x6.test."), 1);
    ck_assert_int_eq(find_all(10203, "4-x6.test."), EAI_NONAME);
    ck_assert_int_eq(find_all(10205, "f4-6.test."), EAI_FAIL);
    ck_assert_int_eq(find_all(10124, "f4-6.test."), 1);
}
END_TEST

START_TEST(a_name_without_addresses_has_a_code_of_its_own_from_1_2_4_on) {
    ck_assert_int_eq(find_all(10124, "nothing.test."), EAI_NONAME);
    ck_assert_int_eq(find_all(10203, "nothing.test."), EAI_NONAME);
    ck_assert_int_eq(find_all(10204, "nothing.test."), EAI_NODATA);
    ck_assert_int_eq(find_in(10203, "192.0.2.1", AF_INET6), EAI_NONAME);
    ck_assert_int_eq(find_in(10204, "192.0.2.1", AF_INET6), EAI_NODATA);
}
END_TEST

START_TEST(long_answers_count_whole_from_1_2_5_on) {
    ck_assert_int_eq(find_in(10203, "full-4.test.", AF_INET), 30); /* of 512 bytes */
    ck_assert_int_eq(find_in(10204, "full-4.test.", AF_INET), 46); /* of 768 */
    ck_assert_int_eq(find_in(10205, "full-4.test.", AF_INET), 48);
    ck_assert_int_eq(find_in(10204, "most-4.test.", AF_INET), EAI_NODATA); /* more than 64 records */
    ck_assert_int_eq(find_in(10205, "most-4.test.", AF_INET), 48);
}
END_TEST

START_TEST(the_number_of_addresses_is_limited) {
    ck_assert_int_eq(find_all(10205, "full-4.test."), ND_MUSL_ADDRESSES);
    ck_assert_int_eq(find_in(10205, "full-4.test.", AF_INET), ND_MUSL_ADDRESSES);
    ck_assert_int_eq(found[47].bytes[0], 48);
    ck_assert_int_eq(find_in(10203, "full-4.test.", AF_INET), 30);          /* what fits into 512 bytes */
    ck_assert_int_eq(find_all(10205, "full-4-6.test."), ND_MUSL_ADDRESSES); /* IPv6 is read first */
}
END_TEST

START_TEST(a_damaged_record_ends_the_answer) {
    ck_assert_int_eq(find_in(10205, "cut-full-4.test.", AF_INET), ND_MUSL_ADDRESSES);
    ck_assert_int_eq(find_in(10205, "cut-4.test.", AF_INET), EAI_NODATA);
    ck_assert_int_eq(find_in(10203, "cut-4.test.", AF_INET), EAI_NONAME);
}
END_TEST

START_TEST(the_last_cname_is_the_canonical_name) {
    ck_assert_int_eq(find_in(10205, "c-4.test", AF_INET), 1);
    ck_assert_str_eq(canonical, "other.test");
    ck_assert_int_eq(find_in(10205, "4.test.", AF_INET), 1);
    ck_assert_str_eq(canonical, "4.test");
}
END_TEST

START_TEST(the_search_list_is_for_names_without_enough_dots) {
    ck_assert_int_eq(find_all(10205, "x4-x6"), EAI_NONAME);
    ck_assert_str_eq(names, "x4-x6.a.test x4-x6.b.test x4-x6 ");
    ck_assert_int_eq(find_all(10203, "x4-x6"), EAI_NONAME); /* "search ." made a damaged question there */
    ck_assert_str_eq(names, "x4-x6.a.test x4-x6.b.test x4-x6 ");
    ck_assert_int_eq(find_all(10205, "x4-x6.test"), EAI_NONAME);
    ck_assert_str_eq(names, "x4-x6.test ");
    ck_assert_int_eq(find_all(10205, "4-6"), 2);
    ck_assert_str_eq(names, "4-6.a.test ");
    ck_assert_str_eq(canonical, "4-6.a.test");
    ck_assert_int_eq(find_all(10205, "nothing"), EAI_NODATA); /* the first answer but "no such name" ends the search */
    ck_assert_str_eq(names, "nothing.a.test ");
}
END_TEST

START_TEST(what_is_no_name_is_not_asked_for) {
    char longest[256];
    memset(longest, 'a', 255);
    longest[255] = '\0';
    const char *const bad[] = {"", ".", "a..", longest};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        ck_assert_int_eq(find_all(10205, bad[i]), EAI_NONAME);
        ck_assert_int_eq(asked, 0);
    }
    ck_assert_int_eq(find_all(10203, "a..b"), EAI_NONAME);
    ck_assert_int_eq(asked, 0);
}
END_TEST

static int query_in(int of_version, const char *name) {
    static unsigned char packet[512];
    struct nd_lookup lookup = {.deadline = ND_NEVER};
    version = of_version;
    h_errno = -7;
    return nd_musl_res(&(struct nd_res_call){.operation = ND_RES_QUERY,
                                             .name = name,
                                             .dns_class = 1,
                                             .type = 1,
                                             .answer = packet,
                                             .size = sizeof packet},
                       &lookup);
}

START_TEST(res_query_says_why_it_fails_from_1_2_2_on) {
    ck_assert_int_gt(query_in(10205, "4.test"), 0);
    ck_assert(query_in(10205, "x4.test") == -1 && h_errno == HOST_NOT_FOUND);
    ck_assert(query_in(10205, "nothing.test") == -1 && h_errno == NO_DATA);
    ck_assert(query_in(10205, "s4.test") == -1 && h_errno == TRY_AGAIN);
    ck_assert_int_gt(query_in(10124, "x4.test"), 0);
    ck_assert_int_gt(query_in(10124, "nothing.test"), 0);
    ck_assert(query_in(10124, "s4.test") == 0 && h_errno == -7);
}
END_TEST

static int host_in(int of_version, const char *name, int *h_err) {
    static char buffer[1000];
    struct nd_lookup lookup = {.deadline = ND_NEVER};
    struct hostent entry, *result;
    version = of_version;
    return nd_musl_gethostbyname2_r(name, AF_INET, &entry, buffer, sizeof buffer, &result, h_err, &lookup);
}

START_TEST(gethostbyname_r_fails_by_version) {
    int h_err = 0;
    ck_assert(host_in(10203, "x4.test", &h_err) == ENOENT && h_err == HOST_NOT_FOUND);
    ck_assert(host_in(10205, "x4.test", &h_err) == 0 && h_err == HOST_NOT_FOUND);
    ck_assert(host_in(10203, "nothing.test", &h_err) == ENOENT && h_err == HOST_NOT_FOUND);
    ck_assert(host_in(10205, "nothing.test", &h_err) == 0 && h_err == NO_DATA);
    ck_assert(host_in(10205, "s4.test", &h_err) == EAGAIN && h_err == TRY_AGAIN);
    ck_assert(host_in(10205, "f4.test", &h_err) == EBADMSG && h_err == NO_RECOVERY);
}
END_TEST

/* musl's freeaddrinfo goes from any node to the first one by the number behind it. */
START_TEST(a_list_is_one_block_as_in_musl) {
    const struct addrinfo hints = {.ai_family = AF_UNSPEC};
    struct nd_lookup lookup = {.deadline = ND_NEVER};
    struct addrinfo *list;
    const size_t node = sizeof(struct addrinfo) + sizeof(struct sockaddr_in6) + sizeof(int) + 2 * sizeof(short);
    const size_t size = (node + sizeof(void *) - 1) / sizeof(void *) * sizeof(void *);
    version = 10124;
    ck_assert_int_eq(nd_musl_getaddrinfo("4-6.test", "80", &hints, &list, &lookup), 0);
    int n = 0;
    for (struct addrinfo *i = list; i; i = i->ai_next, n++) {
        short numbers[2];
        memcpy(numbers, (char *)(i + 1) + sizeof(struct sockaddr_in6) + sizeof(int), sizeof numbers);
        ck_assert_ptr_eq((char *)i, (char *)list + (size_t)n * size);
        ck_assert_ptr_eq((char *)i->ai_addr, (char *)(i + 1));
        ck_assert_int_eq(numbers[0], n);
        ck_assert_int_eq(numbers[1], n == 0 ? 4 : 0);
        ck_assert_str_eq(i->ai_canonname, "4-6.test");
    }
    ck_assert_int_eq(n, 4);
    free(list);
}
END_TEST

void add_tests(TCase *tests) {
    tcase_add_test(tests, both_answers_are_needed_from_1_2_2_on);
    tcase_add_test(tests, a_name_without_addresses_has_a_code_of_its_own_from_1_2_4_on);
    tcase_add_test(tests, long_answers_count_whole_from_1_2_5_on);
    tcase_add_test(tests, the_number_of_addresses_is_limited);
    tcase_add_test(tests, a_damaged_record_ends_the_answer);
    tcase_add_test(tests, the_last_cname_is_the_canonical_name);
    tcase_add_test(tests, the_search_list_is_for_names_without_enough_dots);
    tcase_add_test(tests, what_is_no_name_is_not_asked_for);
    tcase_add_test(tests, res_query_says_why_it_fails_from_1_2_2_on);
    tcase_add_test(tests, gethostbyname_r_fails_by_version);
    tcase_add_test(tests, a_list_is_one_block_as_in_musl);
}
