#include "cli/guard_unit.h"

#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/unit/unit.h"

/* A cgroup file system of directories alone. */
static char root[] = "/tmp/guard_unit_XXXXXX";

static void make(const char *path) {
    char whole[1024];
    snprintf(whole, sizeof whole, "%s/%s/", root, path);
    for (char *at = whole + strlen(root) + 1; (at = strchr(at, '/')); at++) {
        *at = '\0';
        mkdir(whole, 0700);
        *at = '/';
    }
    ck_assert_int_eq(access(whole, F_OK), 0);
}

/* Where the unit is, below the root; "" for nowhere. */
static const char *find(const char *unit) {
    static char out[1024];
    return guard_unit_find(root, unit, out, sizeof out) ? out + strlen(root) + 1 : "";
}

static void start(void) {
    strcpy(root + sizeof root - 7, "XXXXXX");
    ck_assert(mkdtemp(root));
}

static int take_away(const char *path, const struct stat *status, int kind, struct FTW *place) {
    (void)status, (void)kind, (void)place;
    return rmdir(path);
}

static void stop(void) {
    nftw(root, take_away, 16, FTW_DEPTH | FTW_PHYS);
}

START_TEST(in_slices) {
    make("system.slice/nginx.service");
    make("system.slice/system-getty.slice/getty@tty1.service");
    make("a.slice/a-b.slice/a-b\\x2dc.slice/deep.service");
    make("system.slice/system-x\\x2dy.slice/x\\x2dy@a-b.c.service");
    ck_assert_str_eq(find("nginx.service"), "system.slice/nginx.service");
    ck_assert_str_eq(find("getty@tty1.service"), "system.slice/system-getty.slice/getty@tty1.service");
    ck_assert_str_eq(find("deep.service"), "a.slice/a-b.slice/a-b\\x2dc.slice/deep.service");
    ck_assert_str_eq(find("x\\x2dy@a-b.c.service"), "system.slice/system-x\\x2dy.slice/x\\x2dy@a-b.c.service");
    ck_assert_str_eq(find("a-b.slice"), "a.slice/a-b.slice");
}
END_TEST

START_TEST(of_a_user) {
    make("user.slice/user-1000.slice/user@1000.service/app.slice/music.service");
    make("user.slice/user-1000.slice/session-3.scope");
    ck_assert_str_eq(find("music.service"), "user.slice/user-1000.slice/user@1000.service/app.slice/music.service");
    ck_assert_str_eq(find("user@1000.service"), "user.slice/user-1000.slice/user@1000.service");
    ck_assert_str_eq(find("session-3.scope"), "user.slice/user-1000.slice/session-3.scope");
}
END_TEST

START_TEST(a_container_s_is_farther) {
    make("machine.slice/m.scope/payload/system.slice/web.service");
    ck_assert_str_eq(find("web.service"), "machine.slice/m.scope/payload/system.slice/web.service");
    make("system.slice/web.service");
    ck_assert_str_eq(find("web.service"), "system.slice/web.service");
}
END_TEST

START_TEST(with_version_1) {
    make("systemd/system.slice/web.service");
    make("memory/system.slice/system-x.slice/web.service");
    ck_assert_str_eq(find("web.service"), "systemd/system.slice/web.service");
}
END_TEST

START_TEST(what_the_file_system_may_take_for_its_own) {
    make("system.slice/_cpu.service");
    make("system.slice/__x.service");
    ck_assert_str_eq(find("cpu.service"), "system.slice/_cpu.service");
    ck_assert_str_eq(find("_x.service"), "system.slice/__x.service");
}
END_TEST

START_TEST(nowhere) {
    make("system.slice/nginx.service.d");
    make("system.slice/xnginx.service");
    make("1/2/3/4/5/6/7/8/9/10/11/nginx.service");
    ck_assert_str_eq(find("nginx.service"), "");
    ck_assert_str_eq(find("nginx"), "");
    ck_assert_str_eq(find(".."), "");
}
END_TEST

void add_tests(TCase *tests) {
    tcase_add_checked_fixture(tests, start, stop);
    tcase_add_test(tests, in_slices);
    tcase_add_test(tests, of_a_user);
    tcase_add_test(tests, a_container_s_is_farther);
    tcase_add_test(tests, with_version_1);
    tcase_add_test(tests, what_the_file_system_may_take_for_its_own);
    tcase_add_test(tests, nowhere);
}
