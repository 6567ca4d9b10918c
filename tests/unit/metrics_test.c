/* Counts that are kept beyond the end of their process. The processes are made up: /proc knows none of their numbers,
 * but for this process's own. */
#include "cli/metrics.h"

#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/config_section.h"
#include "cli/process/unit_name.h"
#include "tests/unit/unit.h"

enum { MOST = 3, NOBODY = 1 << 23 }; /* more than a process ID can be */

static struct block_counters counters[MOST][ND_OPERATIONS];
static char names[ND_OPERATIONS][ND_OPERATION_NAME];
static struct process_statistics processes[METRICS_MOST_GROUPS + 10];
static struct block_expiry expiries[2];
static struct nd_live_row settings[MOST];
static struct statistics statistics;
static struct metrics metrics;

static void start(void) {
    memset(counters, 0, sizeof counters);
    memcpy(names, nd_operation_names, sizeof names);
    for (int i = 0; i < MOST; i++) {
        settings[i] = (struct nd_live_row){.name = "RECV", .now = {.value = (10 - i) * ND_SEC}};
        processes[i] = (struct process_statistics){.pid = NOBODY + i,
                                                   .program = "daemon",
                                                   .library = "1.2",
                                                   .operations = ND_OPERATIONS,
                                                   .counters = counters[i],
                                                   .names = names,
                                                   .settings = &settings[i],
                                                   .setting_count = 1,
                                                   .identity = {.started = (uint64_t)i + 1, .code = 1, .stack = 1}};
    }
    statistics = (struct statistics){.processes = processes, .count = 1};
    metrics = (struct metrics){.by_process = false};
}

static void finish(void) {
    metrics_free(&metrics);
}

/* What was counted of the operation, in the group of this number. */
static const struct block_counters *sum(size_t group, const char *name) {
    static const struct block_counters none;
    for (size_t i = 0; group < metrics.group_count && i < metrics.groups[group].operation_count; i++)
        if (strcmp(metrics.groups[group].operations[i].name, name) == 0)
            return &metrics.groups[group].operations[i].counters;
    return &none;
}

static void count(int process, uint64_t waits) {
    counters[process][ND_OPERATION_recv].buckets[3] += waits;
    counters[process][ND_OPERATION_recv].done += waits;
    counters[process][ND_OPERATION_recv].total += waits * ND_MSEC;
}

START_TEST(sums_up_processes_of_a_program) {
    statistics.count = 3;
    for (int i = 0; i < 3; i++) {
        count(i, 5);
        counters[i][ND_OPERATION_recv].expired = 1;
        counters[i][ND_OPERATION_recv].stale = 2;
        counters[i][ND_OPERATION_recv].longest = (uint64_t)i;
        processes[i].waiting = 2;
        processes[i].oldest = i * ND_SEC;
    }
    metrics_take(&metrics, &statistics);
    metrics_take(&metrics, &statistics); /* nothing new */
    ck_assert_uint_eq(metrics.group_count, 1);
    ck_assert_uint_eq(sum(0, "recv")->done, 15);
    ck_assert_uint_eq(sum(0, "recv")->buckets[3], 15);
    ck_assert_uint_eq(sum(0, "recv")->expired, 3);
    ck_assert_uint_eq(sum(0, "recv")->stale, 6);
    ck_assert_uint_eq(sum(0, "recv")->longest, 2);
    ck_assert_uint_eq(sum(0, "recv")->total, 15 * ND_MSEC);
    ck_assert_uint_eq(metrics.groups[0].processes, 3);
    ck_assert_uint_eq(metrics.groups[0].waiting, 6);
    ck_assert_int_eq(metrics.groups[0].oldest, 2 * ND_SEC);
    const struct nd_setting *recv_setting = nd_setting_find("RECV", 4);
    ck_assert_int_eq(metrics.groups[0].limits[recv_setting - nd_setting_table], 8 * ND_SEC);
}
END_TEST

