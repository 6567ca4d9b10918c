#include "shim/settings/settings.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/line.h"
#include "shim/settings/duration.h"
#include "shim/settings/environment.h"
#include "shim/settings/setting_value.h"
#include "shim/settings/warnings.h"
#include "tests/unit/unit.h"

/* What nd_settings_from_environment makes of `environment`. */
static struct nd_settings settings;
static struct nd_warnings complaints;

static const char *read_environment(char *const *environment) {
    nd_warnings_start(&complaints);
    nd_settings_defaults(&settings);
    nd_settings_from_environment(&settings, environment, nd_warnings_add, &complaints);
    return nd_warnings_line(&complaints);
}

static const char *read_one(const char *variable) {
    char *environment[] = {(char *)(uintptr_t)variable, NULL};
    return read_environment(environment);
}

static const struct {
    const char *text;
    nd_time time;
} good_durations[] = {
    {"off", 0},
    {"1ms", ND_MSEC},
    {"250ms", 250 * ND_MSEC},
    {"3s", 3 * ND_SEC},
    {"1m30s", 90 * ND_SEC},
    {"2h", 7200 * ND_SEC},
    {"1h1m1s1ms", 3661 * ND_SEC + ND_MSEC},
    {"90m", 5400 * ND_SEC},
    {"0m5s", 5 * ND_SEC},
    {"007s", 7 * ND_SEC},
    {"9223372036854ms", 9223372036854 * ND_MSEC},
};

START_TEST(reads_good_duration) {
    nd_time time = -1;
    ck_assert_int_eq(nd_duration_parse(good_durations[_i].text, &time), 0);
    ck_assert_int_eq(time, good_durations[_i].time);
}
END_TEST

static const char *const bad_durations[] = {
    "",
    "3 seconds",
    "-1s",
    "1e9h",
    "0",
    "0s",
    "0ms",
    "3",
    "s",
    "3s ",
    " 3s",
    "3S",
    "3sec",
    "1s1s",
    "1s1m",
    "1ms1s",
    "3.5s",
    "+3s",
    "0x3s",
    "OFF",
    "off ",
    "3s,",
    "1h30",
    "1hm",
    "mss",
    "5µs",
    "5us",
    "1d",
    "3s\n",
    "9223372036855ms",
    "99999999999999999999s",
    "2562047788h",
    "2562047h60m9999999999s",
    "18446744073709551617s",
};

START_TEST(refuses_bad_duration) {
    nd_time time = 77;
    ck_assert_msg(nd_duration_parse(bad_durations[_i], &time) == -1, "'%s' was read", bad_durations[_i]);
    ck_assert_int_eq(time, 77);
}
END_TEST

START_TEST(writes_durations_as_they_are_read) {
    char text[64];
    struct nd_line line;
    nd_time time;
    static const nd_time times[] = {0, ND_MSEC, 90 * ND_SEC, 3600 * ND_SEC, 3661 * ND_SEC + 5 * ND_MSEC};
    nd_line_start(&line, text, sizeof text);
    nd_line_put_duration(&line, times[_i]);
    ck_assert_int_eq(nd_duration_parse(text, &time), 0);
    ck_assert_int_eq(time, times[_i]);
}
END_TEST

/* By that a limit of the operator's is known from the default. */
START_TEST(the_default_of_resolve_is_none_that_can_be_set) {
    char text[64];
    struct nd_line line;
    nd_time time;
    nd_settings_defaults(&settings);
    nd_line_start(&line, text, sizeof text);
    nd_line_put_duration(&line, settings.resolve);
    ck_assert_str_eq(text, "15s");
    ck_assert_int_eq(nd_duration_parse(text, &time), 0);
    ck_assert_int_ne(time, settings.resolve);
}
END_TEST

