#include "shim/settings/rules.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/un.h>

#include "shim/settings/environment.h"
#include "tests/unit/unit.h"

static struct nd_rules rules;
static struct nd_settings settings;

static void ignore(const char *text, void *arg) {
    (void)text, (void)arg;
}

static void start(void) {
    memset(&rules, 0, sizeof rules);
    nd_settings_defaults(&settings);
    nd_rules_start(&rules, &settings, NULL, "x.conf", ignore, NULL);
}

static unsigned row_of(const char *name) {
    const struct nd_setting *setting = nd_setting_find(name, strlen(name));
    ck_assert_ptr_nonnull(setting);
    return (unsigned)(setting - nd_setting_table);
}

/* Adds a rule without values, at the line after the last one's. Returns its index. */
static unsigned add_rule(const char *endpoint, bool inbound, uint32_t rank) {
    struct nd_rule *rule = &rules.rules[rules.count];
    *rule = (struct nd_rule){.rank = rank, .line = (uint16_t)(10 * (rules.count + 1)), .inbound = inbound};
    ck_assert_ptr_null(nd_endpoint_parse((struct nd_word){endpoint, strlen(endpoint)}, &rule->where));
    rule->first = (uint16_t)rules.value_count;
    rules.has_names |= rule->where.kind == ND_ENDPOINT_NAME;
    return rules.count++;
}

/* Adds a value to the last rule, at the line behind the rule's. */
static void add_value(const char *setting, int64_t value, int64_t window) {
    struct nd_rule *rule = &rules.rules[rules.count - 1];
    rules.values[rules.value_count++] = (struct nd_rule_value){
        .value = {value, window}, .line = (uint16_t)(rule->line + ++rule->count), .setting = (uint8_t)row_of(setting)};
}

/* Adds a rule that sets RECV to so many seconds. */
static unsigned add_recv(const char *endpoint, uint32_t rank, int seconds) {
    unsigned made = add_rule(endpoint, false, rank);
    add_value("RECV", seconds * ND_SEC, 0);
    return made;
}

static struct nd_rule_set rules_at(bool inbound, const char *address, uint16_t port, const char *name) {
    struct nd_endpoint_address at = {.port = port};
    char mapped[64] = "::ffff:";
    if (inet_pton(AF_INET6, address, &at.address) != 1)
        ck_assert_int_eq(inet_pton(AF_INET6, strcat(mapped, address), &at.address), 1);
    struct nd_rule_set named = nd_rules_named(&rules, name ? name : "");
    return nd_rules_at(&rules, inbound, &at, name ? &named : NULL);
}

static struct nd_rule_set rules_at_path(bool inbound, const char *path) {
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    size_t size = strlen(path);
    memcpy(address.sun_path, path, size);
    if (path[0] == '@')
        address.sun_path[0] = '\0';
    return nd_rules_at_path(&rules, inbound, (struct sockaddr *)&address,
                            (socklen_t)(offsetof(struct sockaddr_un, sun_path) + size));
}

/* The indices of the rules in a set, as digits. */
static const char *indices(struct nd_rule_set set) {
    static char text[ND_RULES_MOST + 1];
    size_t length = 0;
    for (unsigned i = 0; i < rules.count; i++)
        if (nd_rule_set_has(&set, i))
            text[length++] = (char)('0' + i);
    text[length] = '\0';
    return text;
}

START_TEST(an_address_and_its_port_must_match) {
    add_rule("10.0.0.0/8", false, 0);
    add_rule("10.0.0.1:80", false, 0);
    add_rule("*:80", false, 0);
    add_rule("2001:db8::/32", false, 0);
    add_rule("*", false, 0);
    ck_assert_str_eq(indices(rules_at(false, "10.0.0.1", 80, NULL)), "0124");
    ck_assert_str_eq(indices(rules_at(false, "10.0.0.1", 81, NULL)), "04");
    ck_assert_str_eq(indices(rules_at(false, "11.0.0.1", 80, NULL)), "24");
    ck_assert_str_eq(indices(rules_at(false, "2001:db8:1::1", 1, NULL)), "34");
    ck_assert_str_eq(indices(rules_at(false, "2001:db9::1", 1, NULL)), "4");
}
END_TEST