START_TEST(counts_outlive_their_process) {
    statistics.count = 2;
    count(0, 5);
    count(1, 7);
    metrics_take(&metrics, &statistics);
    statistics.count = 1;
    count(0, 1);
    metrics_take(&metrics, &statistics);
    ck_assert_uint_eq(sum(0, "recv")->done, 13);
    ck_assert_uint_eq(metrics.groups[0].processes, 1);
    statistics.count = 0;
    metrics_take(&metrics, &statistics);
    ck_assert_uint_eq(sum(0, "recv")->done, 13);
    ck_assert_uint_eq(metrics.groups[0].processes, 0);
    ck_assert_uint_eq(metrics.seen_count, 0);
}
END_TEST

START_TEST(another_process_of_the_same_number_counts_anew) {
    count(0, 5);
    metrics_take(&metrics, &statistics);
    processes[0].identity.started++;
    metrics_take(&metrics, &statistics);
    ck_assert_uint_eq(sum(0, "recv")->done, 10);
    processes[0].identity.stack++; /* it has executed a program */
    metrics_take(&metrics, &statistics);
    ck_assert_uint_eq(sum(0, "recv")->done, 15);
}
END_TEST

START_TEST(counters_may_wrap) {
    count(0, UINT32_MAX - 1);
    metrics_take(&metrics, &statistics);
    counters[0][ND_OPERATION_recv].buckets[3] = 3; /* five later */
    counters[0][ND_OPERATION_recv].done = 3;
    metrics_take(&metrics, &statistics);
    ck_assert_uint_eq(sum(0, "recv")->done, (uint64_t)UINT32_MAX + 4);
}
END_TEST

/* It is not new the next time: its counts would be added twice. */
START_TEST(a_process_that_cannot_be_read_once_is_still_known) {
    count(0, 5);
    processes[0].pid = getpid();
    processes[0].identity = process_identity(getpid());
    metrics_take(&metrics, &statistics);
    statistics.count = 0;
    metrics_take(&metrics, &statistics);
    ck_assert_uint_eq(metrics.seen_count, 1);
    statistics.count = 1;
    count(0, 2);
    metrics_take(&metrics, &statistics);
    ck_assert_uint_eq(sum(0, "recv")->done, 7);
}
END_TEST

START_TEST(a_program_that_counted_nothing_is_forgotten) {
    metrics_take(&metrics, &statistics);
    ck_assert_uint_eq(metrics.group_count, 1);
    statistics.count = 0;
    metrics_take(&metrics, &statistics);
    ck_assert_uint_eq(metrics.group_count, 0);
}
END_TEST

START_TEST(series_of_a_process_end_with_it) {
    metrics.by_process = true;
    statistics.count = 2;
    count(0, 5);
    count(1, 5);
    metrics_take(&metrics, &statistics);
    ck_assert_uint_eq(metrics.group_count, 2);
    ck_assert_int_eq(metrics.groups[1].pid, NOBODY + 1);
    statistics.count = 1;
    metrics_take(&metrics, &statistics);
    ck_assert_uint_eq(metrics.group_count, 1);
}
END_TEST

START_TEST(programs_without_number_are_summed_up) {
    count(0, 1);
    for (int i = 0; i < METRICS_MOST_GROUPS + 10; i++) {
        processes[i] = processes[0];
        processes[i].pid = NOBODY + i;
        snprintf(processes[i].program, sizeof processes[i].program, "p%d", i);
    }
    statistics.count = METRICS_MOST_GROUPS + 10;
    metrics_take(&metrics, &statistics);
    ck_assert_uint_eq(metrics.group_count, METRICS_MOST_GROUPS + 1);
    ck_assert_str_eq(metrics.groups[METRICS_MOST_GROUPS].program, "other");
    ck_assert_uint_eq(sum(METRICS_MOST_GROUPS, "recv")->done, 10);
}
END_TEST