START_TEST(has_the_defaults_of_the_manual) {
    nd_settings_defaults(&settings);
    ck_assert_int_eq(settings.resolve, ND_RESOLVE_DEFAULT);
    ck_assert_int_eq(settings.connect, 10 * ND_SEC);
    ck_assert_int_eq(settings.outbound.tls_handshake, 10 * ND_SEC);
    ck_assert_int_eq(settings.outbound.tls_shutdown, 5 * ND_SEC);
    ck_assert_int_eq(settings.outbound.unacked, 60 * ND_SEC);
    ck_assert_int_eq(settings.inbound.unacked, 60 * ND_SEC);
    const struct nd_limits inbound = {.unacked = 60 * ND_SEC, .keepalive = 300 * ND_SEC, .tls_handshake = 60 * ND_SEC};
    ck_assert_mem_eq(&settings.inbound, &inbound, sizeof inbound);
    const struct nd_limits outbound = {
        .unacked = 60 * ND_SEC, .keepalive = 60 * ND_SEC, .tls_handshake = 10 * ND_SEC, .tls_shutdown = 5 * ND_SEC};
    ck_assert_mem_eq(&settings.outbound, &outbound, sizeof outbound);
    ck_assert_int_eq(settings.accept, 0);
    ck_assert_int_eq(settings.stale, 0);
    ck_assert_int_eq(settings.establish, 0);
    ck_assert_int_eq(settings.mode, ND_MODE_ENFORCE);
    ck_assert_int_eq(settings.log, ND_LOG_OFF);
    ck_assert_int_eq(settings.log_format, ND_LOG_LOGFMT);
    ck_assert(!settings.backtrace);
    ck_assert_str_eq(settings.statsd, "");
}
END_TEST

START_TEST(reads_every_setting) {
    char *environment[] = {
        "HOME=/",
        "NETDEADLINE_RECV=1s",
        "NETDEADLINE_INBOUND_RECV=2s",
        "NETDEADLINE_INBOUND_LIFETIME=3s",
        "NETDEADLINE_ACCEPT=4s",
        "NETDEADLINE_STALE=5s",
        "NETDEADLINE_ESTABLISH=6s",
        "NETDEADLINE_MIN_RATE=1k/30s",
        "NETDEADLINE_INBOUND_MIN_RATE=5M/1m",
        "NETDEADLINE_MODE=observe",
        "NETDEADLINE_LOG=/var/log/x",
        "NETDEADLINE_LOG_FORMAT=json",
        "NETDEADLINE_RESOLVE_ERROR=fail",
        "NETDEADLINE_BACKTRACE=on",
        "NETDEADLINE_STATSD=[::1]:8125",
        "NETDEADLINE_CONFIG=/x",
        "NETDEADLINE_ONLY=a",
        "NETDEADLINE_SKIP=b",
        "NOT_NETDEADLINE_FOO=1",
        NULL,
    };
    ck_assert_ptr_null(read_environment(environment));
    ck_assert_int_eq(settings.outbound.recv, ND_SEC);
    ck_assert_int_eq(settings.inbound.recv, 2 * ND_SEC);
    ck_assert_int_eq(settings.inbound.lifetime, 3 * ND_SEC);
    ck_assert_int_eq(settings.accept, 4 * ND_SEC);
    ck_assert_int_eq(settings.stale, 5 * ND_SEC);
    ck_assert_int_eq(settings.establish, 6 * ND_SEC);
    ck_assert_uint_eq(settings.outbound.min_rate_bytes, 1024);
    ck_assert_int_eq(settings.outbound.min_rate_window, 30 * ND_SEC);
    ck_assert_uint_eq(settings.inbound.min_rate_bytes, 5 * 1024 * 1024);
    ck_assert_int_eq(settings.inbound.min_rate_window, 60 * ND_SEC);
    ck_assert_int_eq(settings.mode, ND_MODE_OBSERVE);
    ck_assert_int_eq(settings.log, ND_LOG_FILE);
    ck_assert_str_eq(settings.log_path, "/var/log/x");
    ck_assert_int_eq(settings.log_format, ND_LOG_JSON);
    ck_assert_int_eq(settings.resolve_error, ND_RESOLVE_FAIL);
    ck_assert(settings.backtrace);
    ck_assert_str_eq(settings.statsd, "[::1]:8125");
}
END_TEST

