#include "shim/socket/profile.h"

#include <arpa/inet.h>
#include <netdb.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/un.h>

#include "shim/call/lookup.h"
#include "shim/settings/environment.h"
#include "shim/settings/resolved_names.h"
#include "shim/settings/settings.h"
#include "tests/unit/unit.h"

static struct nd_program program;

static void complain(const char *text, void *arg) {
    (void)arg;
    ck_abort_msg("%s", text);
}

/* Starts with the settings that `text` makes. */
static void start(const char *text) {
    struct nd_word rest = {text, strlen(text)}, line;
    unsigned number = 0;
    nd_program_named(&program, "prog");
    nd_settings_defaults(&nd_settings);
    nd_rules_start(&nd_rules, &nd_settings, &program, "x.conf", complain, NULL);
    while (nd_next_line(&rest, &line))
        nd_rules_take_line(&nd_rules, line.at, line.size, ++number);
    nd_rules_finish(&nd_rules);
    nd_profile_start();
}

static uint8_t to(const char *address, uint16_t port) {
    struct sockaddr_in v4 = {.sin_family = AF_INET, .sin_port = htons(port)};
    struct sockaddr_in6 v6 = {.sin6_family = AF_INET6, .sin6_port = htons(port)};
    if (inet_pton(AF_INET, address, &v4.sin_addr) == 1)
        return nd_profile_to((struct sockaddr *)&v4, sizeof v4);
    ck_assert_int_eq(inet_pton(AF_INET6, address, &v6.sin6_addr), 1);
    return nd_profile_to((struct sockaddr *)&v6, sizeof v6);
}

static void found(const char *asked, const char *canonical, const char *address) {
    struct sockaddr_in v4 = {.sin_family = AF_INET};
    struct addrinfo list = {.ai_family = AF_INET, .ai_addr = (struct sockaddr *)&v4, .ai_addrlen = sizeof v4};
    ck_assert_int_eq(inet_pton(AF_INET, address, &v4.sin_addr), 1);
    nd_active = true;
    nd_lookup_found(NULL, asked, canonical, &list);
}

START_TEST(one_profile_for_one_set_of_rules) {
    start("CONNECT=9s\n[destination 10.0.0.0/8]\nRECV=1s\nCONNECT=2s\n[destination :80]\nSEND=3s\n");
    uint8_t first = to("10.0.0.1", 1), both = to("10.0.0.1", 80);
    ck_assert_uint_ne(first, 0);
    ck_assert_uint_eq(to("10.0.0.2", 1), first);
    ck_assert_uint_eq(to("::ffff:10.0.0.2", 1), first);
    ck_assert_uint_ne(both, first);
    ck_assert_uint_eq(to("11.0.0.1", 1), 0);
    ck_assert_uint_eq(to("::1", 1), 0);
    ck_assert_int_eq(nd_profiles[first].limits.recv, ND_SEC);
    ck_assert_int_eq(nd_profiles[first].limits.send, 0);
    ck_assert_int_eq(nd_profiles[first].connect, 2 * ND_SEC);
    ck_assert_int_eq(nd_profiles[both].limits.send, 3 * ND_SEC);
    ck_assert_int_eq(nd_profiles[both].limits.unacked, 60 * ND_SEC);
    ck_assert_int_eq(nd_profile_shortest, ND_SEC);
}
END_TEST

START_TEST(changed_settings_hold_everywhere) {
    start("[destination 10.0.0.1]\nRECV=1s\nMIN_RATE=1k/1s\n");
    uint8_t profile = to("10.0.0.1", 1);
    nd_settings.outbound.recv = 7 * ND_SEC;
    nd_settings.outbound.send = 8 * ND_SEC;
    nd_settings_generation++;
    nd_profile_renew();
    ck_assert_int_eq(nd_profiles[profile].limits.recv, 7 * ND_SEC);
    ck_assert_int_eq(nd_profiles[profile].limits.send, 8 * ND_SEC);
    ck_assert_uint_eq(nd_profiles[profile].limits.min_rate_bytes, 1024);
}
END_TEST

START_TEST(local_destinations) {
    struct sockaddr_un local = {.sun_family = AF_UNIX, .sun_path = "/run/x"};
    start("[destination unix:/run/*]\nRECV=1s\n");
    ck_assert_uint_ne(nd_profile_to((struct sockaddr *)&local, sizeof local), 0);
    strcpy(local.sun_path, "/tmp/x");
    ck_assert_uint_eq(nd_profile_to((struct sockaddr *)&local, sizeof local), 0);
    ck_assert_uint_eq(nd_profile_to((struct sockaddr *)&local, 1), 0);
}
END_TEST

