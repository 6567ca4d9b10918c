/* resolv.conf as musl reads it. */
#include <string.h>

#include "resolver/musl_conf.h"
#include "tests/unit/unit.h"

static struct nd_musl_conf conf;

static void begin(void) {
    conf = (struct nd_musl_conf){.ndots = 1, .attempts = 2, .timeout_s = 5};
}

static void line(const char *text) {
    char copy[256];
    strcpy(copy, text);
    nd_musl_conf_line(&conf, copy);
}

START_TEST(three_servers_count) {
    line("nameserver 192.0.2.1 rest\n");
    line("nameserver\t fe80::1%7\n");
    line("nameserver 192.0.2.300\n");
    line("nameservers 192.0.2.4\n");
    line(" nameserver 192.0.2.5\n");
    line("nameserver 1.2\n");
    line("nameserver 192.0.2.6\n");
    ck_assert_int_eq(conf.server_count, 3);
    ck_assert_int_eq(ntohl(conf.servers[0].v4.sin_addr.s_addr), 0xc0000201);
    ck_assert_int_eq(conf.servers[1].v6.sin6_scope_id, 7);
    ck_assert_int_eq(ntohl(conf.servers[2].v4.sin_addr.s_addr), 0x01000002);
    ck_assert_int_eq(ntohs(conf.servers[2].v4.sin_port), 53);
}
END_TEST

START_TEST(options_have_limits) {
    line("options ndots:99 attempts:99 timeout:99\n");
    ck_assert(conf.ndots == 15 && conf.attempts == 10 && conf.timeout_s == 60);
    line("options ndots:x attempts: timeout:-1\n");
    ck_assert(conf.ndots == 15 && conf.attempts == 10 && conf.timeout_s == 60);
    line("options timeout:3 rotate\n");
    line("options ndots:0\n");
    ck_assert(conf.ndots == 0 && conf.attempts == 10 && nd_musl_patience(&conf) == 3 * ND_SEC);
}
END_TEST

START_TEST(the_last_search_list_counts) {
    line("search a.test b.test\n");
    ck_assert_str_eq(conf.search, "a.test b.test\n");
    line("domain  c.test\n");
    ck_assert_str_eq(conf.search, "c.test\n");
    line("searching d.test\n");
    ck_assert_str_eq(conf.search, "c.test\n");
}
END_TEST

void add_tests(TCase *tests) {
    tcase_add_checked_fixture(tests, begin, NULL);
    tcase_add_test(tests, three_servers_count);
    tcase_add_test(tests, options_have_limits);
    tcase_add_test(tests, the_last_search_list_counts);
}
