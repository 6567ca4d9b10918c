#include "cli/process/connections_open.h"
#include "cli/process/ending.h"

#include <errno.h>
#include <netinet/in.h>
#include <string.h>
#include <unistd.h>

#include "tests/unit/unit.h"

#define COOKIE 57 /* SO_COOKIE */

static int self, client, server;

static void connect_pair(void) {
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t length = sizeof address;
    int listener = socket(AF_INET, SOCK_STREAM, 0);
    ck_assert(bind(listener, (struct sockaddr *)&address, length) == 0 && listen(listener, 1) == 0);
    ck_assert(getsockname(listener, (struct sockaddr *)&address, &length) == 0);
    client = socket(AF_INET, SOCK_STREAM, 0);
    ck_assert(connect(client, (struct sockaddr *)&address, length) == 0);
    server = accept(listener, NULL, NULL);
    ck_assert(server >= 0);
    close(listener);
    self = process_open(getpid());
}

static void close_pair(void) {
    close(client);
    close(server);
    close(self);
}

static uint64_t cookie_of(int fd) {
    uint64_t cookie = 0;
    socklen_t length = sizeof cookie;
    ck_assert(getsockopt(fd, SOL_SOCKET, COOKIE, &cookie, &length) == 0);
    return cookie;
}

START_TEST(a_copy_is_of_the_connection_with_the_cookie_only) {
    int copy = ending_copy(self, client, cookie_of(client));
    if (copy < 0 && (errno == ENOSYS || errno == EPERM))
        return; /* this kernel, or a filter, lets no descriptor be copied */
    ck_assert_int_ge(copy, 0);
    close(copy);
    ck_assert_int_eq(ending_copy(self, server, cookie_of(client)), -1);
    ck_assert_int_eq(errno, ESTALE);
    ck_assert_int_eq(ending_copy(self, STDIN_FILENO, cookie_of(client)), -1);
    ck_assert_int_eq(errno, ESTALE);
}
END_TEST

START_TEST(a_connection_is_read_anew_and_ended) {
    struct connection connection = {.state = TCP_SYN_SENT};
    char byte = 'x';
    ck_assert_int_eq(write(server, &byte, 1), 1);
    ck_assert_int_eq(ending_refresh(client, &connection), 0);
    ck_assert_int_eq(connection.state, TCP_ESTABLISHED);
    ck_assert_int_eq(connection.receive_queue, 1);
    ck_assert(!connection.is_full);
    ck_assert_int_eq(ending_end(client, -1, &connection), ENDING_DISCONNECTED);
    ck_assert_int_eq(ending_refresh(client, &connection), -1);
    ck_assert_int_eq(read(server, &byte, 1), -1);
    ck_assert_int_eq(errno, ECONNRESET);
}
END_TEST

START_TEST(the_kernel_lists_both_ends) {
    struct connection_list list = {0};
    int netlink = connections_open(getpid()), found = 0;
    ck_assert(netlink >= 0 && connections_read(netlink, CONNECTIONS_ALL, &list) == 0);
    for (size_t i = 0; i < list.count; i++)
        found += list.entries[i].cookie == cookie_of(client) || list.entries[i].cookie == cookie_of(server);
    ck_assert_int_eq(found, 2);
    connections_free(&list);
    close(netlink);
}
END_TEST

void add_tests(TCase *tests) {
    tcase_add_checked_fixture(tests, connect_pair, close_pair);
    tcase_add_test(tests, a_copy_is_of_the_connection_with_the_cookie_only);
    tcase_add_test(tests, a_connection_is_read_anew_and_ended);
    tcase_add_test(tests, the_kernel_lists_both_ends);
}
