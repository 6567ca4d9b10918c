#include "shim/real.h"

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tests/unit/unit.h"

static int ends[2];

static void start(void) {
    ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, ends), 0);
}

static void end(void) {
    close(ends[0]);
    close(ends[1]);
}

/* Before anything is bound each call is the system call. */
START_TEST(unbound_calls_move_bytes) {
    char buf[8] = "";
    struct iovec iov = {buf, sizeof buf};
    struct msghdr msg = {.msg_iov = &iov, .msg_iovlen = 1};
    ck_assert_int_eq(nd_real.write(ends[0], "write", 5), 5);
    ck_assert_int_eq(nd_real.read(ends[1], buf, sizeof buf), 5);
    ck_assert_mem_eq(buf, "write", 5);
    ck_assert_int_eq(nd_real.send(ends[0], "send", 4, 0), 4);
    ck_assert_int_eq(nd_real.recv(ends[1], buf, sizeof buf, MSG_PEEK), 4);
    ck_assert_int_eq(nd_real.__recv_chk(ends[1], buf, 2, sizeof buf, MSG_PEEK), 2);
    ck_assert_int_eq(nd_real.recvmsg(ends[1], &msg, 0), 4);
    ck_assert_mem_eq(buf, "send", 4);
    ck_assert_int_eq(nd_real.sendto(ends[0], "to", 2, 0, NULL, 0), 2);
    ck_assert_int_eq(nd_real.recvfrom(ends[1], buf, sizeof buf, 0, NULL, NULL), 2);
    ck_assert_int_eq(nd_real.recv(ends[1], buf, sizeof buf, MSG_DONTWAIT), -1);
    ck_assert_int_eq(errno, EAGAIN);
}
END_TEST

START_TEST(unbound_waits_keep_the_programs_values) {
    struct pollfd pollfd = {.fd = ends[0], .events = POLLOUT};
    struct timespec spec = {0, 1000000};
    struct timeval val = {5, 0};
    fd_set set;
    ck_assert_int_eq(nd_real.poll(&pollfd, 1, -1), 1);
    pollfd.events = POLLIN;
    ck_assert_int_eq(nd_real.poll(&pollfd, 1, 1), 0);
    ck_assert_int_eq(nd_real.ppoll(&pollfd, 1, &spec, NULL), 0);
    ck_assert_int_eq(spec.tv_nsec, 1000000); /* libc's ppoll leaves it, the kernel's does not */
    ck_assert_int_eq(nd_real.pselect(0, NULL, NULL, NULL, &spec, NULL), 0);
    ck_assert_int_eq(spec.tv_nsec, 1000000);
    FD_ZERO(&set);
    FD_SET(ends[0], &set);
    ck_assert_int_eq(nd_real.select(ends[0] + 1, NULL, &set, NULL, &val), 1);
    ck_assert(val.tv_sec == 4 || (val.tv_sec == 5 && val.tv_usec == 0)); /* what was left of it */
    val = (struct timeval){0, 1000};
    FD_ZERO(&set);
    ck_assert_int_eq(nd_real.select(1, &set, NULL, NULL, &val), 0);
    ck_assert_int_eq(val.tv_sec + val.tv_usec, 0);
}
END_TEST

START_TEST(unbound_descriptor_calls) {
    int copy = nd_real.dup(ends[0]);
    ck_assert_int_ge(copy, 0);
    ck_assert_int_eq(nd_real.dup2(copy, copy), copy);
    ck_assert_int_eq(nd_real.dup2(-1, copy), -1);
    ck_assert_int_eq(errno, EBADF);
    ck_assert_int_eq(nd_real.fcntl(copy, F_SETFL, (void *)O_NONBLOCK), 0);
    ck_assert(nd_real.fcntl(ends[0], F_GETFL, NULL) & O_NONBLOCK);
    ck_assert_int_eq(nd_real.close(copy), 0);
    ck_assert_int_eq(nd_real.close(copy), -1);
    ck_assert_int_eq(errno, EBADF);
}
END_TEST

