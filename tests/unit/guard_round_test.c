#include "base/clock.h"

nd_time nd_system_now(void);
#define nd_now nd_system_now
#include "base/clock.c" // NOLINT(bugprone-suspicious-include): for its other functions
#undef nd_now

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/guard_input.h"
#include "cli/guard_owners.h"
#include "cli/guard_report.h"
#include "cli/guard_round.h"
#include "cli/process/connections_open.h"
#include "cli/process/ending.h"
#include "cli/process/system_call.h"
#include "tests/unit/unit.h"

enum { FD = 3 };

/* A host with one process that has one connection, and a clock that only the test moves. */
static struct {
    nd_time now, sent, received; /* when bytes last moved */
    uint64_t bytes_sent, bytes_received;
    nd_time read_takes; /* of which the kernel's answer stands at the end */
    bool is_receiving;  /* a thread is blocked in a receive */
    bool is_in_set;     /* or waits for the connection among others */
    enum input input;   /* what else is found of whether anybody waits for input */
    uint64_t cookie;
    nd_time connecting_since; /* 0: it is established */
    bool is_answered_late;    /* an answer comes while the library is looked for in the process */
    bool is_owner_hidden;     /* it is not found by new descriptors alone */
    unsigned reads, reads_of_connects, refreshes, scans, scans_of_new, ended;
} host;

static struct guard guard;
static struct guard_policy policy;
static struct guard_target process = {.pid = 0, .pidfd = -1, .namespace = 1, .policy = &policy};
static struct guard_target *processes[] = {&process};

nd_time nd_now(void) {
    return host.now;
}

int connections_open(pid_t pid) {
    (void)pid;
    return dup(STDIN_FILENO);
}

static void describe(struct connection *connection) {
    const uint8_t state = host.connecting_since ? TCP_SYN_SENT : TCP_ESTABLISHED;
    *connection = (struct connection){.cookie = host.cookie + 1, .inode = 1, .state = state, .timer = -1};
    connection->info = (struct nd_tcp_info){.known = ND_TCP_TIMES | ND_TCP_BYTES | ND_TCP_SENT,
                                            .state = state,
                                            .last_data_sent = host.now - host.sent,
                                            .last_data_recv = host.now - host.received,
                                            .last_ack_recv = host.now - host.received,
                                            .bytes_sent = host.bytes_sent,
                                            .bytes_acked = host.bytes_sent + 1,
                                            .bytes_received = host.bytes_received};
}

int connections_read(int netlink, enum connection_kind kind, struct connection_list *list) {
    (void)netlink;
    host.now += host.read_takes;
    host.reads += kind == CONNECTIONS_ALL;
    host.reads_of_connects += kind == CONNECTIONS_CONNECTING;
    list->count = 0;
    if (kind != CONNECTIONS_ALL && !host.connecting_since)
        return 0;
    if (!list->entries)
        list->entries = calloc(1, sizeof *list->entries);
    list->count = list->room = 1;
    describe(&list->entries[0]);
    return 0;
}

void connections_free(struct connection_list *list) {
    free(list->entries);
    *list = (struct connection_list){0};
}

nd_time connection_outstanding(const struct connection *connection) {
    (void)connection;
    return host.connecting_since ? host.now - host.connecting_since : 0;
}

static void take_owner(const struct guard_targets *targets, struct watch *watches, bool is_found) {
    struct watched *watched = watch_find(&watches[0], &watches[0].list.entries[0], host.now);
    watched->was_looked_for = watched->is_prepared = true;
    watched->owner = is_found ? targets->entries[0] : NULL;
    watched->fd = FD;
    watched->settings = &policy.settings;
}

/* The program receives a byte, or sends one, now. */
static void comes_in(void) {
    host.received = host.now;
    host.bytes_received++;
}

static void goes_out(void) {
    host.sent = host.now;
    host.bytes_sent++;
}

