#include "resolver/file_cache.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "tests/unit/unit.h"

static char path[] = "/tmp/file_cache_test.XXXXXX";
static struct nd_file file;
static int parsed;

/* The time since which files seem to be written, and the time stamps that a file system with whole seconds would
 * give. */
static int64_t later_s = 100;
static bool whole_seconds;

int clock_gettime(clockid_t id, struct timespec *ts) {
    int result = (int)syscall(SYS_clock_gettime, id, ts);
    if (id == CLOCK_REALTIME_COARSE)
        ts->tv_sec += later_s;
    return result;
}

static void round_times(struct stat *s) {
    if (!whole_seconds)
        return;
    s->st_mtim = s->st_ctim = (struct timespec){.tv_sec = s->st_ctim.tv_sec / 100 * 100};
}

int stat(const char *name, struct stat *s) {
    int result = fstatat(AT_FDCWD, name, s, 0);
    round_times(s);
    return result;
}

int fstat(int fd, struct stat *s) {
    int result = fstatat(fd, "", s, AT_EMPTY_PATH);
    round_times(s);
    return result;
}

static void *count_parse(struct nd_snapshot *s) {
    __atomic_add_fetch(&parsed, 1, __ATOMIC_RELAXED);
    return strdup(s->text);
}

static void put_content(const char *text) {
    FILE *f = fopen(path, "w");
    fputs(text, f);
    fclose(f);
}

static void setup(void) {
    close(mkstemp(path));
    file = (struct nd_file){.path = path, .parse = count_parse, .destroy = free};
}

static void teardown(void) {
    nd_file_put(file.current);
    unlink(path);
}

static void expect(const char *text) {
    struct nd_snapshot *s = nd_file_get(&file);
    ck_assert_str_eq(s->text, text);
    ck_assert_str_eq(s->parsed, text);
    nd_file_put(s);
}

START_TEST(reads_once_and_again_when_changed) {
    setup();
    put_content("one");
    expect("one");
    expect("one");
    ck_assert_int_eq(parsed, 1);
    put_content("other");
    expect("other");
    unlink(path);
    struct nd_snapshot *s = nd_file_get(&file);
    ck_assert_int_eq(s->error, ENOENT);
    nd_file_put(s);
    put_content("back");
    expect("back");
    teardown();
}
END_TEST

START_TEST(a_snapshot_outlives_a_change) {
    setup();
    put_content("old");
    struct nd_snapshot *s = nd_file_get(&file);
    put_content("newer");
    expect("newer");
    ck_assert_str_eq(s->parsed, "old");
    nd_file_put(s);
    teardown();
}
END_TEST

START_TEST(a_fifo_does_not_hang) {
    setup();
    unlink(path);
    ck_assert_int_eq(mkfifo(path, 0600), 0);
    expect("");
    teardown();
}
END_TEST

START_TEST(a_child_takes_over_its_parent_s_lock) {
    setup();
    put_content("x");
    expect("x");
    file.lock = (int)getpid(); /* as if another thread held the lock during fork */
    pid_t child = fork();
    if (child == 0) {
        alarm(5);
        struct nd_snapshot *s = nd_file_get(&file);
        _exit(s && strcmp(s->text, "x") == 0 && file.lock == 0 ? 0 : 1);
    }
    int status;
    waitpid(child, &status, 0);
    ck_assert_int_eq(status, 0);
    expect("x"); /* the lock stays held: the file is read without the cache */
    teardown();
}
END_TEST

/* The same size and time stamps: only the content tells that the file has changed. */
START_TEST(a_young_file_is_read_again) {
    setup();
    whole_seconds = true;
    put_content("one");
    struct stat s;
    stat(path, &s);
    later_s = s.st_ctim.tv_sec + 1 - time(NULL);
    expect("one");
    put_content("two");
    expect("two");
    ck_assert_int_eq(parsed, 2);
    later_s += 100;
    expect("two");
    expect("two");
    ck_assert_int_eq(parsed, 2); /* the content is the same */
    whole_seconds = false;
    later_s = 0;
    put_content("now");
    expect("now");
    expect("now");
    ck_assert_int_eq(parsed, 3);
    later_s = -100; /* the clock was set back: a change would get other time stamps */
    put_content("new");
    expect("new");
    expect("new");
    ck_assert_int_eq(parsed, 4);
    teardown();
}
END_TEST

START_TEST(another_root_changes_nothing) {
    setup();
    file.of_first_root = true;
    put_content("outside");
    expect("outside");
    put_content("changed");
    expect("changed");
    char inside[] = "/tmp/file_cache_root.XXXXXX";
    ck_assert_ptr_nonnull(mkdtemp(inside));
    pid_t child = fork();
    if (child == 0) {
        if (chroot(inside) != 0)
            _exit(geteuid() == 0);
        struct nd_snapshot *s = nd_file_get(&file);
        _exit(s && strcmp(s->text, "changed") == 0 ? 0 : 1);
    }
    int status;
    waitpid(child, &status, 0);
    rmdir(inside);
    ck_assert_int_eq(status, 0);
    teardown();
}
END_TEST

static void *reader(void *stop) {
    while (!__atomic_load_n((int *)stop, __ATOMIC_RELAXED)) {
        struct nd_snapshot *s = nd_file_get(&file);
        ck_assert_str_eq(s->text, s->parsed);
        nd_file_put(s);
    }
    return NULL;
}

START_TEST(many_readers_and_a_writer) {
    pthread_t threads[8];
    int stop = 0;
    setup();
    for (int i = 0; i < 8; i++)
        pthread_create(&threads[i], NULL, reader, &stop);
    for (int i = 0; i < 200; i++)
        put_content(i % 2 ? "some" : "other text");
    __atomic_store_n(&stop, 1, __ATOMIC_RELAXED);
    for (int i = 0; i < 8; i++)
        pthread_join(threads[i], NULL);
    teardown();
}
END_TEST

void add_tests(TCase *tests) {
    tcase_add_test(tests, reads_once_and_again_when_changed);
    tcase_add_test(tests, a_snapshot_outlives_a_change);
    tcase_add_test(tests, a_fifo_does_not_hang);
    tcase_add_test(tests, a_child_takes_over_its_parent_s_lock);
    tcase_add_test(tests, a_young_file_is_read_again);
    tcase_add_test(tests, another_root_changes_nothing);
    tcase_add_test(tests, many_readers_and_a_writer);
}
