/* What the command makes of counters: sections for the config file, which its parser must take, and histograms. */
#include "cli/statistics.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/program_name.h"
#include "shim/report/operations.h"
#include "shim/settings/environment.h"
#include "shim/settings/rules.h"
#include "shim/settings/settings.h"
#include "tests/unit/unit.h"

enum { MOST = 4 };

static struct block_counters counters[MOST][ND_OPERATIONS];
static char names[ND_OPERATIONS][ND_OPERATION_NAME];
static struct process_statistics processes[MOST];
static struct statistics statistics;
static struct nd_live_row setting;
static char *text;
static size_t length;

static void start(void) {
    memset(counters, 0, sizeof counters);
    memcpy(names, nd_operation_names, sizeof names);
    setting = (struct nd_live_row){.name = "RECV", .now = {.value = 3 * ND_SEC}};
    for (int i = 0; i < MOST; i++)
        processes[i] = (struct process_statistics){.pid = getpid(),
                                                   .program = "statistics_test",
                                                   .operations = ND_OPERATIONS,
                                                   .counters = counters[i],
                                                   .names = names,
                                                   .settings = &setting,
                                                   .setting_count = 1};
    statistics = (struct statistics){.processes = processes, .count = 1};
}

static void finish(void) {
    free(text);
    text = NULL;
}

/* `waits` that took as long as the bucket's bound. */
static void count(struct block_counters *of, uint64_t waits, int bucket) {
    const uint64_t bound = nd_bucket_ms[bucket] * (uint64_t)ND_MSEC;
    of->buckets[bucket] += waits;
    of->done += waits;
    of->total += waits * bound;
    of->longest = bound > of->longest ? bound : of->longest;
}

static const char *config(void) {
    free(text);
    FILE *to = open_memstream(&text, &length);
    statistics_print_config(&statistics, to);
    fclose(to);
    return text;
}

static void abort_on(const char *mistake, void *arg) {
    ck_abort_msg("%s in %s", mistake, (const char *)arg);
}

/* What a program of this name gets of the text, read as the config file. */
static struct nd_settings read_back(const char *program_name) {
    static struct nd_rules rules;
    static struct nd_settings settings;
    struct nd_program program;
    unsigned number = 0;
    nd_program_named(&program, program_name);
    memset(&rules, 0, sizeof rules);
    nd_settings_defaults(&settings);
    nd_rules_start(&rules, &settings, &program, "text", abort_on, text);
    for (const char *line = text; *line;) {
        size_t size = strcspn(line, "\n");
        nd_rules_take_line(&rules, line, size, ++number);
        line += size + 1;
    }
    nd_rules_finish(&rules);
    return settings;
}

START_TEST(config_is_read_by_its_parser) {
    count(&counters[0][ND_OPERATION_recv], 1000, 6);
    count(&counters[0][ND_OPERATION_SSL_read], 10, 11); /* few, but they count: 5 s */
    count(&counters[0][ND_OPERATION_gnutls_record_recv], 5, 3);
    count(&counters[0][ND_OPERATION_getaddrinfo], 30, 3);
    count(&counters[0][ND_OPERATION_SSL_accept], 30, 9);
    count(&counters[0][ND_OPERATION_connect], 19, 3);
    config();
    struct nd_settings got = read_back("statistics_test");
    ck_assert_int_eq(got.outbound.recv, 15 * ND_SEC);
    ck_assert_int_eq(got.resolve, ND_SEC);
    ck_assert_int_eq(got.inbound.tls_handshake, 3 * ND_SEC);
    ck_assert_int_eq(got.outbound.tls_handshake, 10 * ND_SEC);
    ck_assert_int_eq(got.connect, 10 * ND_SEC); /* too few to tell */
    ck_assert_ptr_nonnull(
        strstr(text, "# 1015 waits, the longest 5s (recv 1000, SSL_read 10, gnutls_record_recv 5)\nRECV = 15s\n"));
    ck_assert_ptr_nonnull(strstr(text, "no CONNECT: too few to tell"));
    got = read_back("another");
    ck_assert_int_eq(got.outbound.recv, 0);
}
END_TEST

START_TEST(config_has_one_section_for_a_program) {
    statistics.count = 3;
    for (int i = 0; i < 3; i++)
        count(&counters[i][ND_OPERATION_recv], 10, 6 + i);
    config();
    ck_assert_ptr_nonnull(strstr(text, "# counted in 3 processes\n"));
    ck_assert_ptr_eq(strstr(strstr(text, "[program") + 1, "[program"), NULL);
    const struct nd_settings got = read_back("statistics_test");
    ck_assert_int_eq(got.outbound.recv, 2 * ND_SEC);
}
END_TEST