START_TEST(names_of_addresses) {
    start("[destination db.test]\nRECV=1s\n[destination db.test:80]\nRECV=2s\n");
    ck_assert_uint_eq(to("10.0.0.1", 1), 0);
    found("DB.test.", NULL, "10.0.0.1");
    ck_assert_int_eq(nd_profiles[to("10.0.0.1", 1)].limits.recv, ND_SEC);
    ck_assert_int_eq(nd_profiles[to("10.0.0.1", 80)].limits.recv, 2 * ND_SEC);
    ck_assert_uint_eq(to("10.0.0.2", 80), 0);
    found("10.0.0.1", NULL, "10.0.0.1");
    ck_assert_uint_ne(to("10.0.0.1", 80), 0);
    found("other.test", NULL, "10.0.0.1"); /* the last name counts */
    ck_assert_uint_eq(to("10.0.0.1", 80), 0);
    found("alias", "db.test", "10.0.0.1");
    ck_assert_uint_ne(to("10.0.0.1", 80), 0);
}
END_TEST

START_TEST(names_of_a_hostent) {
    struct in6_addr address = {.s6_addr = {[15] = 1}};
    char *list[] = {(char *)&address, NULL};
    struct hostent host = {.h_name = "db.test", .h_addrtype = AF_INET6, .h_length = 16, .h_addr_list = list};
    start("[destination db.test]\nRECV=1s\n");
    nd_active = true;
    nd_lookup_found_host(NULL, "alias", &host);
    ck_assert_uint_ne(to("::1", 1), 0);
    host.h_length = 4;
    nd_lookup_found_host(NULL, "alias", &host); /* of no use, but no harm */
}
END_TEST

START_TEST(limit_of_an_establishment) {
    start("ESTABLISH=4s\n[destination slow.test]\nESTABLISH=9s\n[destination 10.0.0.0/8]\nESTABLISH=off\n");
    ck_assert(nd_profile_has_establish);
    ck_assert_int_eq(nd_profile_establish("slow.test"), 9 * ND_SEC);
    ck_assert_int_eq(nd_profile_establish("x.test"), 4 * ND_SEC);
    ck_assert_int_eq(nd_profiles[to("10.0.0.1", 1)].establish, 0);
    found("slow.test", NULL, "192.0.2.1");
    ck_assert_int_eq(nd_profiles[to("192.0.2.1", 1)].establish, 9 * ND_SEC);
    nd_settings.establish = ND_SEC;
    ck_assert_int_eq(nd_profile_establish("slow.test"), ND_SEC);
}
END_TEST

START_TEST(limit_of_a_lookup) {
    start("RESOLVE=4s\n[destination slow.test]\nRESOLVE=9s\n[destination *.off.test]\nRESOLVE=off\n");
    ck_assert_int_eq(nd_profile_resolve("slow.test."), 9 * ND_SEC);
    ck_assert_int_eq(nd_profile_resolve("x.off.test"), 0);
    ck_assert_int_eq(nd_profile_resolve("x.test"), 4 * ND_SEC);
    ck_assert_int_eq(nd_profile_resolve(NULL), 4 * ND_SEC);
    nd_settings.resolve = ND_SEC;
    ck_assert_int_eq(nd_profile_resolve("slow.test"), ND_SEC);
}
END_TEST

/* More addresses than there is room for: the first ones are forgotten. */
static const struct nd_set_where *where(uint8_t profile, const char *limit) {
    static struct nd_set_where set;
    set = nd_profile_where(profile, limit);
    return &set;
}

