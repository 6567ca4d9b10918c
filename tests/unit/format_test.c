#include "shim/report/format.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/un.h>
#include <time.h>

#include "shim/report/format_peer.h"
#include "tests/unit/unit.h"

static const struct nd_event event = {
    .operation = "recv", .limit = "RECV", .timeout = 90 * ND_SEC, .elapsed = 90 * ND_SEC + 7 * ND_MSEC, .fd = 5};

static const struct nd_origin origin = {
    .time = {.tv_sec = 1709210096, .tv_nsec = 7999999}, .pid = 12, .tid = 34, .program = "prog"};

static const char *event_line(enum nd_log_format format, const struct nd_event *of) {
    static char text[2000];
    struct nd_line line;
    nd_line_start(&line, text, sizeof text);
    nd_format_put_event(&line, format, of, &origin);
    nd_format_end(&line, format);
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

START_TEST(says_how_old_a_stale_answer_is) {
    struct nd_event stale = {.operation = "getaddrinfo",
                             .limit = "STALE",
                             .timeout = 60 * ND_SEC,
                             .elapsed = 5 * ND_SEC,
                             .fd = -1,
                             .name = "a",
                             .stale = true,
                             .age = 65 * ND_SEC};
    ck_assert_ptr_nonnull(strstr(event_line(ND_LOG_LOGFMT, &stale), " elapsed=5.000s age=65.000s observed=false"));
    ck_assert_ptr_nonnull(strstr(event_line(ND_LOG_JSON, &stale), ",\"elapsed\":5.000,\"age\":65.000,\"observed\""));
    char text[200];
    struct nd_line line;
    nd_line_start(&line, text, sizeof text - 1);
    nd_format_put_statsd(&line, &stale, "p");
    text[line.used] = '\0';
    ck_assert_str_eq(text, "netdeadline.stale:1|c|#op:getaddrinfo,limit:STALE,program:p,observed:false");
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

/* The longest of everything still fits the buffers of report/report.c, and ends as it should. */
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
    nd_format_put_event(&line, ND_LOG_JSON, &longest, &from);
    nd_format_end(&line, ND_LOG_JSON);
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
    nd_format_put_notice(&line, ND_LOG_LOGFMT, "x", &at);
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
        nd_format_put_notice(&line, ND_LOG_LOGFMT, "x", &at);
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
    nd_format_put_peer(&line, (const struct sockaddr *)&peer, sizeof peer);
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
        nd_format_put_peer(&line, cases[i].peer, cases[i].length);
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

void add_tests(TCase *tests) {
    tcase_add_test(tests, writes_logfmt);
    tcase_add_test(tests, writes_json);
    tcase_add_test(tests, says_how_old_a_stale_answer_is);
    tcase_add_loop_test(tests, quotes_in_logfmt_what_could_mislead, 0, 6);
    tcase_add_test(tests, longest_event_fits);
    tcase_add_loop_test(tests, counts_the_days, 0, (int)(sizeof dates / sizeof dates[0]));
    tcase_add_test(tests, counts_the_days_as_libc_does);
    tcase_add_loop_test(tests, writes_v6_as_libc_does, 0, (int)(sizeof v6_texts / sizeof v6_texts[0]));
    tcase_add_test(tests, writes_other_peers);
    tcase_add_test(tests, escapes_are_bounded_and_whole);
}