START_TEST(unbound_connections) {
    struct sockaddr_in name = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof name, type_len = sizeof(int);
    int type = 0, listener = nd_real.socket(AF_INET, SOCK_STREAM, 0), client = nd_real.socket(AF_INET, SOCK_STREAM, 0);
    ck_assert_int_eq(nd_real.bind(listener, (struct sockaddr *)&name, len), 0);
    ck_assert_int_eq(nd_real.listen(listener, 1), 0);
    ck_assert_int_eq(getsockname(listener, (struct sockaddr *)&name, &len), 0);
    ck_assert_int_eq(nd_real.connect(client, (struct sockaddr *)&name, len), 0);
    int server = nd_real.accept(listener, NULL, NULL);
    ck_assert_int_ge(server, 0);
    ck_assert_int_eq(nd_real.getsockopt(server, SOL_SOCKET, SO_TYPE, &type, &type_len), 0);
    ck_assert_int_eq(type, SOCK_STREAM);
    close(listener);
    close(client);
    close(server);
}
END_TEST

START_TEST(a_fortified_call_too_large_ends_the_program) {
    char buf[4];
    nd_real.__read_chk(ends[1], buf, sizeof buf + 1, sizeof buf);
}
END_TEST

/* What has no system call behind it is bound by its first use. */
START_TEST(a_lookup_before_the_start_binds_everything) {
    struct addrinfo *found, hints = {.ai_flags = AI_NUMERICHOST};
    ck_assert_int_eq(nd_real.getaddrinfo("127.0.0.1", NULL, &hints, &found), 0);
    ck_assert_int_eq(found->ai_family, AF_INET);
    freeaddrinfo(found);
    ck_assert(nd_real.getaddrinfo == getaddrinfo);
}
END_TEST

static void check_bound(const char *name, const void *pointer) {
    const void *expected = dlsym(RTLD_NEXT, name);
    if (expected) /* else this host's libc lacks it, and the system call stays */
        ck_assert_msg(pointer == expected, "%s is bound to something else", name);
    ck_assert_ptr_nonnull(pointer);
}

START_TEST(each_row_is_bound_to_its_own_name) {
    nd_find_real();
    const bool found_later = nd_real_is_libcs;
#define ND_HOOK(name, type, params, args, raw)                                                                         \
    check_bound(#name, found_later ? nd_real_find(&nd_real.name, #name) : *(void **)&nd_real.name);
#include "shim/hooks.def"
}
END_TEST

START_TEST(calls_by_name_go_where_the_pointers_go) {
    char buf[4];
    nd_find_real();
    ck_assert_int_eq(nd_real_write(ends[0], "abc", 3), 3);
    ck_assert_int_eq(nd_real_read(ends[1], buf, sizeof buf), 3);
    ck_assert_mem_eq(buf, "abc", 3);
    check_bound("write", *(void **)&nd_real.write); /* at that call, at the latest */
    check_bound("read", *(void **)&nd_real.read);
}
END_TEST

void add_tests(TCase *tests) {
    tcase_add_checked_fixture(tests, start, end);
    tcase_add_test(tests, unbound_calls_move_bytes);
    tcase_add_test(tests, unbound_waits_keep_the_programs_values);
    tcase_add_test(tests, unbound_descriptor_calls);
    tcase_add_test(tests, unbound_connections);
    if (!getenv("CK_FORK") || strcmp(getenv("CK_FORK"), "no") != 0) {
        tcase_add_test_raise_signal(tests, a_fortified_call_too_large_ends_the_program, SIGABRT);
        tcase_add_test(tests, a_lookup_before_the_start_binds_everything);
    }
    tcase_add_test(tests, each_row_is_bound_to_its_own_name);
    tcase_add_test(tests, calls_by_name_go_where_the_pointers_go);
}
