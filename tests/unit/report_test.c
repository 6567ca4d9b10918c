#include "shim/report/report.h"

#include <arpa/inet.h>
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

#include "shim/mode.h"
#include "shim/report/format.h"
#include "shim/report/sink.h"
#include "shim/settings/settings.h"

/* The clock of the rate limit: this definition stands in for base/clock.c's, which linked objects need the rest of. */
nd_time nd_system_now(void);
#define nd_now nd_system_now
#include "base/clock.c"
#include "base/clock.h"
#include "shim/settings/environment.h"
#include "tests/unit/unit.h"
#undef nd_now

static nd_time now = 1000 * ND_SEC;

nd_time nd_now(void);

nd_time nd_now(void) {
    return now;
}

static char log_path[] = "/tmp/netdeadline-report-XXXXXX";
static char log_text[16384];

static struct nd_event event = {
    .operation = "recv", .limit = "RECV", .timeout = 90 * ND_SEC, .elapsed = 90 * ND_SEC + 7 * ND_MSEC, .fd = 5};

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
    ck_assert_int_eq(nd_sink_statsd(bad[_i], "x", 1), -1);
}
END_TEST

/* Each test runs in a child of its own. */
static void remove_log(void) {
    unlink(log_path);
}

void add_tests(TCase *tests) {
    tcase_add_checked_fixture(tests, NULL, remove_log);
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
