#include "resolver/server_memory.h"

#include <arpa/inet.h>

#include "tests/unit/unit.h"

#define WAIT (5 * ND_SEC)

static struct nd_resolv_conf conf = {.version = 1};

static union nd_server server(int number) {
    union nd_server s;
    memset(&s, 0, sizeof s);
    s.v4.sin_family = AF_INET;
    s.v4.sin_addr.s_addr = htonl(0x7f000000u + (unsigned)number);
    s.v4.sin_port = htons(53);
    return s;
}

static struct nd_server_known known(int number, nd_time now) {
    union nd_server s = server(number);
    return nd_server_known(&s, now);
}

static void unanswered(int number, nd_time waited, bool expired, nd_time now) {
    union nd_server s = server(number);
    nd_server_unanswered(&s, waited, WAIT, expired, now);
}

static void start(void) {
    conf.version++;
    nd_servers_renew(&conf);
}

START_TEST(a_silent_server_is_silent_for_a_while) {
    start();
    ck_assert(!known(1, 0).silent);
    unanswered(1, WAIT, false, WAIT);
    ck_assert(known(1, WAIT).silent && !known(2, WAIT).silent);
    ck_assert(known(1, WAIT + ND_SERVER_SILENT_FOR - 1).silent);
    ck_assert(!known(1, WAIT + ND_SERVER_SILENT_FOR).silent);
}
END_TEST

START_TEST(one_that_answers_is_not_silent) {
    union nd_server s = server(1);
    start();
    unanswered(1, WAIT, false, 0);
    nd_server_answered(&s);
    ck_assert(!known(1, 0).silent);
}
END_TEST

START_TEST(less_than_its_time_is_not_silence) {
    start();
    for (int i = 0; i < 10; i++)
        unanswered(1, WAIT - 1, false, 0);
    ck_assert(!known(1, 0).silent);
}
END_TEST

/* Where lookups may not take as long, several that got nothing count together. */
START_TEST(expired_lookups_add_up) {
    union nd_server s = server(1);
    start();
    unanswered(1, WAIT / 2, true, 0);
    ck_assert(!known(1, 0).silent);
    nd_server_answered(&s);
    unanswered(1, WAIT / 2, true, 0);
    ck_assert(!known(1, 0).silent);
    unanswered(1, WAIT / 2, true, 0);
    ck_assert(known(1, 0).silent);
}
END_TEST

START_TEST(all_is_forgotten_with_another_version_of_the_file) {
    union nd_server s = server(1);
    struct nd_resolv_conf other = {.version = 0};
    start();
    nd_server_answers_one_a_port(&s);
    unanswered(1, WAIT, false, 0);
    nd_servers_renew(&conf);
    nd_servers_renew(&other); /* not of the file */
    ck_assert(known(1, 0).silent && known(1, 0).one_answer_a_port);
    start();
    ck_assert(!known(1, 0).silent && !known(1, 0).one_answer_a_port);
}
END_TEST

START_TEST(it_has_an_end) {
    start();
    for (int i = 0; i < 1000; i++)
        unanswered(i, WAIT, false, 0);
    ck_assert(known(999, 0).silent && !known(1, 0).silent);
}
END_TEST

void add_tests(TCase *tests) {
    tcase_add_test(tests, a_silent_server_is_silent_for_a_while);
    tcase_add_test(tests, one_that_answers_is_not_silent);
    tcase_add_test(tests, less_than_its_time_is_not_silence);
    tcase_add_test(tests, expired_lookups_add_up);
    tcase_add_test(tests, all_is_forgotten_with_another_version_of_the_file);
    tcase_add_test(tests, it_has_an_end);
}
