#include "resolver/nsswitch.h"

#include <gnu/libc-version.h>
#include <string.h>

#include "tests/unit/unit.h"

#define COUNT(a) ((int)(sizeof(a) / sizeof *(a)))

/* `sources`: f files, d dns, l what only libc can ask; NULL: libc decides. */
static const struct {
    const char *line, *name, *sources;
} cases[] = {
    {"hosts: files dns\n", "a", "fd"},
    {"hosts:dns files", "a", "df"},
    {" hosts :\tfiles dns\n", "a", "fd"},
    {"hosts: files\nhosts: dns\n", "a", "d"},
    {"networks: sss\nhosts: files dns\n", "a", "fd"},
    {"hosts: files dns [NOTFOUND=return]\n", "a", "fd"},
    {"hosts: files [SUCCESS=return] dns\n", "a", "fd"},
    {"hosts: files [notfound=continue]dns\n", "a", "fd"},
    {"hosts: files [NOTFOUND=return] dns\n", "a", "fl"},
    {"hosts: files [SUCCESS=continue] dns\n", "a", NULL},
    {"hosts: files [!UNAVAIL=return] dns\n", "a", "fl"},
    {"hosts: files [SUCCESS=merge] dns\n", "a", NULL},
    {"hosts: files [broken dns\n", "a", NULL},
    {"hosts: files [!SUCCESS=return] sss\n", "a", "fl"},
    {"hosts: files [!NOTFOUND=continue] sss\n", "a", NULL},
    {"hosts: files [SUCCESS=continue SUCCESS=return] sss\n", "a", "fl"},
    {"hosts: files [NOTFOUND=merge] dns\n", "a", "fl"},
    {"hosts: files sss [broken\n", "a", NULL},
    {"hosts: files sss [NOTFOUND]\n", "a", NULL},
    {"hosts: files sss [NOTFOUND=go]\n", "a", NULL},
    {"hosts: sss files\n", "a", NULL},
    {"hosts: dns sss\n", "a", NULL},
    {"hosts: files files dns sss\n", "a", "ffl"},
    {"hosts: [NOTFOUND=return] dns\n", "a", NULL},
    {"hosts:\n", "a", NULL},
    {"hosts: files sss dns\n", "a", "fl"},
    {"hosts: files resolve [!UNAVAIL=return] dns\n", "a", "fl"},
    {"hosts: files mdns4_minimal [NOTFOUND=return] dns\n", "a.example", "fd"},
    {"hosts: files mdns4_minimal [NOTFOUND=return] dns\n", "printer.local", "fl"},
    {"hosts: files mdns4_minimal [NOTFOUND=return] dns\n", "Printer.LOCAL.", "fl"},
    {"hosts: files mdns4_minimal [NOTFOUND=return] dns\n", NULL, "fl"},
    {"hosts: files dns myhostname\n", "a", "fd"},
    {"hosts: files dns myhostname\n", "localhost", "fl"},
    {"hosts: files dns myhostname\n", "foo.localhost.", "fl"},
    {"hosts: files dns myhostname\n", "_gateway", "fl"},
    {"hosts: files dns files dns files\n", "a", "fl"},
};

START_TEST(decides_for_each_name) {
    struct nd_sources sources;
    char got[8] = "";
    const char *why = nd_nsswitch_decide(&sources, cases[_i].line, strlen(cases[_i].line), cases[_i].name);
    ck_assert_msg(!why == !!cases[_i].sources, "%s: %s", cases[_i].line, why ? why : "ours");
    for (int i = 0; !why && i < sources.count; i++)
        got[i] = sources.list[i] == ND_SOURCE_FILES ? 'f' : 'd';
    if (!why && sources.rest_why)
        strcat(got, "l");
    if (!why)
        ck_assert_str_eq(got, cases[_i].sources);
}
END_TEST

static const char *version = "2.36";

const char *gnu_get_libc_version(void) {
    return version;
}

static const char *decide(const char *line) {
    static struct nd_sources sources;
    static char got[8];
    const char *why = nd_nsswitch_decide(&sources, line, strlen(line), "a");
    memset(got, 0, sizeof got);
    for (int i = 0; i < sources.count; i++)
        got[i] = sources.list[i] == ND_SOURCE_FILES ? 'f' : 'd';
    if (sources.rest_why)
        strcat(got, "l");
    return why ? "libc" : got;
}

START_TEST(reads_the_file_as_the_running_libc) {
    ck_assert_str_eq(decide(""), "fd");
    ck_assert_str_eq(decide("#hosts: dns\n"), "fd");
    ck_assert_str_eq(decide("# hosts: dns\n"), "fd");
    ck_assert_str_eq(decide("hosts: files # dns\n"), "fd");
    ck_assert_str_eq(decide("hosts: files #dns\n"), "f");
    ck_assert_str_eq(decide("hosts: files # sss\n"), "fl");
    version = "2.34";
    ck_assert_str_eq(decide(""), "libc");
    ck_assert_str_eq(decide("hosts: files # dns\n"), "fd");
    version = "2.31";
    ck_assert_str_eq(decide(""), "libc");
    ck_assert_str_eq(decide("hosts: files # dns\n"), "f");
    ck_assert_str_eq(decide("hosts: files dns # sss [NOTFOUND=return]\n"), "fd");
}
END_TEST

void add_tests(TCase *tests) {
    tcase_add_loop_test(tests, decides_for_each_name, 0, COUNT(cases));
    tcase_add_test(tests, reads_the_file_as_the_running_libc);
}
