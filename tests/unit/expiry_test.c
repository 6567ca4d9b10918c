#include "shim/limit/expiry.h"

#include <fcntl.h>
#include <unistd.h>

#include "shim/mode.h"
#include "shim/report/end_request.h"
#include "shim/report/operations.h"
#include "shim/socket/change.h"
#include "shim/socket/ended.h"
#include "tests/unit/fake_kernel.h"
#include "tests/unit/unit.h"

static struct nd_sock *sock;
static int fd, other; /* a socketpair: real inodes, and a shutdown that can be seen */
static const struct nd_expiry recv_expiry = {.operation = "recv", .limit = "RECV", .timeout = 1, .elapsed = 2};

static void start(void) {
    int pair[2];
    fake_start();
    ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
    fd = pair[0];
    other = pair[1];
    sock = nd_sock_created(fd, ND_SOCK_STREAM | ND_SOCK_INET | ND_SOCK_CONNECTED);
}

static void end(void) {
    close(fd);
    close(other);
}

START_TEST(a_stream_is_told_and_then_ended) {
    errno = 7;
    nd_expire_stream(fd, sock, &recv_expiry);
    ck_assert_int_eq(errno, 7);
    ck_assert_uint_eq(fake.told, 1);
    ck_assert_str_eq(fake.last.operation, "recv");
    ck_assert_str_eq(fake.last.limit, "RECV");
    ck_assert_int_eq(fake.last.fd, fd);
    ck_assert_int_eq(fake.disconnects, 2);
    ck_assert(nd_expired(fd, sock));
    ck_assert_uint_eq(nd_watch(fd) & (ND_WATCH_IN | ND_WATCH_OUT), ND_WATCH_IN | ND_WATCH_OUT);
    ck_assert_int_eq(send(other, "x", 1, MSG_NOSIGNAL), 1); /* only disconnected */
}
END_TEST

START_TEST(a_kernel_that_refuses_gets_a_shutdown) {
    fake.refuse_disconnect = 1;
    nd_expire_stream(fd, sock, &recv_expiry);
    ck_assert(nd_expired(fd, sock));
    ck_assert_int_eq(send(other, "x", 1, MSG_NOSIGNAL), -1);
    ck_assert_int_eq(errno, EPIPE);
}
END_TEST

/* In each direction ETIMEDOUT once, then the error of a broken connection. */
START_TEST(each_direction_times_out_once) {
    nd_expire_stream(fd, sock, &recv_expiry);
    static const int errors[2][2] = {{ETIMEDOUT, ECONNRESET}, {ETIMEDOUT, EPIPE}};
    for (int again = 0; again < 2; again++)
        for (int direction = ND_IN; direction <= ND_OUT; direction++) {
            ck_assert_int_eq(nd_expired_fail(fd, sock, (enum nd_direction)direction), -1);
            ck_assert_int_eq(errno, errors[direction][again]);
        }
    nd_expired_fail(fd, sock, ND_IN);
    ck_assert_int_eq(errno, ECONNRESET);
}
END_TEST

START_TEST(what_the_kernel_told_is_not_told_again) {
    nd_expire_by_kernel(fd, sock, ND_OUT);
    ck_assert(nd_expired(fd, sock));
    ck_assert_uint_eq(fake.told, 0);
    ck_assert_int_eq(fake.disconnects, 0);
    nd_expired_fail(fd, sock, ND_OUT);
    ck_assert_int_eq(errno, EPIPE);
    nd_expired_fail(fd, sock, ND_IN);
    ck_assert_int_eq(errno, ETIMEDOUT);
}
END_TEST