void guard_owners_find(const struct guard_targets *targets, struct watch *watches, int count, bool is_early) {
    ck_assert_int_eq(count, 1);
    ck_assert(!is_early);
    host.scans++;
    take_owner(targets, watches, true);
}

bool guard_owners_find_new(const struct guard_targets *targets, struct watch *watches, int count, bool is_early) {
    ck_assert_int_eq(count, 1);
    ck_assert(!is_early);
    host.scans_of_new++;
    take_owner(targets, watches, !host.is_owner_hidden);
    return host.is_owner_hidden;
}

void guard_targets_refresh(struct guard_targets *targets) {
    host.refreshes++;
    *targets = (struct guard_targets){.entries = processes, .count = 1};
}

void guard_targets_bury(struct guard_targets *targets) {
    (void)targets;
}

bool guard_target_has_library(const struct guard_target *target) {
    (void)target;
    if (host.is_answered_late) {
        host.now += 50 * ND_MSEC;
        comes_in();
    }
    return false;
}

const struct block *guard_target_block(const struct guard_target *target) {
    (void)target;
    return NULL;
}

bool guard_target_is_left(const struct guard_target *target) {
    (void)target;
    return false;
}

void guard_report(const struct nd_settings *settings, const struct guard_target *target, int fd,
                  const struct connection *connection, const struct verdict *verdict, bool observed) {
    (void)settings, (void)target, (void)fd, (void)connection, (void)verdict, (void)observed;
}

int system_call_receives_from(pid_t pid, pid_t tid, bool is_64) {
    (void)pid, (void)tid, (void)is_64;
    return host.is_receiving ? FD : -1;
}

void input_look(pid_t pid) {
    (void)pid;
}

bool input_has_waiter(int fd) {
    return host.is_in_set && fd == FD;
}

enum input guard_input(const struct guard_targets *targets, const struct watched *watched, struct go_program *go,
                       bool *is_looked_at) {
    (void)targets, (void)watched, (void)go, (void)is_looked_at;
    return host.input;
}

bool process_has_ended(int pidfd) {
    (void)pidfd;
    return false;
}

int ending_copy(int pidfd, int fd, uint64_t cookie) {
    (void)pidfd, (void)fd, (void)cookie;
    return dup(STDIN_FILENO);
}

int ending_refresh(int copy, struct connection *connection) {
    (void)copy;
    describe(connection);
    return 0;
}

enum ending ending_end(int copy, int netlink, const struct connection *connection) {
    (void)copy, (void)netlink, (void)connection;
    host.ended++;
    return ENDING_DISCONNECTED;
}

enum ending ending_end_marked(int copy) {
    return ending_end(copy, -1, NULL);
}

enum ending ending_destroy(pid_t pid, int pidfd, int fd, int netlink, const struct connection *connection) {
    (void)pid, (void)pidfd, (void)fd, (void)netlink, (void)connection;
    return ENDING_NONE;
}

/* A program that has asked just now, under RECV. */
static void start(nd_time recv) {
    memset(&host, 0, sizeof host);
    memset(&policy, 0, sizeof policy);
    memset(&guard, 0, sizeof guard);
    process.pid = getpid();
    host.input = INPUT_AWAITED;
    host.now = host.sent = 1000 * ND_SEC;
    host.received = host.now - ND_SEC;
    policy.shortest = (struct guard_shortest){ND_NEVER, recv, ND_NEVER, ND_NEVER, ND_NEVER};
    policy.settings.outbound.recv = recv;
    guard_round(&guard);
}

static void stop(void) {
    for (int i = 0; i < guard.watch_count; i++)
        watch_free(&guard.watches[i]);
}

/* Lets guard do what it wants to do until then. */
static void run_until(nd_time end) {
    while (host.now < end)
        host.now = nd_time_sooner(guard_round(&guard), end);
}

/* What began then is not ended before the one time has passed, and is after the other. */
static void ck_ends(nd_time began, nd_time no_sooner, nd_time no_later) {
    run_until(began + no_sooner);
    ck_assert_uint_eq(host.ended, 0);
    run_until(began + no_later);
    guard_round(&guard);
    ck_assert_uint_eq(host.ended, 1);
}