START_TEST(expiries_by_limit_and_section) {
    expiries[0] = (struct block_expiry){.limit = "RECV", .set = {ND_SET_BY_ENVIRONMENT, 0}, .count = UINT32_MAX};
    expiries[1] = (struct block_expiry){.limit = "RECV", .set = {ND_SET_BY_FILE, 9}, .count = 3, .is_observed = true};
    processes[0].expiries = expiries;
    processes[0].expiry_count = 2;
    metrics_take(&metrics, &statistics);
    expiries[0].count += 3;
    metrics_take(&metrics, &statistics);
    ck_assert_uint_eq(metrics.groups[0].expiry_count, 2);
    ck_assert_str_eq(metrics.groups[0].expiries[0].section, "environment");
    ck_assert_uint_eq(metrics.groups[0].expiries[0].count, (uint64_t)UINT32_MAX + 3);
    ck_assert_str_eq(metrics.groups[0].expiries[1].section, "line 9"); /* no such process */
    ck_assert(metrics.groups[0].expiries[1].is_observed && metrics.groups[0].expiries[1].count == 3);
}
END_TEST

static const char *unit(const char *cgroups) {
    static char text[128];
    unit_name_in(cgroups, text, sizeof text);
    return text;
}

START_TEST(services) {
    ck_assert_str_eq(unit("0::/system.slice/nginx.service\n"), "nginx.service");
    ck_assert_str_eq(unit("0::/system.slice/nginx.service/worker\n"), "nginx.service");
    ck_assert_str_eq(unit("0::/user.slice/user-1.slice/user@1.service/app.slice/x.service\n"), "x.service");
    ck_assert_str_eq(unit("0::/user.slice/user-1.slice/session-3.scope\n"), "");
    ck_assert_str_eq(unit("12:pids:/a.service\n1:name=systemd:/system.slice/b.service\n"), "b.service");
    ck_assert_str_eq(unit("0::/system.slice/system-postgresql.slice/postgresql@15-main.service\n"),
                     "postgresql@15-main.service");
    ck_assert_str_eq(unit("0::/s.slice/sshd@12-10.0.0.1:22-10.0.0.2:50000.service\n"), "sshd@.service");
    ck_assert_str_eq(unit("0::/s.slice/x@3-4711-0.service\n"), "x@.service");
    ck_assert_str_eq(unit("0::/system.slice/_cpu.service\n"), "cpu.service");
    ck_assert_str_eq(unit("0::/.service\n"), "");
    ck_assert_str_eq(unit("0::/_.service\n"), "");
    ck_assert_str_eq(unit(""), "");
    ck_assert_str_eq(unit("0::"), "");
    ck_assert_str_eq(unit("0::/a@.service"), "a@.service");
}
END_TEST

START_TEST(sections) {
    char path[] = "/tmp/metrics_test.XXXXXX", section[64];
    const char text[] = "CONNECT = 1s\n\n  [program a b] # comment\nRECV = 1s\n[destination 10.0.0.0/8]\nRECV=2s";
    int fd = mkstemp(path);
    static const char *const expected[] = {
        "file", "file", "[program a b]", "[program a b]", "[destination 10.0.0.0/8]", "[destination 10.0.0.0/8]"};
    unlink(path);
    ck_assert_int_eq(write(fd, text, sizeof text - 1), (ssize_t)sizeof text - 1);
    for (unsigned i = 1; i <= 6; i++) {
        lseek(fd, 0, SEEK_SET);
        ck_assert_int_eq(config_section_in(fd, i, section, sizeof section), 0);
        ck_assert_str_eq(section, expected[i - 1]);
    }
    lseek(fd, 0, SEEK_SET);
    ck_assert_int_eq(config_section_in(fd, 7, section, sizeof section), -1);
    close(fd);
}
END_TEST

void add_tests(TCase *tests) {
    tcase_add_checked_fixture(tests, start, finish);
    tcase_add_test(tests, sums_up_processes_of_a_program);
    tcase_add_test(tests, counts_outlive_their_process);
    tcase_add_test(tests, another_process_of_the_same_number_counts_anew);
    tcase_add_test(tests, counters_may_wrap);
    tcase_add_test(tests, a_process_that_cannot_be_read_once_is_still_known);
    tcase_add_test(tests, a_program_that_counted_nothing_is_forgotten);
    tcase_add_test(tests, series_of_a_process_end_with_it);
    tcase_add_test(tests, programs_without_number_are_summed_up);
    tcase_add_test(tests, expiries_by_limit_and_section);
    tcase_add_test(tests, services);
    tcase_add_test(tests, sections);
}
