#include "shim/socket/discover.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "shim/mode.h"
#include "shim/real.h"
#include "shim/settings/environment.h"
#include "shim/settings/settings.h"
#include "shim/socket/change.h"
#include "tests/unit/unit.h"

#define INET (ND_SOCK_STREAM | ND_SOCK_INET)

static void start(void) {
    nd_settings_defaults(&nd_settings);
    nd_find_real();
}

static uint32_t discover(int fd) {
    const struct nd_sock *sock = nd_sock_discover(fd);
    return sock ? nd_sock_flags(sock) : 0;
}

START_TEST(discovers_what_the_kernel_says) {
    int stream = socket(AF_INET6, SOCK_STREAM | SOCK_NONBLOCK, 0), datagram = socket(AF_INET, SOCK_DGRAM, 0), pair[2];
    ck_assert_int_eq(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, pair), 0);
    ck_assert_uint_eq(discover(stream), ND_SOCK_KNOWN | INET | ND_SOCK_NONBLOCK);
    ck_assert_uint_eq(discover(datagram), ND_SOCK_KNOWN | ND_SOCK_INET);
    ck_assert_uint_eq(discover(pair[0]), ND_SOCK_KNOWN | ND_SOCK_STREAM | ND_SOCK_LOCAL); /* a pipe: not connected */
    close(stream);
    close(datagram);
    close(pair[0]);
    close(pair[1]);
}
END_TEST

START_TEST(discovers_no_socket_where_there_is_none) {
    int file = open("/dev/null", O_RDWR);
    ck_assert_ptr_null(nd_sock_discover(file));
    close(file);
    ck_assert_ptr_null(nd_sock_discover(file));
    ck_assert_ptr_null(nd_sock_discover(-1));
}
END_TEST

/* A connection over loopback: the end that made it, and the one that was accepted. */
static void connection(int *made, int *accepted) {
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof address;
    int listener = socket(AF_INET, SOCK_STREAM, 0);
    *made = socket(AF_INET, SOCK_STREAM, 0);
    ck_assert_int_eq(bind(listener, (struct sockaddr *)&address, len) | listen(listener, 1), 0);
    ck_assert_int_eq(getsockname(listener, (struct sockaddr *)&address, &len), 0);
    ck_assert_int_eq(connect(*made, (struct sockaddr *)&address, len), 0);
    *accepted = accept(listener, NULL, NULL);
    close(listener);
}

static uint32_t arrived(int fd) {
    nd_discover_arrived(fd);
    return nd_sock_flags(nd_sock_lookup(fd)) & (ND_SOCK_CONNECTED | ND_SOCK_INBOUND);
}

static void expect_sides(int made, int accepted) {
    ck_assert_uint_eq(arrived(made), ND_SOCK_CONNECTED);
    ck_assert_uint_eq(arrived(accepted), ND_SOCK_CONNECTED | ND_SOCK_INBOUND);
}

START_TEST(tells_who_made_a_connection) {
    static char much[1 << 20];
    int made, accepted;
    connection(&made, &accepted);
    expect_sides(made, accepted);
    ck_assert_int_eq(send(made, much, 1000, 0), 1000);
    ck_assert_int_eq(send(accepted, much, 2000, 0), 2000);
    expect_sides(made, accepted);
    while (send(made, much, sizeof much, MSG_DONTWAIT) > 0) /* until bytes are in flight, unanswered and unsent */
        ;
    while (send(accepted, much, sizeof much, MSG_DONTWAIT) > 0)
        ;
    expect_sides(made, accepted);
    close(made);
    close(accepted);
}
END_TEST