START_TEST(config_suggests_no_limit_for_hours_nor_for_listeners) {
    count(&counters[0][ND_OPERATION_recv], 1000, 3);
    counters[0][ND_OPERATION_epoll_wait].buckets[ND_BUCKETS] = counters[0][ND_OPERATION_epoll_wait].done = 100;
    counters[0][ND_OPERATION_epoll_wait].longest = 9 * (uint64_t)3600 * ND_SEC;
    count(&counters[0][ND_OPERATION_accept], 100, 3);
    config();
    const struct nd_settings got = read_back("statistics_test");
    ck_assert_int_eq(got.outbound.recv, 0);
    ck_assert_int_eq(got.accept, 0);
    ck_assert_ptr_nonnull(strstr(text, "no RECV: some took hours"));
    ck_assert_ptr_nonnull(strstr(text, "# ACCEPT = 1s"));
}
END_TEST

START_TEST(config_of_nothing_is_read_too) {
    config();
    read_back("statistics_test");
}
END_TEST

START_TEST(patterns_match_the_names_they_are_made_of) {
    static const char *const odd[] = {"a b", "x,y", "#", "[z]", "program", "inbound", "d\303\251j\303\240",
                                      "*",   "a;",  "\n"};
    char pattern[64];
    for (size_t i = 0; i < sizeof odd / sizeof odd[0]; i++) {
        program_name_as_pattern(odd[i], pattern, sizeof pattern);
        finish();
        text = malloc(128);
        snprintf(text, 128, "[program %s]\nRECV = 7s\n", pattern);
        const struct nd_settings got = read_back(odd[i]);
        ck_assert_msg(got.outbound.recv == 7 * ND_SEC, "%s as %s", odd[i], pattern);
    }
}
END_TEST

START_TEST(knows_its_own_program) {
    char name[64];
    program_name_of(getpid(), name, sizeof name);
    ck_assert_str_eq(name, "statistics_test");
}
END_TEST

static const char *histogram(const char *operation) {
    free(text);
    FILE *to = open_memstream(&text, &length);
    ck_assert(statistics_print_histogram(&statistics, operation, to));
    fclose(to);
    return text;
}

/* The bars, from the first line with one to the last, the marks of the limits between them. */
START_TEST(draws_a_histogram_with_the_limits) {
    count(&counters[0][ND_OPERATION_recv], 600, 9);
    count(&counters[0][ND_OPERATION_recv], 150, 10);
    counters[0][ND_OPERATION_recv].expired = 2;
    ck_assert_str_eq(histogram("recv") + strcspn(text, "\n") + 1,
                     "       <= 1s       600  ########################################################\n"
                     "       <= 2s       150  ##############\n"
                     "       <= 5s         0\n"
                     "  ---------- RECV=3s is set\n"
                     "      <= 10s         0\n"
                     "  ---------- RECV=10s would suit\n");
    ck_assert_ptr_nonnull(strstr(text, "750 waits ended by themselves, 2 at a deadline; the longest 2s\n"));
}
END_TEST

START_TEST(draws_the_longest_of_all) {
    count(&counters[0][ND_OPERATION_send], 1, 0);
    counters[0][ND_OPERATION_send].buckets[ND_BUCKETS] = 1;
    counters[0][ND_OPERATION_send].done++;
    ck_assert_ptr_nonnull(strstr(histogram("send"), "      longer         1  #"));
    ck_assert(!statistics_print_histogram(&statistics, "recv", stdout));
}
END_TEST

void add_tests(TCase *tests) {
    tcase_add_checked_fixture(tests, start, finish);
    tcase_add_test(tests, config_is_read_by_its_parser);
    tcase_add_test(tests, config_has_one_section_for_a_program);
    tcase_add_test(tests, config_suggests_no_limit_for_hours_nor_for_listeners);
    tcase_add_test(tests, config_of_nothing_is_read_too);
    tcase_add_test(tests, patterns_match_the_names_they_are_made_of);
    tcase_add_test(tests, knows_its_own_program);
    tcase_add_test(tests, draws_a_histogram_with_the_limits);
    tcase_add_test(tests, draws_the_longest_of_all);
}