START_TEST(a_rule_is_for_one_direction) {
    add_rule("10.0.0.0/8", false, 0);
    add_rule("10.0.0.0/8", true, 0);
    add_rule("unix:/run/x", true, 0);
    ck_assert_str_eq(indices(rules_at(false, "10.0.0.1", 80, NULL)), "0");
    ck_assert_str_eq(indices(rules_at(true, "10.0.0.1", 80, NULL)), "1");
    ck_assert_str_eq(indices(rules_at_path(true, "/run/x")), "2");
    ck_assert_str_eq(indices(rules_at_path(false, "/run/x")), "");
}
END_TEST

START_TEST(a_name_holds_for_the_addresses_it_was_resolved_to) {
    add_rule("db.example.com", false, 0);
    add_rule("*.example.com:443", false, 0);
    add_rule("example.com", false, 0);
    ck_assert_str_eq(indices(nd_rules_named(&rules, "DB.example.com.")), "01");
    ck_assert_str_eq(indices(rules_at(false, "10.0.0.1", 443, "db.example.com")), "01");
    ck_assert_str_eq(indices(rules_at(false, "10.0.0.1", 80, "db.example.com")), "0");
    ck_assert_str_eq(indices(rules_at(false, "10.0.0.1", 443, "example.com")), "2");
    ck_assert_str_eq(indices(rules_at(false, "10.0.0.1", 443, NULL)), "");
}
END_TEST

START_TEST(without_rules_for_names_none_is_compared) {
    add_rule("db.example.com", false, 0);
    rules.has_names = false;
    ck_assert_str_eq(indices(nd_rules_named(&rules, "db.example.com")), "");
}
END_TEST

START_TEST(a_path_is_compared_whole_or_by_its_pattern) {
    add_rule("unix:/run/db.sock", false, 0);
    add_rule("unix:/run/*", false, 0);
    add_rule("unix:@abstract", false, 0);
    add_rule("*", false, 0);
    add_rule("*:80", false, 0); /* a path has no port */
    ck_assert_str_eq(indices(rules_at_path(false, "/run/db.sock")), "013");
    ck_assert_str_eq(indices(rules_at_path(false, "/run/db.sock2")), "13");
    ck_assert_str_eq(indices(rules_at_path(false, "@abstract")), "23");
    ck_assert_str_eq(indices(rules_at_path(false, "/abstract")), "3");
}
END_TEST

START_TEST(each_value_of_the_rules_replaces_its_setting) {
    uint16_t sources[ND_RULES_MOST_SETTINGS] = {0};
    add_rule("*", false, 0);
    add_value("SEND", 3 * ND_SEC, 0);
    add_value("MIN_RATE", 2048, ND_SEC);
    add_value("TLS_SHUTDOWN", 0, 0);
    struct nd_rule_set set = rules_at(false, "10.0.0.1", 1, NULL), none = {{0}};
    nd_rules_apply(&rules, &none, 0, &settings, sources);
    ck_assert_int_eq(settings.outbound.send, 0);
    nd_rules_apply(&rules, &set, 0, &settings, sources);
    ck_assert_int_eq(settings.outbound.send, 3 * ND_SEC);
    ck_assert_uint_eq(settings.outbound.min_rate_bytes, 2048);
    ck_assert_int_eq(settings.outbound.min_rate_window, ND_SEC);
    ck_assert_int_eq(settings.outbound.tls_shutdown, 0);
    ck_assert_int_eq(settings.outbound.tls_handshake, 10 * ND_SEC);
    ck_assert_uint_eq(sources[row_of("SEND")], 11);
    ck_assert_uint_eq(sources[row_of("MIN_RATE")], 12);
    ck_assert_uint_eq(sources[row_of("TLS_SHUTDOWN")], 13);
    ck_assert_uint_eq(sources[row_of("RECV")], 0);
}
END_TEST

START_TEST(kept_rows_are_not_replaced) {
    uint16_t sources[ND_RULES_MOST_SETTINGS] = {0};
    add_recv("*", 0, 3);
    add_value("SEND", 3 * ND_SEC, 0);
    struct nd_rule_set set = rules_at(false, "10.0.0.1", 1, NULL);
    nd_rules_apply(&rules, &set, (uint64_t)1 << row_of("RECV"), &settings, sources);
    ck_assert_int_eq(settings.outbound.recv, 0);
    ck_assert_int_eq(settings.outbound.send, 3 * ND_SEC);
    ck_assert_uint_eq(sources[row_of("RECV")], 0);
    ck_assert_uint_eq(sources[row_of("SEND")], 12);
}
END_TEST