START_TEST(every_time_goes_to_a_place_of_its_own) {
    nd_settings_defaults(&settings);
    for (size_t i = 0; i < nd_setting_count; i++)
        if (nd_setting_table[i].kind == ND_SETTING_TIME)
            for (size_t j = i + 1; j < nd_setting_count; j++)
                ck_assert(nd_setting_table[j].kind != ND_SETTING_TIME ||
                          nd_setting_table[i].field != nd_setting_table[j].field);
}
END_TEST

START_TEST(inbound_unacked_follows_unacked) {
    ck_assert_ptr_null(read_one("NETDEADLINE_UNACKED=7s"));
    ck_assert_int_eq(settings.outbound.unacked, 7 * ND_SEC);
    ck_assert_int_eq(settings.inbound.unacked, 7 * ND_SEC);
    char *both[] = {"NETDEADLINE_INBOUND_UNACKED=1s", "NETDEADLINE_UNACKED=7s", NULL};
    ck_assert_ptr_null(read_environment(both));
    ck_assert_int_eq(settings.outbound.unacked, 7 * ND_SEC);
    ck_assert_int_eq(settings.inbound.unacked, ND_SEC);
    ck_assert_ptr_null(read_one("NETDEADLINE_INBOUND_UNACKED=off"));
    ck_assert_int_eq(settings.outbound.unacked, 60 * ND_SEC);
    ck_assert_int_eq(settings.inbound.unacked, 0);
    char *bad[] = {"NETDEADLINE_INBOUND_UNACKED=x", "NETDEADLINE_UNACKED=7s", NULL};
    ck_assert_str_eq(read_environment(bad), "netdeadline: NETDEADLINE_INBOUND_UNACKED=\"x\" cannot be read, using 7s");
}
END_TEST

START_TEST(the_first_of_two_counts) {
    char *twice[] = {"NETDEADLINE_RECV=1s", "NETDEADLINE_RECV=2s", NULL};
    ck_assert_ptr_null(read_environment(twice));
    ck_assert_int_eq(settings.outbound.recv, ND_SEC);
}
END_TEST