START_TEST(a_reply_that_does_not_come_is_ended_in_time) {
    start(ND_SEC);
    ck_ends(host.sent, 999 * ND_MSEC, 1050 * ND_MSEC);
    stop();
}
END_TEST

START_TEST(an_answer_in_the_last_moment_counts) {
    start(ND_SEC);
    host.is_answered_late = true;
    run_until(host.sent + 2 * ND_SEC);
    ck_assert_uint_eq(host.ended, 0);
    stop();
}
END_TEST

/* Guard had to wait for a processor before the kernel answered: the connection was not silent for that long. */
START_TEST(the_time_that_a_read_takes_is_no_silence) {
    start(ND_SEC);
    host.now += 500 * ND_MSEC;
    host.received = host.now + 500 * ND_MSEC; /* a reply, and the next question */
    host.sent = host.now + 600 * ND_MSEC;
    host.bytes_sent++;
    host.bytes_received++;
    host.read_takes = 600 * ND_MSEC;
    guard_round(&guard);
    host.read_takes = 0;
    host.now = host.sent + 900 * ND_MSEC;
    guard_round(&guard);
    ck_assert_uint_eq(host.ended, 0);
    host.now = host.sent + 1700 * ND_MSEC;
    guard_round(&guard);
    ck_assert_uint_eq(host.ended, 1);
    stop();
}
END_TEST

/* It has sent something, and nobody waits for an answer until much later. */
START_TEST(what_nobody_waits_for_is_not_ended) {
    start(2 * ND_SEC);
    host.input = INPUT_IGNORED;
    run_until(host.sent + 21 * ND_SEC);
    const nd_time began = host.now;
    host.is_receiving = _i;
    host.input = INPUT_AWAITED;
    ck_ends(began, 1990 * ND_MSEC, 2300 * ND_MSEC);
    stop();
}
END_TEST

/* What a thread that is running will wait for is not known yet; once it is, the time before counts. */
START_TEST(a_thread_that_runs_puts_the_end_off) {
    start(2 * ND_SEC);
    host.input = INPUT_UNSETTLED;
    run_until(host.sent + 5 * ND_SEC);
    ck_assert_uint_eq(host.ended, 0);
    host.input = INPUT_AWAITED;
    run_until(host.sent + 5300 * ND_MSEC);
    ck_assert_uint_eq(host.ended, 1);
    stop();
}
END_TEST

/* A call was seen to wait when nothing was owed, and is over: what goes out then is no question. */
START_TEST(a_call_that_is_over_does_not_count) {
    start(2 * ND_SEC);
    comes_in();
    host.is_receiving = true;
    run_until(host.now + ND_SEC);
    host.is_receiving = false;
    host.input = INPUT_IGNORED;
    goes_out();
    run_until(host.now + 5 * ND_SEC);
    ck_assert_uint_eq(host.ended, 0);
    stop();
}
END_TEST

/* Nothing is due as long as nobody waits. Lists are taken only as often as a question could be asked unseen, and what is
 * due is looked at without one. */
START_TEST(lists_are_taken_seldom) {
    start(20 * ND_SEC);
    comes_in();
    host.now += 50 * ND_MSEC;
    run_until(host.now + 40 * ND_SEC);
    ck_assert_uint_le(host.reads, 22);
    goes_out();
    const unsigned before = host.reads;
    ck_ends(host.sent, 19999 * ND_MSEC, 20050 * ND_MSEC);
    ck_assert_uint_le(host.reads, before + 11);
    stop();
}
END_TEST

/* A call that waits on a new connection is seen once that is in a list. */
START_TEST(a_blocked_call_on_a_new_connection_is_ended_in_time) {
    start(2 * ND_SEC);
    run_until(host.now + 10 * ND_MSEC);
    const nd_time began = host.now;
    host.cookie++;
    host.bytes_received++;
    host.sent = host.received = began;
    host.is_receiving = true;
    ck_ends(began, 1999 * ND_MSEC, 2400 * ND_MSEC);
    stop();
}
END_TEST

