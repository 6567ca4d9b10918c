#include "cli/guard_owners.h"

#include <stdlib.h>
#include <string.h>

#include "cli/process/descriptors.h"
#include "tests/unit/unit.h"

enum { DESCRIPTORS = 8 };

/* A process's descriptors: the inode of each one's socket, 0 where there is none; and how often they were read. */
static struct {
    uint32_t inodes[DESCRIPTORS];
    unsigned read;
} host;

static struct guard_policy policy;
static struct guard_target process = {.pid = 1, .policy = &policy};
static struct guard_target *processes[] = {&process};
static const struct guard_targets targets = {.entries = processes, .count = 1};
static struct connection entries[DESCRIPTORS];
static struct watch watch;

int descriptors_each(pid_t pid, bool (*is_known)(int fd, void *arg),
                     bool (*visit)(const struct process_descriptor *descriptor, void *arg), void *arg) {
    (void)pid;
    for (int fd = 0; fd < DESCRIPTORS; fd++) {
        if (!host.inodes[fd] || (is_known && is_known(fd, arg)))
            continue;
        host.read++;
        visit(&(struct process_descriptor){fd, DESCRIPTOR_SOCKET, host.inodes[fd]}, arg);
    }
    return 0;
}

const struct nd_settings *guard_policy_settings(struct guard_policy *its, const struct connection *connection,
                                                bool inbound) {
    (void)connection, (void)inbound;
    return &its->settings;
}

void connections_free(struct connection_list *list) {
    (void)list;
}

nd_time connection_outstanding(const struct connection *connection) {
    (void)connection;
    return 0;
}

static struct watched *watched_of(uint32_t inode) {
    const struct connection wanted = {.cookie = inode};
    return watch_find(&watch, &wanted, 0);
}

/* The kernel lists connections with these inodes, from 1 on. */
static void list(const char *inodes) {
    watch.look++;
    watch.list = (struct connection_list){.entries = entries};
    for (; *inodes; inodes++) {
        const uint32_t inode = (uint32_t)(*inodes - '0');
        entries[watch.list.count++] = (struct connection){.cookie = inode, .inode = inode};
        watched_of(inode)->seen = watch.look;
        watched_of(inode)->inode = inode;
    }
}

static void start(void) {
    memset(&host, 0, sizeof host);
    watch = (struct watch){.netlink = -1};
    host.inodes[3] = 1;
    host.inodes[4] = 2;
    list("12");
    guard_owners_find(&targets, &watch, 1, false);
    ck_assert_uint_eq(host.read, 2);
    host.read = 0;
}

static void ck_owned(uint32_t inode, int fd) {
    ck_assert_ptr_eq(watched_of(inode)->owner, &process);
    ck_assert_int_eq(watched_of(inode)->fd, fd);
}

START_TEST(only_new_descriptors_are_read) {
    start();
    host.inodes[5] = 3;
    list("123");
    ck_assert(!guard_owners_find_new(&targets, &watch, 1, false));
    ck_assert_uint_eq(host.read, 1);
    ck_owned(1, 3);
    ck_owned(2, 4);
    ck_owned(3, 5);
    watch_free(&watch);
}
END_TEST

/* A connection was closed, and another one has its descriptor. */
START_TEST(a_number_that_is_used_again_is_read_again) {
    start();
    host.inodes[3] = 3;
    list("23");
    ck_assert(!guard_owners_find_new(&targets, &watch, 1, false));
    ck_owned(2, 4);
    ck_owned(3, 3);
    watch_free(&watch);
}
END_TEST

/* The connection that a descriptor had is open in another one since. */
START_TEST(an_owner_that_is_not_found_is_told) {
    start();
    host.inodes[3] = 3;
    host.inodes[6] = 1;
    list("123");
    ck_assert(guard_owners_find_new(&targets, &watch, 1, false));
    ck_assert_ptr_null(watched_of(3)->owner);
    ck_owned(1, 3);
    guard_owners_find(&targets, &watch, 1, false);
    ck_owned(3, 3);
    ck_owned(1, 6);
    watch_free(&watch);
}
END_TEST

START_TEST(one_that_left_its_descriptor_is_looked_for_again) {
    start();
    host.inodes[3] = 0;
    host.inodes[6] = 1;
    watched_of(1)->was_looked_for = false;
    list("12");
    ck_assert(!guard_owners_find_new(&targets, &watch, 1, false));
    ck_owned(1, 6);
    watch_free(&watch);
}
END_TEST

void add_tests(TCase *tests) {
    tcase_add_test(tests, only_new_descriptors_are_read);
    tcase_add_test(tests, a_number_that_is_used_again_is_read_again);
    tcase_add_test(tests, an_owner_that_is_not_found_is_told);
    tcase_add_test(tests, one_that_left_its_descriptor_is_looked_for_again);
}
