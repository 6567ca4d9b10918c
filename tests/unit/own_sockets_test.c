#include "resolver/own_sockets.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tests/unit/unit.h"

static int open_socket(struct nd_own_sockets *own) {
    int fd = socket(AF_INET, SOCK_DGRAM, 0);
    ck_assert(nd_own_add(own, fd));
    return fd;
}

START_TEST(knows_its_own) {
    struct nd_own_sockets own = {0};
    int fd = open_socket(&own);
    errno = EINTR;
    ck_assert(nd_own_has(&own, fd));
    ck_assert(!nd_own_has(&own, 1));
    ck_assert_int_eq(errno, EINTR);
    ck_assert_int_eq(nd_own_close(&own, fd), 0);
    ck_assert_int_eq(fcntl(fd, F_GETFD), -1);
    ck_assert_int_eq(own.count, 0);
}
END_TEST

START_TEST(leaves_a_stranger_alone) {
    struct nd_own_sockets own = {0};
    int first = open_socket(&own), second = open_socket(&own);
    close(first);
    ck_assert(!nd_own_has(&own, first));
    int stranger = socket(AF_INET, SOCK_DGRAM, 0);
    ck_assert_int_eq(stranger, first);
    ck_assert(!nd_own_has(&own, stranger));
    ck_assert_int_eq(nd_own_close(&own, stranger), -1);
    ck_assert_int_eq(errno, EBADF);
    ck_assert_int_ne(fcntl(stranger, F_GETFD), -1);
    ck_assert(nd_own_has(&own, second));
    ck_assert_int_eq(own.count, 1);
    close(stranger);
    close(second);
}
END_TEST

START_TEST(refuses_what_has_been_closed_or_replaced) {
    struct nd_own_sockets own = {0};
    ck_assert(!nd_own_add(&own, 1000));
    int pipe_ends[2];
    ck_assert_int_eq(pipe(pipe_ends), 0);
    ck_assert(!nd_own_add(&own, pipe_ends[0]));
    ck_assert_int_eq(errno, EBADF);
    ck_assert_int_ne(fcntl(pipe_ends[0], F_GETFD), -1);
    ck_assert_int_eq(own.count, 0);
}
END_TEST

START_TEST(has_a_limit) {
    struct nd_own_sockets own = {0};
    int fds[ND_OWN_SOCKETS];
    for (int i = 0; i < ND_OWN_SOCKETS; i++)
        fds[i] = open_socket(&own);
    int one_more = socket(AF_INET, SOCK_DGRAM, 0);
    ck_assert(!nd_own_add(&own, one_more));
    ck_assert_int_eq(errno, EMFILE);
    ck_assert_int_eq(fcntl(one_more, F_GETFD), -1);
    for (int i = 0; i < ND_OWN_SOCKETS; i++)
        ck_assert_int_eq(nd_own_close(&own, fds[i]), 0);
    ck_assert_int_eq(own.count, 0);
}
END_TEST

void add_tests(TCase *tests) {
    tcase_add_test(tests, knows_its_own);
    tcase_add_test(tests, leaves_a_stranger_alone);
    tcase_add_test(tests, refuses_what_has_been_closed_or_replaced);
    tcase_add_test(tests, has_a_limit);
}
