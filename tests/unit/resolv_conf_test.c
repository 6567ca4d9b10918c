#include "resolver/resolv_conf.h"

#include <arpa/inet.h>
#include <gnu/libc-version.h>
#include <string.h>

#include "tests/unit/unit.h"

static struct nd_resolv_conf *conf;
static const char *version = "2.36";

const char *gnu_get_libc_version(void) {
    return version;
}

static void read_with(const char *text, const char *localdomain, const char *options, const char *hostname) {
    nd_resolv_conf_put(conf);
    conf = nd_resolv_conf_parse(text, strlen(text), localdomain, options, hostname);
    ck_assert_ptr_nonnull(conf);
}

static void read_text(const char *text) {
    read_with(text, NULL, NULL, NULL);
}

static const char *server(int i) {
    static char text[INET6_ADDRSTRLEN];
    const union nd_server *s = &conf->servers[i];
    bool v4 = s->sa.sa_family == AF_INET;
    return inet_ntop(s->sa.sa_family, v4 ? (const void *)&s->v4.sin_addr : &s->v6.sin6_addr, text, sizeof text);
}

START_TEST(has_the_defaults_of_libc) {
    read_text("");
    ck_assert_int_eq(conf->server_count, 1);
    ck_assert_str_eq(server(0), "127.0.0.1");
    ck_assert_int_eq(ntohs(conf->servers[0].v4.sin_port), 53);
    ck_assert_int_eq(conf->ndots, 1);
    ck_assert_int_eq(conf->timeout_s, 5);
    ck_assert_int_eq(conf->attempts, 2);
    ck_assert_uint_eq(conf->search_count, 0);
    ck_assert_ptr_null(conf->libc_why);
}
END_TEST

START_TEST(takes_three_servers_that_can_be_read) {
    read_text(
        "nameserver 1.2.3.4.5\nnameserver 10.1 rest\nnameserver\t::1\nnameserver fe80::1%1\nnameserver 4.4.4.4\n");
    ck_assert_int_eq(conf->server_count, 3);
    ck_assert_str_eq(server(0), "10.0.0.1");
    ck_assert_str_eq(server(1), "::1");
    ck_assert_str_eq(server(2), "fe80::1");
    ck_assert_uint_eq(conf->servers[2].v6.sin6_scope_id, 1);
}
END_TEST

START_TEST(the_last_search_or_domain_counts) {
    read_text("search a b  c\ndomain d e\n");
    ck_assert_uint_eq(conf->search_count, 1);
    ck_assert_str_eq(conf->search[0], "d");
    read_text("domain d\nsearch\ta b\n search x\n#search y\nsearch \n");
    ck_assert_uint_eq(conf->search_count, 2);
    ck_assert_str_eq(conf->search[1], "b");
    ck_assert_ptr_null(conf->search[2]);
}
END_TEST

START_TEST(inet6_is_an_option_of_old_versions) {
    read_text("options inet6 rotate\n");
    ck_assert(conf->rotate && !conf->inet6);
    ck_assert_ptr_null(conf->libc_why);
    version = "2.19";
    read_text("options inet6 rotate\n");
    ck_assert(conf->rotate && conf->inet6);
    ck_assert_ptr_nonnull(conf->libc_why);
}
END_TEST

START_TEST(the_environment_overrides) {
    read_with("search a\noptions ndots:4\n", "x y", "ndots:2 rotate", "host.domain");
    ck_assert_uint_eq(conf->search_count, 2);
    ck_assert_str_eq(conf->search[0], "x");
    ck_assert_int_eq(conf->ndots, 2);
    ck_assert(conf->rotate);
    read_with("search a\n", " \tx\ty\nz", NULL, "host.domain"); /* the first domain is empty */
    ck_assert_uint_eq(conf->search_count, 3);
    ck_assert_str_eq(conf->search[0], "");
    ck_assert_str_eq(conf->search[1], "x");
    ck_assert_str_eq(conf->search[2], "y");
    read_with("search a\n", "", NULL, "host.domain");
    ck_assert_uint_eq(conf->search_count, 1);
    ck_assert_str_eq(conf->search[0], "");
    read_with("", NULL, NULL, "host.some.domain");
    ck_assert_str_eq(conf->search[0], "some.domain");
}
END_TEST

START_TEST(options_have_libc_s_limits) {
    read_text("options ndots:99 timeout:99 attempts:99\n");
    ck_assert_int_eq(conf->ndots, 15);
    ck_assert_int_eq(conf->timeout_s, 30);
    ck_assert_int_eq(conf->attempts, 5);
    read_text("options ndots:-1\n");
    ck_assert_int_eq(conf->ndots, 15);
    read_text("options use-vc edns0 trust-ad no-aaaa single-request-reopen no-tld-query no-reload\n");
    ck_assert(conf->use_vc && conf->edns0 && conf->trust_ad && conf->no_aaaa && conf->no_tld_query);
    ck_assert(conf->single_request_reopen && !conf->single_request);
    ck_assert_ptr_null(conf->libc_why);
}
END_TEST

START_TEST(leaves_to_libc_what_it_does_not_know) {
    read_text("options strict-error\n");
    ck_assert_ptr_nonnull(conf->libc_why);
    read_text("options something-new\nstrange words\noptionsx ndots:3\n\xff\n");
    ck_assert_ptr_null(conf->libc_why);
}
END_TEST

START_TEST(reads_the_sortlist) {
    static const uint32_t expected[][2] = {{0x0a000000, 0xff000000}, {0xac100000, 0xffff0000},
                                           {0xc0000200, 0xffffff80}, {0xc0000300, 0xffffff00},
                                           {11, 0xffff0000},         {0x0a000001, 0xff000000}};
    read_text("sortlist 10.0.0.0 172.16.0.0\t192.0.2.0/255.255.255.128 no 192.0.3.0/none 11&255.255.0.0 ;12.0.0.0\n"
              "sortlist\nsortlist \xff\n\nsortlist 10.1\n");
    ck_assert_uint_eq(conf->sortlist.count, sizeof expected / sizeof *expected);
    for (size_t i = 0; i < conf->sortlist.count; i++) {
        ck_assert_uint_eq(conf->sortlist.entries[i].address, expected[i][0]);
        ck_assert_uint_eq(conf->sortlist.entries[i].mask, expected[i][1]);
    }
}
END_TEST

START_TEST(many_search_domains_are_kept) {
    char text[4096] = "search";
    for (int i = 0; i < 500; i++)
        strcat(text, " d.x");
    read_text(text);
    ck_assert_uint_eq(conf->search_count, 500);
}
END_TEST

void add_tests(TCase *tests) {
    tcase_add_test(tests, has_the_defaults_of_libc);
    tcase_add_test(tests, takes_three_servers_that_can_be_read);
    tcase_add_test(tests, the_last_search_or_domain_counts);
    tcase_add_test(tests, inet6_is_an_option_of_old_versions);
    tcase_add_test(tests, the_environment_overrides);
    tcase_add_test(tests, options_have_libc_s_limits);
    tcase_add_test(tests, leaves_to_libc_what_it_does_not_know);
    tcase_add_test(tests, reads_the_sortlist);
    tcase_add_test(tests, many_search_domains_are_kept);
}