static const struct {
    const char *variable, *line;
} complained[] = {
    {"NETDEADLINE_RECV=3 seconds", "NETDEADLINE_RECV=\"3 seconds\" cannot be read, using off"},
    {"NETDEADLINE_CONNECT=-1s", "NETDEADLINE_CONNECT=\"-1s\" cannot be read, using 10s"},
    {"NETDEADLINE_CONNECT=1e9h", "NETDEADLINE_CONNECT=\"1e9h\" cannot be read, using 10s"},
    {"NETDEADLINE_UNACKED=", "NETDEADLINE_UNACKED=\"\" cannot be read, using 1m"},
    {"NETDEADLINE_MODE=Enforce", "NETDEADLINE_MODE=\"Enforce\" cannot be read, using enforce"},
    {"NETDEADLINE_LOG=relative/path", "NETDEADLINE_LOG=\"relative/path\" cannot be read, using off"},
    {"NETDEADLINE_LOG=", "NETDEADLINE_LOG=\"\" cannot be read, using off"},
    {"NETDEADLINE_LOG_FORMAT=xml", "NETDEADLINE_LOG_FORMAT=\"xml\" cannot be read, using logfmt"},
    {"NETDEADLINE_BACKTRACE=2", "NETDEADLINE_BACKTRACE=\"2\" cannot be read, using 0"},
    {"NETDEADLINE_MIN_RATE=1k", "NETDEADLINE_MIN_RATE=\"1k\" cannot be read, using off"},
    {"NETDEADLINE_MIN_RATE=0/1s", "NETDEADLINE_MIN_RATE=\"0/1s\" cannot be read, using off"},
    {"NETDEADLINE_MIN_RATE=1k/off", "NETDEADLINE_MIN_RATE=\"1k/off\" cannot be read, using off"},
    {"NETDEADLINE_MIN_RATE=1kk/1s", "NETDEADLINE_MIN_RATE=\"1kk/1s\" cannot be read, using off"},
    {"NETDEADLINE_MIN_RATE=18446744073709551615k/1s",
     "NETDEADLINE_MIN_RATE=\"18446744073709551615k/1s\" cannot be read, using off"},
    {"NETDEADLINE_STATSD=localhost:8125", "NETDEADLINE_STATSD=\"localhost:8125\" cannot be read, using off"},
    {"NETDEADLINE_STATSD=127.0.0.1", "NETDEADLINE_STATSD=\"127.0.0.1\" cannot be read, using off"},
    {"NETDEADLINE_STATSD=127.0.0.1:", "NETDEADLINE_STATSD=\"127.0.0.1:\" cannot be read, using off"},
    {"NETDEADLINE_STATSD=127.0.0.1:65536", "NETDEADLINE_STATSD=\"127.0.0.1:65536\" cannot be read, using off"},
    {"NETDEADLINE_STATSD=::1:8125", "NETDEADLINE_STATSD=\"::1:8125\" cannot be read, using off"},
    {"NETDEADLINE_STATSD=[::1", "NETDEADLINE_STATSD=\"[::1\" cannot be read, using off"},
    {"NETDEADLINE_STATSD=[", "NETDEADLINE_STATSD=\"[\" cannot be read, using off"},
    {"NETDEADLINE_FOO=1", "NETDEADLINE_FOO is not a setting, ignored"},
    {"NETDEADLINE_REC=1s", "NETDEADLINE_REC is not a setting, ignored"},
    {"NETDEADLINE_RECVX=1s", "NETDEADLINE_RECVX is not a setting, ignored"},
    {"NETDEADLINE_=1s", "NETDEADLINE_ is not a setting, ignored"},
    {"NETDEADLINE_RECV=\033[31m\"\xff", "NETDEADLINE_RECV=\"\\u001b[31m\\\"\\ufffd\" cannot be read, using off"},
    {"NETDEADLINE_RECV=0123456789012345678901234567890123456789012345678901234567890123456789",
     "NETDEADLINE_RECV=\"012345678901234567890123456789012345678901234567...\" cannot be read, using off"},
};

START_TEST(complains_and_keeps_the_default) {
    struct nd_settings defaults;
    nd_settings_defaults(&defaults);
    const char *line = read_one(complained[_i].variable);
    ck_assert_ptr_nonnull(line);
    ck_assert_int_eq(strncmp(line, "netdeadline: ", 13), 0);
    ck_assert_str_eq(line + 13, complained[_i].line);
    ck_assert_mem_eq(&settings, &defaults, sizeof settings);
}
END_TEST

START_TEST(refuses_a_path_that_does_not_fit) {
    char variable[400] = "NETDEADLINE_LOG=";
    size_t start = strlen(variable);
    memset(variable + start, '/', 255);
    ck_assert_ptr_null(read_one(variable));
    ck_assert_uint_eq(strlen(settings.log_path), 255);
    memset(variable + start, '/', 256);
    ck_assert_ptr_nonnull(read_one(variable));
    ck_assert_int_eq(settings.log, ND_LOG_OFF);
}
END_TEST

START_TEST(several_complaints_are_one_line) {
    char *two[] = {"NETDEADLINE_FOO=1", "NETDEADLINE_RECV=3 seconds", NULL};
    ck_assert_str_eq(read_environment(two), "netdeadline: NETDEADLINE_RECV=\"3 seconds\" cannot be read, using off; "
                                            "NETDEADLINE_FOO is not a setting, ignored");
}
END_TEST

