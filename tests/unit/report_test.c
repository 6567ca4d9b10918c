#include "shim/report.h"

#include <arpa/inet.h>
#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "shim/destination.h"
#include "shim/record.h"
#include "shim/settings.h"

/* The clock of the rate limit: this definition stands in for resolver/clock.c's. */
static nd_time now = 1000 * ND_SEC;

nd_time nd_now(void) {
    return now;
}

static char log_path[] = "/tmp/netdeadline-report-XXXXXX";
static char log_text[16384];

static struct nd_event event = {
    .operation = "recv", .limit = "RECV", .timeout = 90 * ND_SEC, .elapsed = 90 * ND_SEC + 7 * ND_MSEC, .fd = 5};

static const struct nd_origin origin = {
    .time = {.tv_sec = 1709210096, .tv_nsec = 7999999}, .pid = 12, .tid = 34, .program = "prog"};

static const char *read_log(void) {
    FILE *file = fopen(log_path, "r");
    ck_assert_ptr_nonnull(file);
    log_text[fread(log_text, 1, sizeof log_text - 1, file)] = '\0';
    fclose(file);
    return log_text;
}

static int count_lines(const char *text) {
    int lines = 0;
    for (; *text; text++)
        lines += *text == '\n';
    return lines;
}

static void log_to_file(void) {
    int fd = mkstemp(log_path);
    ck_assert_int_ge(fd, 0);
    close(fd);
    nd_settings_defaults(&nd_settings);
    nd_settings.log = ND_LOG_FILE;
    strcpy(nd_settings.log_path, log_path);
    nd_report_start();
}

static void log_to_stderr(void) {
    nd_settings_defaults(&nd_settings);
    nd_settings.log = ND_LOG_STDERR;
    nd_report_start();
}

/* Puts `fd` in the place of descriptor 2. */
static void become_stderr(int fd) {
    ck_assert_int_ge(fd, 0);
    ck_assert_int_eq(dup2(fd, 2), 2);
}

static const char *event_line(enum nd_log_format format, const struct nd_event *of) {
    static char text[2000];
    struct nd_line line;
    nd_line_start(&line, text, sizeof text);
    nd_record_put_event(&line, format, of, &origin);
    nd_record_end(&line, format);
    ck_assert(!line.cut);
    return text;
}

START_TEST(writes_logfmt) {
    struct sockaddr_in peer = {.sin_family = AF_INET, .sin_port = htons(80), .sin_addr = {htonl(0xc0000201)}};
    struct nd_event with_peer = event;
    with_peer.peer = (const struct sockaddr *)&peer;
    with_peer.peer_len = sizeof peer;
    ck_assert_str_eq(event_line(ND_LOG_LOGFMT, &with_peer),
                     "time=2024-02-29T12:34:56.007Z pid=12 tid=34 program=prog operation=recv fd=5 peer=192.0.2.1:80 "
                     "limit=RECV timeout=1m30s elapsed=90.007s observed=false\n");
}
END_TEST

START_TEST(writes_json) {
    struct nd_event lookup = {.operation = "getaddrinfo",
                              .limit = "RESOLVE",
                              .timeout = 5 * ND_SEC,
                              .elapsed = 5 * ND_SEC,
                              .fd = -1,
                              .name = "a\"b\\c\n\x1b\xc3\xa9\xff",
                              .observed = true};
    ck_assert_str_eq(
        event_line(ND_LOG_JSON, &lookup),
        "{\"time\":\"2024-02-29T12:34:56.007Z\",\"pid\":12,\"tid\":34,\"program\":\"prog\","
        "\"operation\":\"getaddrinfo\",\"name\":\"a\\\"b\\\\c\\n\\u001b\\u00e9\\ufffd\",\"limit\":\"RESOLVE\","
        "\"timeout\":5.000,\"elapsed\":5.000,\"observed\":true}\n");
}
END_TEST

START_TEST(quotes_in_logfmt_what_could_mislead) {
    static const char *const pairs[][2] = {
        {"db.example", "name=db.example "},   {"a b", "name=\"a b\" "},   {"", "name=\"\" "},
        {"x limit=y", "name=\"x limit=y\" "}, {"a\"", "name=\"a\\\"\" "}, {"a\r\nb", "name=\"a\\u000d\\nb\" "},
    };
    struct nd_event lookup = event;
    lookup.name = pairs[_i][0];
    ck_assert_ptr_nonnull(strstr(event_line(ND_LOG_LOGFMT, &lookup), pairs[_i][1]));
}
END_TEST