/* It has marked the stream in the kernel, and left a request to report it. */
START_TEST(what_the_command_has_ended_is_told_once) {
    const int mark = ND_ENDED_MARK;
    const uint64_t inode = nd_sock_inode(fd);
    nd_real.setsockopt(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &mark, sizeof mark);
    nd_end_requests[inode % ND_END_REQUESTS] =
        (struct nd_end_request){.is_new = 1, .inode = inode + 1, .limit = ND_LIMIT_RECV | ND_LIMIT_INBOUND};
    ck_assert(nd_expired_anywhere(fd, sock));
    ck_assert_uint_eq(fake.told, 0); /* it is of another */
    nd_sock_change(fd, sock, 0, ND_SOCK_EXPIRED);
    nd_end_requests[inode % ND_END_REQUESTS].inode = inode;
    for (int again = 0; again < 2; again++) {
        ck_assert(nd_expired_anywhere(fd, sock));
        nd_sock_change(fd, sock, 0, ND_SOCK_EXPIRED);
    }
    ck_assert_uint_eq(fake.told, 1);
    ck_assert_str_eq(fake.last.operation, "end");
    ck_assert_str_eq(fake.last.limit, "INBOUND_RECV");
    ck_assert_int_eq(fake.last.fd, fd);
}
END_TEST

/* The number was given to another socket, or to a file, where no hook saw it. */
START_TEST(another_socket_has_not_expired) {
    nd_expire_stream(fd, sock, &recv_expiry);
    int made = _i ? open("/dev/null", O_RDWR) : socket(AF_UNIX, SOCK_STREAM, 0);
    dup2(made, fd);
    close(made);
    errno = 7;
    ck_assert(!nd_expired(fd, sock));
    ck_assert_int_eq(errno, 7);
    ck_assert_uint_eq(nd_watch(fd), 0);
}
END_TEST

START_TEST(nothing_has_expired_at_first) {
    ck_assert(!nd_expired(fd, sock));
    ck_assert_uint_ne(nd_sock_flags(sock), 0);
}
END_TEST

START_TEST(an_attempt_is_taken_back_and_its_error_with_it) {
    errno = 7;
    nd_expire_attempt(fd);
    ck_assert_int_eq(errno, 7);
    ck_assert_int_eq(fake.disconnects, 1);
    ck_assert_int_eq(fake.option_count, 1);
    ck_assert_int_eq(fake.options[0].name, SO_ERROR);
    ck_assert(!nd_expired(fd, sock));
}
END_TEST

START_TEST(a_pending_peer_is_told_as_given) {
    struct sockaddr_in peer = {.sin_family = AF_INET};
    struct nd_expiry expiry = {
        .operation = "connect", .limit = "CONNECT", .peer = (void *)&peer, .peer_len = sizeof peer};
    nd_expiry_report(fd, &expiry);
    ck_assert_ptr_eq(fake.last.peer, &peer);
    ck_assert(!nd_expired(fd, sock));
}
END_TEST

START_TEST(observing_only_tells) {
    nd_observing = true;
    nd_expire_stream(fd, sock, &recv_expiry);
    ck_assert_uint_eq(fake.told, 1);
    ck_assert(fake.last.observed);
    ck_assert_int_eq(fake.disconnects, 0);
    ck_assert(!nd_expired(fd, sock));
}
END_TEST

void add_tests(TCase *tests) {
    tcase_add_checked_fixture(tests, start, end);
    tcase_add_test(tests, a_stream_is_told_and_then_ended);
    tcase_add_test(tests, a_kernel_that_refuses_gets_a_shutdown);
    tcase_add_test(tests, each_direction_times_out_once);
    tcase_add_test(tests, what_the_kernel_told_is_not_told_again);
    tcase_add_test(tests, what_the_command_has_ended_is_told_once);
    tcase_add_loop_test(tests, another_socket_has_not_expired, 0, 2);
    tcase_add_test(tests, nothing_has_expired_at_first);
    tcase_add_test(tests, an_attempt_is_taken_back_and_its_error_with_it);
    tcase_add_test(tests, a_pending_peer_is_told_as_given);
    tcase_add_test(tests, observing_only_tells);
}