/* Where they cost more they are taken as often as RECV needs them for what has been asked. */
START_TEST(lists_are_taken_as_often_as_their_cost_allows) {
    start(60 * ND_SEC);
    const unsigned before = host.reads;
    guard.cost = 40 * ND_MSEC;
    run_until(host.now + 11900 * ND_MSEC);
    ck_assert_uint_eq(host.reads, before);
    run_until(host.now + 200 * ND_MSEC);
    ck_assert_uint_eq(host.reads, before + 1);
    stop();
}
END_TEST

/* A reply stopped in its midst, and the program waits for more: that is not seen in a list. */
START_TEST(a_blocked_call_is_seen_between_lists) {
    start(2 * ND_SEC);
    comes_in();
    run_until(host.now + 5 * ND_SEC);
    const nd_time began = host.now;
    host.is_receiving = true;
    ck_ends(began, 1999 * ND_MSEC, 2300 * ND_MSEC);
    stop();
}
END_TEST

/* A program that has connected, and thinks about what to ask, does not wait for anything; one in an event loop waits for
 * a greeting. */
START_TEST(the_first_bytes_are_awaited_by_whoever_waits) {
    start(2 * ND_SEC);
    host.sent = host.received = host.now; /* so the kernel tells of a connection that is new */
    host.cookie++;
    run_until(host.now + 10 * ND_SEC);
    ck_assert_uint_eq(host.ended, 0);
    host.is_in_set = true;
    const nd_time began = host.now;
    ck_ends(began, 1999 * ND_MSEC, 2400 * ND_MSEC);
    stop();
}
END_TEST

/* It returned, and another call waits: that one's time is its own. */
/* The call that waits when guard is let go on may be another than the one that did when guard was stopped. */
START_TEST(a_stopped_guard_has_seen_no_call) {
    start(10 * ND_SEC);
    comes_in();
    host.is_receiving = true;
    run_until(host.now + 3 * ND_SEC);
    host.now += 60 * ND_SEC;
    ck_ends(host.now, 9900 * ND_MSEC, 10200 * ND_MSEC);
    stop();
}
END_TEST

START_TEST(a_call_that_returns_is_no_longer_timed) {
    start(2 * ND_SEC);
    comes_in();
    host.is_receiving = true;
    for (int i = 0; i < 10; i++) {
        run_until(host.now + 1500 * ND_MSEC);
        host.is_receiving = false;
        run_until(host.now + 500 * ND_MSEC);
        host.is_receiving = true;
    }
    ck_assert_uint_eq(host.ended, 0);
    stop();
}
END_TEST

/* The process that has made it may have come behind the last look at processes, however near that was. */
START_TEST(processes_are_looked_for_when_a_connection_is_new) {
    start(ND_SEC);
    run_until(host.now + 200 * ND_MSEC);
    const unsigned before = host.refreshes;
    guard.refreshed = host.now;
    guard.looked = host.now - 10 * ND_SEC;
    host.cookie++;
    guard_round(&guard);
    ck_assert_uint_eq(host.refreshes, before + 1);
    stop();
}
END_TEST

START_TEST(dear_lists_are_taken_less_often) {
    start(60 * ND_SEC);
    const unsigned before = host.reads;
    guard.cost = ND_SEC;
    run_until(host.now + 19 * ND_SEC);
    ck_assert_uint_eq(host.reads, before);
    run_until(host.now + 2 * ND_SEC);
    ck_assert_uint_eq(host.reads, before + 1);
    stop();
}
END_TEST

/* By default nothing begins unseen: the kernel tells since when each limit runs. */
static void start_with_defaults(void) {
    start(ND_NEVER);
    policy.shortest = (struct guard_shortest){10 * ND_SEC, ND_NEVER, ND_NEVER, 60 * ND_SEC, 60 * ND_SEC};
    policy.settings.outbound = (struct nd_limits){.unacked = 60 * ND_SEC};
    policy.settings.connect = 10 * ND_SEC;
    host.received = host.now;
    guard_round(&guard);
}