/* The longest of everything still fits the buffers of report.c, and ends as it should. */
START_TEST(longest_event_fits) {
    char name[2000], program[200];
    struct sockaddr_un peer = {.sun_family = AF_UNIX};
    struct nd_event longest = event;
    struct nd_origin from = origin;
    struct nd_line line;
    char text[1280];
    memset(name, 1, sizeof name - 1);
    name[sizeof name - 1] = '\0';
    memset(program, 2, sizeof program - 1);
    program[sizeof program - 1] = '\0';
    memset(peer.sun_path, 3, sizeof peer.sun_path);
    longest.operation = "gethostbyname2_r";
    longest.limit = "INBOUND_TLS_HANDSHAKE";
    longest.name = name;
    longest.timeout = longest.elapsed = INT64_MAX;
    longest.fd = INT32_MAX;
    longest.peer = (const struct sockaddr *)&peer;
    longest.peer_len = sizeof peer;
    from.program = program;
    from.dropped = UINT32_MAX;
    from.pid = from.tid = INT32_MAX;
    nd_line_start(&line, text, sizeof text);
    nd_record_put_event(&line, ND_LOG_JSON, &longest, &from);
    nd_record_end(&line, ND_LOG_JSON);
    ck_assert(!line.cut);
    ck_assert_uint_lt(line.used, 1100);
}
END_TEST

static const struct {
    time_t time;
    const char *text;
} dates[] = {
    {0, "1970-01-01T00:00:00"},          {951782399, "2000-02-28T23:59:59"},  {951782400, "2000-02-29T00:00:00"},
    {951868800, "2000-03-01T00:00:00"},  {1735689599, "2024-12-31T23:59:59"}, {1735689600, "2025-01-01T00:00:00"},
    {4107542399, "2100-02-28T23:59:59"}, {4107542400, "2100-03-01T00:00:00"},
};

START_TEST(counts_the_days) {
    char text[400];
    struct nd_line line;
    struct nd_origin at = origin;
    at.time = (struct timespec){.tv_sec = dates[_i].time};
    nd_line_start(&line, text, sizeof text);
    nd_record_put_notice(&line, ND_LOG_LOGFMT, "x", &at);
    ck_assert_msg(strncmp(text + 5, dates[_i].text, 19) == 0, "%s is not %s", text, dates[_i].text);
}
END_TEST

/* The same for days of every month in 400 years, against libc. */
START_TEST(counts_the_days_as_libc_does) {
    char text[400], expected[40];
    struct nd_line line;
    struct nd_origin at = origin;
    for (time_t day = 0; day < 146097; day += 13) {
        time_t time = day * 86400 + 3661;
        struct tm broken;
        at.time = (struct timespec){.tv_sec = time};
        nd_line_start(&line, text, sizeof text);
        nd_record_put_notice(&line, ND_LOG_LOGFMT, "x", &at);
        strftime(expected, sizeof expected, "time=%Y-%m-%dT%H:%M:%S.", gmtime_r(&time, &broken));
        if (strncmp(text, expected, strlen(expected)) != 0)
            ck_abort_msg("%s is not %s", text, expected);
    }
}
END_TEST

static const char *const v6_texts[] = {
    "::",
    "::1",
    "1::",
    "2001:db8::1",
    "2001:db8:0:1:1:1:1:1",
    "1:0:0:2::3",
    "1::2:0:0:3:4",
    "1:2:3:4:5:6:7:8",
    "fe80::ffff:0:1",
    "0:1::",
    "::ffff:1.2.3.4",
    "1:0:0:4:5:0:0:8",
};

START_TEST(writes_v6_as_libc_does) {
    char text[80], expected[INET6_ADDRSTRLEN + 8], address[INET6_ADDRSTRLEN];
    struct sockaddr_in6 peer = {.sin6_family = AF_INET6, .sin6_port = htons(443)};
    struct nd_line line;
    ck_assert_int_eq(inet_pton(AF_INET6, v6_texts[_i], &peer.sin6_addr), 1);
    snprintf(expected, sizeof expected, "[%s]:443", inet_ntop(AF_INET6, &peer.sin6_addr, address, sizeof address));
    nd_line_start(&line, text, sizeof text);
    nd_record_put_peer(&line, (const struct sockaddr *)&peer, sizeof peer);
    ck_assert_str_eq(text, expected);
}
END_TEST