/* The narrowest section that sets a limit is the one that is told, as it is the one that holds. */
START_TEST(where_a_limit_was_set) {
    char *variables[] = {"NETDEADLINE_IDLE=9s", NULL};
    start("CONNECT=9s\n[destination 10.0.0.0/8]\nRECV=1s\nIDLE=2s\n[destination 10.0.0.1]\nRECV=2s\n[destination "
          "x.test]\n"
          "RESOLVE=3s\n[program prog]\nUNACKED=4s\n");
    uint8_t wide = to("10.0.0.2", 1), narrow = to("10.0.0.1", 1);
    ck_assert_uint_eq(where(wide, "RECV")->line, 3);
    ck_assert_uint_eq(where(narrow, "RECV")->line, 6);
    ck_assert_uint_eq(where(narrow, "RECV")->by, ND_SET_BY_FILE);
    ck_assert_uint_eq(where(narrow, "CONNECT")->line, 1);
    ck_assert_uint_eq(where(0, "CONNECT")->line, 1);
    ck_assert_uint_eq(where(narrow, "TLS_SHUTDOWN")->by, ND_SET_BY_DEFAULT);
    ck_assert_uint_eq(where(narrow, "what is none")->by, ND_SET_BY_DEFAULT);
    ck_assert_uint_eq(where(0, "INBOUND_UNACKED")->line, 10); /* it follows UNACKED */
    ck_assert_uint_eq(nd_profile_where_resolve("x.test").line, 8);
    ck_assert_uint_eq(nd_profile_where_resolve("y.test").by, ND_SET_BY_DEFAULT);
    ck_assert_uint_eq(nd_profile_where_resolve(NULL).by, ND_SET_BY_DEFAULT);
    nd_rules_take_environment(&nd_rules, variables);
    nd_profile_start();
    ck_assert_uint_eq(where(wide, "IDLE")->by, ND_SET_BY_ENVIRONMENT);
    ck_assert_uint_eq(where(wide, "IDLE")->line, 0);
    nd_settings.outbound.recv = 5 * ND_SEC;
    ck_assert_uint_eq(where(narrow, "RECV")->by, ND_SET_BY_COMMAND);
}
END_TEST

START_TEST(many_addresses) {
    char address[32];
    start("[destination db.test]\nRECV=1s\n");
    for (int i = 0; i < ND_RESOLVED_NAMES_ADDRESSES + 10; i++) {
        snprintf(address, sizeof address, "10.0.%d.%d", i / 256, i % 256);
        found("db.test", NULL, address);
    }
    ck_assert_uint_eq(to("10.0.0.9", 1), 0);
    ck_assert_uint_ne(to("10.0.0.10", 1), 0);
    ck_assert_uint_ne(to(address, 1), 0);
}
END_TEST

/* 200 places, each with and without the port, are more than there are profiles for. */
START_TEST(table_of_profiles_is_full) {
    static char text[1 << 14];
    char *end = text, address[32];
    for (int i = 0; i < 200; i++)
        end += sprintf(end, "[destination 10.0.0.%d]\nRECV=%ds\n", i + 1, i + 1);
    end += sprintf(end, "[destination :80]\nSEND=1s\n");
    start(text);
    int made = 0;
    for (int i = 0; i < 400; i++) {
        snprintf(address, sizeof address, "10.0.0.%d", i / 2 + 1);
        uint8_t profile = to(address, i % 2 ? 80 : 1);
        made += profile != 0;
        ck_assert_int_eq(profile != 0, i < 255);
        ck_assert_int_eq(nd_profiles[profile].limits.recv, profile ? (i / 2 + 1) * ND_SEC : 0);
        ck_assert_int_eq(nd_profiles[profile].limits.send, profile && i % 2 ? ND_SEC : 0);
    }
    ck_assert_int_eq(made, 255);
    ck_assert_uint_ne(to("10.0.0.1", 80), 0);
}
END_TEST

static void *race(void *arg) {
    char address[32];
    (void)arg;
    for (int i = 0; i < 400; i++) {
        snprintf(address, sizeof address, "10.0.0.%d", i % 200);
        found(i % 3 ? "db.test" : "other.test", NULL, address);
        uint8_t profile = to(address, (uint16_t)(i % 2 ? 80 : 1));
        if (profile && nd_profiles[profile].limits.recv != ND_SEC && nd_profiles[profile].limits.recv != 2 * ND_SEC)
            return &program;
    }
    return NULL;
}

START_TEST(threads_that_race) {
    pthread_t threads[4];
    void *wrong;
    start("[destination db.test]\nRECV=1s\n[destination db.test:80]\nRECV=2s\n");
    for (int i = 0; i < 4; i++)
        pthread_create(&threads[i], NULL, race, NULL);
    for (int i = 0; i < 4; i++) {
        pthread_join(threads[i], &wrong);
        ck_assert_ptr_null(wrong);
    }
}
END_TEST

void add_tests(TCase *tests) {
    tcase_add_test(tests, one_profile_for_one_set_of_rules);
    tcase_add_test(tests, changed_settings_hold_everywhere);
    tcase_add_test(tests, local_destinations);
    tcase_add_test(tests, names_of_addresses);
    tcase_add_test(tests, names_of_a_hostent);
    tcase_add_test(tests, limit_of_an_establishment);
    tcase_add_test(tests, limit_of_a_lookup);
    tcase_add_test(tests, where_a_limit_was_set);
    tcase_add_test(tests, many_addresses);
    tcase_add_test(tests, table_of_profiles_is_full);
    tcase_add_test(tests, threads_that_race);
}