START_TEST(many_complaints_are_counted) {
    char variables[40][32], *environment[41] = {NULL};
    for (int i = 0; i < 40; i++) {
        snprintf(variables[i], sizeof variables[i], "NETDEADLINE_BAD%d=1", i);
        environment[i] = variables[i];
    }
    const char *line = read_environment(environment);
    ck_assert_uint_lt(strlen(line), sizeof complaints.text);
    ck_assert_ptr_null(strchr(line, '\n'));
    int told = 0;
    for (const char *at = line; (at = strstr(at, "not a setting")); at++)
        told++;
    char end[32];
    snprintf(end, sizeof end, "; and %d more", 40 - told);
    ck_assert_int_gt(told, 3);
    ck_assert_str_eq(line + strlen(line) - strlen(end), end);
}
END_TEST

START_TEST(one_complaint_too_long_is_still_told) {
    char long_text[600];
    memset(long_text, 'x', sizeof long_text - 1);
    long_text[sizeof long_text - 1] = '\0';
    nd_warnings_start(&complaints);
    nd_warnings_add(long_text, &complaints);
    ck_assert_str_eq(nd_warnings_line(&complaints), "netdeadline: bad settings: 1");
}
END_TEST

START_TEST(survives_no_environment) {
    ck_assert_ptr_null(read_environment(NULL));
    ck_assert_ptr_null(read_environment((char *[]){NULL}));
}
END_TEST

/* Values of every kind come out as they went in. */
static const char *const round_trip[][2] = {
    {"RECV", "1m30s"},
    {"MIN_RATE", "1k/30s"},
    {"MIN_RATE", "1500/1s"},
    {"MIN_RATE", "3G/1h"},
    {"MODE", "observe"},
    {"LOG", "syslog"},
    {"LOG", "/x/y"},
    {"LOG_FORMAT", "json"},
    {"RESOLVE_ERROR", "fail"},
    {"RESOLVE_ERROR", "again"},
    {"BACKTRACE", "1"},
    {"STATSD", "1.2.3.4:5"},
    {"STATSD", "off"},
    {"INBOUND_SEND", "off"},
    {"STATSD", "[fe80::1]:65535"},
};

START_TEST(writes_values_as_they_are_read) {
    char text[300];
    struct nd_line line;
    const struct nd_setting *setting = nd_setting_find(round_trip[_i][0], strlen(round_trip[_i][0]));
    ck_assert_ptr_nonnull(setting);
    nd_settings_defaults(&settings);
    ck_assert_int_eq(nd_setting_read(setting, round_trip[_i][1], &settings), 0);
    nd_line_start(&line, text, sizeof text);
    nd_setting_put(setting, &settings, &line);
    ck_assert_str_eq(text, round_trip[_i][1]);
}
END_TEST

#define COUNT(array) ((int)(sizeof(array) / sizeof(array)[0]))

void add_tests(TCase *tests) {
    tcase_add_loop_test(tests, reads_good_duration, 0, COUNT(good_durations));
    tcase_add_loop_test(tests, refuses_bad_duration, 0, COUNT(bad_durations));
    tcase_add_loop_test(tests, writes_durations_as_they_are_read, 0, 5);
    tcase_add_test(tests, the_default_of_resolve_is_none_that_can_be_set);
    tcase_add_test(tests, has_the_defaults_of_the_manual);
    tcase_add_test(tests, reads_every_setting);
    tcase_add_test(tests, every_time_goes_to_a_place_of_its_own);
    tcase_add_test(tests, inbound_unacked_follows_unacked);
    tcase_add_test(tests, the_first_of_two_counts);
    tcase_add_loop_test(tests, complains_and_keeps_the_default, 0, COUNT(complained));
    tcase_add_test(tests, refuses_a_path_that_does_not_fit);
    tcase_add_test(tests, several_complaints_are_one_line);
    tcase_add_test(tests, many_complaints_are_counted);
    tcase_add_test(tests, one_complaint_too_long_is_still_told);
    tcase_add_test(tests, survives_no_environment);
    tcase_add_loop_test(tests, writes_values_as_they_are_read, 0, COUNT(round_trip));
}