/* The rule's value that holds for an address, in seconds; *line: where it stands. */
static int recv_at(const char *address, uint16_t *line) {
    uint16_t sources[ND_RULES_MOST_SETTINGS] = {0};
    struct nd_rule_set set = rules_at(false, address, 1, NULL);
    struct nd_settings made = settings;
    nd_rules_apply(&rules, &set, 0, &made, sources);
    *line = sources[row_of("RECV")];
    return (int)(made.outbound.recv / ND_SEC);
}

START_TEST(the_higher_rank_holds_and_of_equals_the_later_line) {
    uint16_t line;
    add_recv("10.0.0.0/8", 5, 1);
    add_recv("10.1.0.0/16", 9, 2);
    add_recv("10.0.0.0/9", 7, 3);
    add_recv("10.1.0.0/17", 9, 4);
    add_recv("*", 0, 5);
    nd_rules_finish(&rules);
    for (unsigned i = 1; i < rules.count; i++)
        ck_assert(rules.rules[i - 1].rank < rules.rules[i].rank ||
                  (rules.rules[i - 1].rank == rules.rules[i].rank && rules.rules[i - 1].line < rules.rules[i].line));
    ck_assert_int_eq(recv_at("11.0.0.1", &line), 5);
    ck_assert_uint_eq(line, 51);
    ck_assert_int_eq(recv_at("10.128.0.1", &line), 1);
    ck_assert_int_eq(recv_at("10.2.0.1", &line), 3);
    ck_assert_int_eq(recv_at("10.1.0.1", &line), 4);
    ck_assert_uint_eq(line, 41);
    ck_assert_int_eq(recv_at("10.1.128.1", &line), 2);
}
END_TEST

/* The ranks that the parser gives; each endpoint is narrower than the one before. */
START_TEST(the_narrower_endpoint_has_the_higher_rank) {
    static const char *const endpoints[] = {
        "*",     "*:443",         "10.0.0.0/8",     "10.0.0.0/8:1",  "10.0.0.1",       "10.0.0.1:1",
        "*.com", "*.example.com", "a*.example.com", "a.example.com", "a.example.com:1"};
    char line[64];
    for (size_t i = 0; i < sizeof endpoints / sizeof *endpoints; i++) {
        unsigned made = rules.count;
        nd_rules_take_line(&rules, line, (size_t)sprintf(line, "[destination %s]", endpoints[i]), (unsigned)i + 1);
        nd_rules_take_line(&rules, "RECV = 1s", 9, (unsigned)i + 1);
        ck_assert(made == 0 || rules.rules[made].rank > rules.rules[made - 1].rank);
    }
}
END_TEST

START_TEST(the_environment_replaces_the_file_and_is_noted) {
    char *environment[] = {"NETDEADLINE_RECV=7s", "NETDEADLINE_UNACKED=30s", NULL};
    rules.base_line[row_of("INBOUND_UNACKED")] = 4;
    settings.inbound.unacked = 5 * ND_SEC;
    nd_rules_take_environment(&rules, environment);
    nd_rules_finish(&rules);
    ck_assert_int_eq(settings.outbound.recv, 7 * ND_SEC);
    ck_assert_int_eq(settings.inbound.unacked, 5 * ND_SEC); /* the file has set it */
    ck_assert(rules.from_environment == ((uint64_t)1 << row_of("RECV") | (uint64_t)1 << row_of("UNACKED")));
}
END_TEST

START_TEST(inbound_unacked_takes_the_value_of_unacked) {
    settings.outbound.unacked = 9 * ND_SEC;
    nd_rules_take_environment(&rules, NULL);
    nd_rules_finish(&rules);
    ck_assert_int_eq(settings.inbound.unacked, 9 * ND_SEC);
}
END_TEST

void add_tests(TCase *tests) {
    tcase_add_checked_fixture(tests, start, NULL);
    tcase_add_test(tests, an_address_and_its_port_must_match);
    tcase_add_test(tests, a_rule_is_for_one_direction);
    tcase_add_test(tests, a_name_holds_for_the_addresses_it_was_resolved_to);
    tcase_add_test(tests, without_rules_for_names_none_is_compared);
    tcase_add_test(tests, a_path_is_compared_whole_or_by_its_pattern);
    tcase_add_test(tests, each_value_of_the_rules_replaces_its_setting);
    tcase_add_test(tests, kept_rows_are_not_replaced);
    tcase_add_test(tests, the_higher_rank_holds_and_of_equals_the_later_line);
    tcase_add_test(tests, the_narrower_endpoint_has_the_higher_rank);
    tcase_add_test(tests, the_environment_replaces_the_file_and_is_noted);
    tcase_add_test(tests, inbound_unacked_takes_the_value_of_unacked);
}
