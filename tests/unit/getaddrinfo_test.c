/* What getaddrinfo and gethostbyname say by the version of libc. The sources and the name servers are made up here. */
#include <gnu/libc-version.h>
#include <netdb.h>
#include <stdio.h>
#include <string.h>

#include "resolver/gethostby.h"
#include "resolver/host_conf.h"
#include "resolver/hosts.h"
#include "resolver/nscd.h"
#include "resolver/nsswitch.h"
#include "resolver/res_state.h"
#include "resolver/resolver.h"
#include "resolver/stale.h"
#include "tests/unit/unit.h"

static int minor;

const char *gnu_get_libc_version(void) {
    static char text[16];
    snprintf(text, sizeof text, "2.%d", minor);
    return text;
}

const char *nd_nsswitch_hosts(struct nd_sources *sources, const char *name) {
    (void)name;
    *sources = (struct nd_sources){.list = {ND_SOURCE_FILES, ND_SOURCE_DNS}, .count = 2};
    return NULL;
}

const char *nd_nsswitch_services(void) {
    return NULL;
}

const char *nd_host_conf(bool *multi) {
    *multi = false;
    return NULL;
}

bool nd_nscd_name(struct nd_host *host, const char *name, int family, struct nd_lookup *lookup) {
    (void)host, (void)name, (void)family, (void)lookup;
    return false;
}

bool nd_nscd_addresses(struct nd_host *host, const char *name, struct nd_lookup *lookup) {
    (void)host, (void)name, (void)lookup;
    return false;
}

bool nd_nscd_address(struct nd_host *host, const void *address, int family, struct nd_lookup *lookup) {
    (void)host, (void)address, (void)family, (void)lookup;
    return false;
}

struct nd_resolv_conf *nd_conf_for_lookup(void) {
    static struct nd_resolv_conf conf = {.references = 1000};
    return &conf;
}

/* "both" has a line with an IPv4 address, and behind it one with an IPv6 address. */
void nd_hosts_by_name(struct nd_host *host, const char *name, int family, bool multi) {
    static const unsigned char v4[4] = {192, 0, 2, 1}, v6[16] = {0x20, 1, 0xd, 0xb8};
    (void)multi;
    if (strcmp(name, "both") != 0)
        return;
    nd_host_add_address(host, family == AF_INET6 ? AF_INET6 : AF_INET, family == AF_INET6 ? v6 : v4);
    host->status = ND_SUCCESS;
    host->h_err = 0;
}

void nd_hosts_by_address(struct nd_host *host, const void *address, int family) {
    (void)host, (void)address, (void)family;
}

static int questions;

/* No name has an address of the kind that is asked for. */
bool nd_search_or_stale(struct nd_search *search, const char *name) {
    questions++;
    search->h_err = strstr(name, "..") ? NO_RECOVERY : NO_DATA;
    search->error = 0;
    return false;
}

static int look_up(const char *name, int family, int flags, int *count) {
    struct addrinfo hints = {.ai_family = family, .ai_socktype = SOCK_STREAM, .ai_flags = flags}, *list = NULL;
    struct nd_lookup lookup = {.deadline = nd_now() + ND_SEC};
    int code = nd_getaddrinfo(name, NULL, &hints, &list, &lookup);
    *count = 0;
    for (struct addrinfo *i = code ? NULL : list; i; i = i->ai_next)
        ++*count;
    if (code == 0)
        freeaddrinfo(list);
    return code;
}

static const struct {
    int minor, both, one;
} codes[] = {
    {5, EAI_NONAME, EAI_NONAME},  {9, EAI_NODATA, EAI_NONAME},  {17, EAI_NODATA, EAI_NONAME},
    {19, EAI_NODATA, EAI_NONAME}, {25, EAI_NODATA, EAI_NONAME}, {26, EAI_NODATA, EAI_NODATA},
    {36, EAI_NODATA, EAI_NODATA},
};

START_TEST(a_name_without_such_an_address) {
    int count;
    minor = codes[_i].minor;
    ck_assert_int_eq(look_up("a.test", AF_UNSPEC, 0, &count), codes[_i].both);
    ck_assert_int_eq(look_up("a.test", AF_INET6, 0, &count), codes[_i].one);
    ck_assert_int_eq(look_up("a.test", AF_INET6, AI_V4MAPPED, &count), codes[_i].one);
    ck_assert_int_eq(look_up("a.test", AF_INET, AI_CANONNAME, &count), codes[_i].one);
    ck_assert_int_eq(look_up("a.test", AF_INET, 0, &count), codes[_i].one);
}
END_TEST

START_TEST(both_families_of_a_hosts_file) {
    int count;
    minor = 5;
    ck_assert_int_eq(look_up("both", AF_UNSPEC, 0, &count), 0);
    ck_assert_int_eq(count, 2);
    minor = 12;
    ck_assert_int_eq(look_up("both", AF_UNSPEC, 0, &count), 0);
    ck_assert_int_eq(count, 1);
    minor = 5;
    ck_assert_int_eq(look_up("both", AF_INET, 0, &count), 0);
    ck_assert_int_eq(count, 1);
}
END_TEST

static int h_errno_of(const char *name) {
    struct nd_lookup lookup = {.deadline = nd_now() + ND_SEC};
    ck_assert_ptr_null(nd_gethostbyname(name, &lookup));
    return h_errno;
}

START_TEST(what_is_no_host_name) {
    minor = 28;
    ck_assert_int_eq(h_errno_of("a..b"), NO_RECOVERY);
    ck_assert_int_eq(questions, 1);
    minor = 29;
    ck_assert_int_eq(h_errno_of("a..b"), HOST_NOT_FOUND);
    ck_assert_int_eq(questions, 1);
}
END_TEST

void add_tests(TCase *tests) {
    tcase_add_loop_test(tests, a_name_without_such_an_address, 0, (int)(sizeof codes / sizeof codes[0]));
    tcase_add_test(tests, both_families_of_a_hosts_file);
    tcase_add_test(tests, what_is_no_host_name);
}