START_TEST(the_defaults_need_few_lists_and_scans) {
    start_with_defaults();
    const unsigned lists = host.reads, scans = host.scans;
    run_until(host.now + 120 * ND_SEC);
    ck_assert_uint_le(host.reads - lists, 10);
    ck_assert_uint_le(host.reads_of_connects, 10);
    ck_assert_uint_le(host.scans - scans, 4);
    stop();
}
END_TEST

START_TEST(a_connect_is_ended_in_time_by_default) {
    for (nd_time begins = 0; begins < 12 * ND_SEC; begins += 500 * ND_MSEC) {
        start_with_defaults();
        run_until(host.now + begins);
        host.connecting_since = host.now;
        host.cookie++;
        run_until(host.connecting_since + 9999 * ND_MSEC);
        ck_assert_uint_eq(host.ended, 0);
        run_until(host.connecting_since + 10250 * ND_MSEC);
        ck_assert_uint_eq(host.ended, 1);
        stop();
    }
}
END_TEST

/* Reading every descriptor for each connection that comes is what a busy program's guard would mostly do. */
START_TEST(the_owner_of_a_new_connection_is_looked_for_among_new_descriptors) {
    start(ND_SEC);
    const unsigned scans = host.scans;
    for (int i = 0; i < 5; i++) {
        host.cookie++;
        run_until(host.now + ND_SEC);
    }
    ck_assert_uint_eq(host.scans, scans);
    ck_assert_uint_ge(host.scans_of_new, 5);
    stop();
}
END_TEST

START_TEST(an_owner_that_is_not_found_there_is_looked_for_everywhere) {
    start(ND_SEC);
    const unsigned scans = host.scans;
    guard.scan_cost = 20 * ND_MSEC; /* so that it is not done at once */
    host.is_owner_hidden = true;
    host.cookie++;
    run_until(host.now + 19 * ND_SEC);
    ck_assert_uint_eq(host.scans, scans);
    run_until(host.now + 2 * ND_SEC);
    ck_assert_uint_eq(host.scans, scans + 1);
    run_until(host.now + 5 * ND_SEC);
    ck_assert_uint_eq(host.scans, scans + 1);
    stop();
}
END_TEST

void add_tests(TCase *tests) {
    tcase_add_loop_test(tests, what_nobody_waits_for_is_not_ended, 0, 2);
    tcase_add_test(tests, a_thread_that_runs_puts_the_end_off);
    tcase_add_test(tests, a_call_that_is_over_does_not_count);
    tcase_add_test(tests, a_stopped_guard_has_seen_no_call);
    tcase_add_test(tests, the_defaults_need_few_lists_and_scans);
    tcase_add_test(tests, a_connect_is_ended_in_time_by_default);
    tcase_add_test(tests, the_owner_of_a_new_connection_is_looked_for_among_new_descriptors);
    tcase_add_test(tests, an_owner_that_is_not_found_there_is_looked_for_everywhere);
    tcase_add_test(tests, processes_are_looked_for_when_a_connection_is_new);
    tcase_add_test(tests, dear_lists_are_taken_less_often);
    tcase_add_test(tests, a_reply_that_does_not_come_is_ended_in_time);
    tcase_add_test(tests, an_answer_in_the_last_moment_counts);
    tcase_add_test(tests, the_time_that_a_read_takes_is_no_silence);
    tcase_add_test(tests, lists_are_taken_seldom);
    tcase_add_test(tests, a_blocked_call_on_a_new_connection_is_ended_in_time);
    tcase_add_test(tests, lists_are_taken_as_often_as_their_cost_allows);
    tcase_add_test(tests, a_blocked_call_is_seen_between_lists);
    tcase_add_test(tests, the_first_bytes_are_awaited_by_whoever_waits);
    tcase_add_test(tests, a_call_that_returns_is_no_longer_timed);
}