START_TEST(a_listener_and_a_pair_have_no_side) {
    int listener = socket(AF_INET, SOCK_STREAM, 0), pair[2];
    ck_assert_int_eq(listen(listener, 1) | socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
    ck_assert_uint_eq(arrived(listener), 0);
    ck_assert_uint_eq(arrived(pair[0]), 0);
    close(listener);
    close(pair[0]);
    close(pair[1]);
}
END_TEST

START_TEST(a_number_that_was_a_sockets_is_forgotten) {
    int file = open("/dev/null", O_RDWR);
    nd_sock_created(file, INET | ND_SOCK_CONNECTED);
    nd_discover_arrived(file);
    ck_assert_uint_eq(nd_sock_flags(nd_sock_lookup(file)), 0);
    close(file);
}
END_TEST

START_TEST(finds_descriptors_among_other_control_data) {
    union {
        char bytes[CMSG_SPACE(sizeof(struct timeval)) + CMSG_SPACE(3 * sizeof(int))];
        struct cmsghdr align;
    } control = {{0}};
    struct msghdr msg = {.msg_control = control.bytes, .msg_controllen = sizeof control.bytes};
    int fds[3] = {socket(AF_INET, SOCK_STREAM, 0), open("/dev/null", O_RDONLY), socket(AF_INET6, SOCK_DGRAM, 0)};
    struct cmsghdr *part = CMSG_FIRSTHDR(&msg);
    *part = (struct cmsghdr){CMSG_LEN(sizeof(struct timeval)), SOL_SOCKET, SCM_TIMESTAMP};
    part = CMSG_NXTHDR(&msg, part);
    *part = (struct cmsghdr){CMSG_LEN(sizeof fds), SOL_SOCKET, SCM_RIGHTS};
    memcpy(CMSG_DATA(part), fds, sizeof fds);
    errno = 42;
    nd_discover_received(&msg);
    ck_assert_int_eq(errno, 42);
    ck_assert_uint_eq(nd_sock_flags(nd_sock_lookup(fds[0])), ND_SOCK_KNOWN | INET);
    ck_assert_uint_eq(nd_sock_flags(nd_sock_lookup(fds[1])), 0);
    ck_assert_uint_eq(nd_sock_flags(nd_sock_lookup(fds[2])), ND_SOCK_KNOWN | ND_SOCK_INET | ND_SOCK_BOUND);
    for (int i = 0; i < 3; i++)
        close(fds[i]);
}
END_TEST

static bool is_known(int fd) {
    return nd_sock_flags(nd_sock_lookup(fd)) != 0;
}

/* The numbers of inherited sockets: each at most 32 behind the one before, but for the last; the first is in all tests
 * above what the test itself has open. */
static const int inherited[] = {40, 41, 72, 104, 136, 168, 169, 202};
enum { INHERITED = sizeof inherited / sizeof inherited[0] };

static void inherit(void) {
    const int stream = socket(AF_INET, SOCK_STREAM, 0);
    for (int fd = stream + 1; fd < inherited[0]; fd += 8)
        dup2(STDERR_FILENO, fd); /* no gap before them */
    for (int i = 0; i < INHERITED; i++)
        ck_assert_int_eq(dup2(stream, inherited[i]), inherited[i]);
    close(stream);
}

static void check_inherited(void) {
    errno = 42;
    nd_discover_inherited();
    ck_assert_int_eq(errno, 42);
    for (int i = 0; i < INHERITED; i++)
        ck_assert_msg(is_known(inherited[i]) == (i < INHERITED - 1), "descriptor %d", inherited[i]);
    ck_assert_uint_ne(nd_sock_lookup(inherited[0])->group, 0);
    ck_assert_uint_eq(nd_sock_lookup(inherited[0])->group, nd_sock_lookup(inherited[3])->group);
}

START_TEST(discovers_what_is_inherited_up_to_the_first_gap) {
    inherit();
    check_inherited();
}
END_TEST

/* poll fails there, and each descriptor is asked for. */
START_TEST(discovers_what_is_inherited_under_a_low_limit) {
    inherit();
    ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &(struct rlimit){20, 20}), 0);
    check_inherited();
}
END_TEST

void add_tests(TCase *tests) {
    tcase_add_checked_fixture(tests, start, NULL);
    tcase_add_test(tests, discovers_what_the_kernel_says);
    tcase_add_test(tests, discovers_no_socket_where_there_is_none);
    tcase_add_test(tests, tells_who_made_a_connection);
    tcase_add_test(tests, a_listener_and_a_pair_have_no_side);
    tcase_add_test(tests, a_number_that_was_a_sockets_is_forgotten);
    tcase_add_test(tests, finds_descriptors_among_other_control_data);
    if (!getenv("CK_FORK") || strcmp(getenv("CK_FORK"), "no") != 0) { /* they leave descriptors behind */
        tcase_add_test(tests, discovers_what_is_inherited_up_to_the_first_gap);
        tcase_add_test(tests, discovers_what_is_inherited_under_a_low_limit);
    }
}