START_TEST(writes_other_peers) {
    char text[400];
    struct nd_line line;
    struct sockaddr_un local = {.sun_family = AF_UNIX, .sun_path = "/run/a b"};
    struct sockaddr_un abstract = {.sun_family = AF_UNIX, .sun_path = "\0name\x1b"};
    struct sockaddr_in6 scoped = {.sin6_family = AF_INET6, .sin6_port = htons(1), .sin6_scope_id = 3};
    scoped.sin6_addr.s6_addr[0] = 0xfe;
    const struct {
        const void *peer;
        socklen_t length;
        const char *text;
    } cases[] = {
        {&local, sizeof local, "unix:/run/a b"},
        {&local, 2 + 4, "unix:/run"},
        {&local, 2, "unix:"},
        {&abstract, 2 + 6, "unix:@name\\u001b"},
        {&scoped, sizeof scoped, "[fe00::%3]:1"},
        {&local, 0, "family-0"},
        {&(struct sockaddr){.sa_family = AF_NETLINK}, sizeof(struct sockaddr), "family-16"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        nd_line_start(&line, text, sizeof text);
        nd_record_put_peer(&line, cases[i].peer, cases[i].length);
        ck_assert_str_eq(text, cases[i].text);
    }
}
END_TEST

START_TEST(escapes_are_bounded_and_whole) {
    char small[8], text[64];
    struct nd_line line;
    nd_line_start(&line, small, sizeof small);
    nd_line_put_escaped(&line, "abcdefghij", 10, 100);
    ck_assert_str_eq(small, "abcd...");
    nd_line_start(&line, text, sizeof text);
    nd_line_put_escaped(&line, "\x01\x02", 2, 7);
    ck_assert_str_eq(text, "\\u0001...");
    nd_line_start(&line, text, sizeof text);
    nd_line_put_escaped(&line, "\xf0\x9f\x98\x80\xf0\x9f\x98\xed\xa0\x80\xc0\x80", 12, 100);
    ck_assert_ptr_nonnull(strstr(text, "\\ud83d\\ude00\\ufffd\\ufffd"));
}
END_TEST

START_TEST(log_file_gets_one_line_each) {
    log_to_file();
    errno = 4321;
    nd_report_expiry(&event);
    ck_assert_int_eq(errno, 4321);
    nd_report_expiry(&event);
    ck_assert_int_eq(count_lines(read_log()), 2);
    char own[64];
    snprintf(own, sizeof own, " pid=%d tid=%d program=report_test ", (int)getpid(), (int)getpid());
    ck_assert_ptr_nonnull(strstr(log_text, own));
}
END_TEST

START_TEST(log_off_writes_nothing) {
    log_to_file();
    nd_settings.log = ND_LOG_OFF;
    nd_report_expiry(&event);
    ck_assert_str_eq(read_log(), "");
}
END_TEST

START_TEST(lines_beyond_ten_a_second_are_counted) {
    log_to_file();
    for (int i = 0; i < 25; i++)
        nd_report_expiry(&event);
    ck_assert_int_eq(count_lines(read_log()), 10);
    ck_assert_ptr_null(strstr(log_text, "dropped"));
    now += ND_SEC;
    nd_report_expiry(&event);
    nd_report_expiry(&event);
    ck_assert_int_eq(count_lines(read_log()), 12);
    ck_assert_ptr_nonnull(strstr(log_text, " observed=false dropped=15\n"));
    ck_assert_ptr_null(strstr(strstr(log_text, "dropped=15") + 1, "dropped"));
}
END_TEST

/* No descriptor stays, and the numbers the program sees next are the same. */
START_TEST(keeps_no_descriptor) {
    become_stderr(open("/dev/null", O_WRONLY));
    log_to_file();
    strcpy(nd_settings.statsd, "127.0.0.1:9");
    int before = dup(0);
    close(before);
    nd_report_expiry(&event);
    nd_settings.log = ND_LOG_SYSLOG;
    nd_report_expiry(&event);
    nd_settings.log = ND_LOG_STDERR;
    nd_report_expiry(&event);
    int after = dup(0);
    close(after);
    ck_assert_int_eq(before, after);
}
END_TEST

START_TEST(unopenable_log_is_told_once_on_stderr) {
    int pipes[2];
    char text[2000];
    ck_assert_int_eq(pipe(pipes), 0);
    become_stderr(pipes[1]);
    log_to_file();
    strcpy(nd_settings.log_path, "/nonexistent/\x1b/log");
    errno = 4321;
    for (int i = 0; i < 3; i++)
        nd_report_expiry(&event);
    ck_assert_int_eq(errno, 4321);
    nd_report_notice("netdeadline: a second line");
    ssize_t got = read(pipes[0], text, sizeof text - 1);
    ck_assert_int_gt(got, 0);
    text[got] = '\0';
    ck_assert_str_eq(text, "netdeadline: cannot write to the log \"/nonexistent/\\u001b/log\" (error 2)\n");
}
END_TEST

START_TEST(stderr_is_left_when_it_was_replaced) {
    int first = open("/dev/null", O_WRONLY), second;
    become_stderr(first);
    log_to_stderr();
    second = mkstemp(log_path);
    become_stderr(second);
    nd_report_expiry(&event);
    ck_assert_str_eq(read_log(), "");
    close(2);
    nd_report_expiry(&event); /* nothing at all is there */
}
END_TEST

START_TEST(stderr_that_was_closed_at_start_is_left) {
    close(2);
    log_to_stderr();
    become_stderr(mkstemp(log_path));
    nd_report_expiry(&event);
    ck_assert_str_eq(read_log(), "");
}
END_TEST

static void fill(int fd) {
    char block[4096] = "";
    int own = fcntl(fd, F_GETFL);
    fcntl(fd, F_SETFL, own | O_NONBLOCK);
    while (write(fd, block, sizeof block) > 0)
        continue;
    fcntl(fd, F_SETFL, own);
}

START_TEST(full_pipe_does_not_block) {
    int pipes[2];
    char line[600];
    ck_assert_int_eq(pipe(pipes), 0);
    become_stderr(pipes[1]);
    log_to_stderr();
    nd_report_expiry(&event);
    ck_assert_int_gt(read(pipes[0], line, sizeof line), 100);
    fill(pipes[1]);
    alarm(2); /* ends us if the next line waits */
    nd_report_expiry(&event);
    ck_assert_int_eq(fcntl(2, F_GETFL) & O_NONBLOCK, 0);
}
END_TEST

START_TEST(pipe_without_reader_raises_nothing) {
    int pipes[2];
    sigset_t pending;
    ck_assert_int_eq(pipe(pipes), 0);
    become_stderr(pipes[1]);
    log_to_stderr();
    close(pipes[0]);
    nd_report_expiry(&event); /* SIGPIPE has its default action: it would end us */
    sigpending(&pending);
    ck_assert(!sigismember(&pending, SIGPIPE));
}
END_TEST

START_TEST(file_size_limit_raises_nothing) {
    struct rlimit limit;
    become_stderr(open("/dev/null", O_WRONLY));
    log_to_file();
    getrlimit(RLIMIT_FSIZE, &limit);
    setrlimit(RLIMIT_FSIZE, &(struct rlimit){0, limit.rlim_max});
    nd_report_expiry(&event); /* SIGXFSZ has its default action */
    setrlimit(RLIMIT_FSIZE, &limit);
    ck_assert_str_eq(read_log(), "");
}
END_TEST

/* A SIGPIPE that waits for the program stays where it is; the mask too. */
START_TEST(pending_signals_and_mask_are_kept) {
    sigset_t set, before, after;
    log_to_file();
    sigemptyset(&set);
    sigaddset(&set, SIGPIPE);
    sigprocmask(SIG_BLOCK, &set, NULL);
    raise(SIGPIPE);
    sigprocmask(SIG_SETMASK, NULL, &before);
    nd_report_expiry(&event);
    sigprocmask(SIG_SETMASK, NULL, &after);
    ck_assert_mem_eq(&before, &after, 8);
    sigpending(&set);
    ck_assert(sigismember(&set, SIGPIPE));
}
END_TEST

START_TEST(notice_comes_once_and_plain) {
    become_stderr(mkstemp(log_path));
    nd_settings_defaults(&nd_settings);
    nd_report_notice("netdeadline: one");
    nd_report_notice("netdeadline: two");
    ck_assert_str_eq(read_log(), "netdeadline: one\n");
}
END_TEST

START_TEST(late_notice_without_log_goes_nowhere) {
    become_stderr(mkstemp(log_path));
    nd_settings_defaults(&nd_settings);
    nd_report_start();
    nd_report_notice("netdeadline: one");
    ck_assert_str_eq(read_log(), "");
}
END_TEST

START_TEST(notice_in_the_log_is_a_record) {
    log_to_file();
    nd_settings.log_format = ND_LOG_JSON;
    nd_report_notice("netdeadline: \"x\"");
    ck_assert_ptr_nonnull(strstr(read_log(), ",\"program\":\"report_test\",\"notice\":\"netdeadline: \\\"x\\\"\"}\n"));
}
END_TEST

START_TEST(statsd_gets_a_datagram) {
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
    socklen_t length = sizeof address;
    char text[1000];
    int fd = socket(AF_INET, SOCK_DGRAM, 0);
    ck_assert_int_eq(bind(fd, (struct sockaddr *)&address, sizeof address), 0);
    ck_assert_int_eq(getsockname(fd, (struct sockaddr *)&address, &length), 0);
    nd_settings_defaults(&nd_settings);
    snprintf(nd_settings.statsd, sizeof nd_settings.statsd, "127.0.0.1:%d", ntohs(address.sin_port));
    nd_report_start();
    nd_report_expiry(&event);
    ssize_t got = recv(fd, text, sizeof text - 1, MSG_DONTWAIT);
    ck_assert_int_gt(got, 0);
    text[got] = '\0';
    ck_assert_str_eq(text,
                     "netdeadline.expiry:1|c|#op:recv,limit:RECV,program:report_test,observed:false\n"
                     "netdeadline.expiry.elapsed:90007|ms|#op:recv,limit:RECV,program:report_test,observed:false");
}
END_TEST

START_TEST(statsd_refuses_what_is_no_address) {
    static const char *const bad[] = {"", ":", "x", "[", "[]", "[:1", "]:1", "1.2.3:4", "[1.2.3.4]:5", ":5"};
    ck_assert_int_eq(nd_send_to_statsd(bad[_i], "x", 1), -1);
}
END_TEST

static void add_tests(TCase *tests) {
    tcase_add_test(tests, writes_logfmt);
    tcase_add_test(tests, writes_json);
    tcase_add_loop_test(tests, quotes_in_logfmt_what_could_mislead, 0, 6);
    tcase_add_test(tests, longest_event_fits);
    tcase_add_loop_test(tests, counts_the_days, 0, (int)(sizeof dates / sizeof dates[0]));
    tcase_add_test(tests, counts_the_days_as_libc_does);
    tcase_add_loop_test(tests, writes_v6_as_libc_does, 0, (int)(sizeof v6_texts / sizeof v6_texts[0]));
    tcase_add_test(tests, writes_other_peers);
    tcase_add_test(tests, escapes_are_bounded_and_whole);
    tcase_add_test(tests, log_file_gets_one_line_each);
    tcase_add_test(tests, log_off_writes_nothing);
    tcase_add_test(tests, lines_beyond_ten_a_second_are_counted);
    tcase_add_test(tests, keeps_no_descriptor);
    tcase_add_test(tests, unopenable_log_is_told_once_on_stderr);
    tcase_add_test(tests, stderr_is_left_when_it_was_replaced);
    tcase_add_test(tests, stderr_that_was_closed_at_start_is_left);
    tcase_add_test(tests, full_pipe_does_not_block);
    tcase_add_test(tests, pipe_without_reader_raises_nothing);
    tcase_add_test(tests, file_size_limit_raises_nothing);
    tcase_add_test(tests, pending_signals_and_mask_are_kept);
    tcase_add_test(tests, notice_comes_once_and_plain);
    tcase_add_test(tests, late_notice_without_log_goes_nowhere);
    tcase_add_test(tests, notice_in_the_log_is_a_record);
    tcase_add_test(tests, statsd_gets_a_datagram);
    tcase_add_loop_test(tests, statsd_refuses_what_is_no_address, 0, 10);
}

/* Each test runs in a child of its own. */
static void remove_log(void) {
    unlink(log_path);
}

int main(void) {
    Suite *suite = suite_create("report");
    TCase *tests = tcase_create("report");
    tcase_add_checked_fixture(tests, NULL, remove_log);
    add_tests(tests);
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
