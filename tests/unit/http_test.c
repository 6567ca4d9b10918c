/* The server of one page, with clients that do not keep to the rules and a clock of the test's own. */
#include "cli/http.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "tests/unit/unit.h"

static struct http http;
static struct sockaddr_in address;
static nd_time now;
static unsigned pages;
static size_t page_size;

static nd_time test_clock(void) {
    return now;
}

static char *make_page(size_t *size, void *arg) {
    char *page = malloc(page_size);
    memset(page, 'p', page_size);
    *size = page_size;
    ++*(unsigned *)arg;
    return page;
}

static void start(void) {
    const char *wrong;
    socklen_t length = sizeof address;
    now = 1000 * ND_SEC;
    pages = 0;
    page_size = 100;
    http =
        (struct http){.path = "/metrics", .type = "text/plain", .page = make_page, .arg = &pages, .clock = test_clock};
    http.listener = http_listen("0", &wrong);
    ck_assert_int_ge(http.listener, 0);
    ck_assert(http_is_local(http.listener));
    getsockname(http.listener, (struct sockaddr *)&address, &length);
}

static void finish(void) {
    http_close(&http);
}

static int connect_to_it(void) {
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    ck_assert_int_eq(connect(fd, (struct sockaddr *)&address, sizeof address), 0);
    return fd;
}

/* Lets the server do what is to be done now. */
static void serve(void) {
    for (int i = 0; i < 4; i++)
        http_serve(&http, now, NULL);
}

static void say(int fd, const char *text) {
    ck_assert_int_eq(send(fd, text, strlen(text), MSG_NOSIGNAL), (ssize_t)strlen(text));
}

/* What has come, up to the end of the stream or for now. */
static const char *hear(int fd) {
    static char text[8192];
    size_t used = 0;
    for (ssize_t got = 1; got > 0 && used<sizeof text - 1; used += got> 0 ? (size_t)got : 0)
        got = recv(fd, text + used, sizeof text - 1 - used, MSG_DONTWAIT);
    text[used] = '\0';
    return text;
}

/* Whether the server has closed the connection. */
static bool is_over(int fd) {
    char byte;
    ssize_t got = recv(fd, &byte, 1, MSG_DONTWAIT);
    return got == 0 || (got < 0 && errno != EAGAIN);
}

static const char *ask(const char *request) {
    int fd = connect_to_it();
    say(fd, request);
    serve();
    const char *heard = hear(fd);
    close(fd);
    serve();
    return heard;
}

static bool begins(const char *text, const char *with) {
    return strncmp(text, with, strlen(with)) == 0;
}

START_TEST(answers) {
    const char *heard = ask("GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n");
    ck_assert(begins(heard, "HTTP/1.1 200 OK\r\n"));
    ck_assert_ptr_nonnull(strstr(heard, "Content-Length: 100\r\n"));
    ck_assert_uint_eq(strlen(strstr(heard, "\r\n\r\n") + 4), 100);
    ck_assert(begins(ask("GET /metrics?x=1 HTTP/1.0\n\n"), "HTTP/1.1 200 OK\r\n"));
    ck_assert_uint_eq(pages, 2);
    heard = ask("HEAD /metrics HTTP/1.1\r\n\r\n");
    ck_assert(begins(heard, "HTTP/1.1 200 OK\r\n") && strstr(heard, "Content-Length: 100\r\n"));
    ck_assert_str_eq(strstr(heard, "\r\n\r\n"), "\r\n\r\n");
    ck_assert(begins(ask("GET / HTTP/1.1\r\n\r\n"), "HTTP/1.1 200 OK\r\n"));
}
END_TEST

START_TEST(refuses) {
    char much[HTTP_MOST_REQUEST + 1];
    ck_assert(begins(ask("GET /metricsx HTTP/1.1\r\n\r\n"), "HTTP/1.1 404 "));
    ck_assert(begins(ask("GET /../etc HTTP/1.1\r\n\r\n"), "HTTP/1.1 404 "));
    ck_assert(begins(ask("POST /metrics HTTP/1.1\r\n\r\n"), "HTTP/1.1 405 "));
    ck_assert(begins(ask("GET /metrics\r\n\r\n"), "HTTP/1.1 400 "));
    ck_assert(begins(ask("\r\n\r\n"), "HTTP/1.1 400 "));
    ck_assert(begins(ask("GET /metrics\r\nx: HTTP/1.1\r\n\r\n"), "HTTP/1.1 400 "));
    memset(much, 'x', sizeof much - 1);
    much[sizeof much - 1] = '\0';
    ck_assert(begins(ask(much), "HTTP/1.1 431 "));
    ck_assert_uint_eq(pages, 0);
}
END_TEST

START_TEST(takes_a_request_in_pieces) {
    int fd = connect_to_it();
    for (const char *at = "GET /metrics HTTP/1.1\r\n\r\n"; *at; at++) {
        char piece[2] = {*at, '\0'};
        say(fd, piece);
        serve();
    }
    ck_assert(begins(hear(fd), "HTTP/1.1 200 OK\r\n"));
    close(fd);
}
END_TEST

START_TEST(slow_clients_time_out) {
    int silent = connect_to_it(), slow = connect_to_it(), finished = connect_to_it();
    say(slow, "GET /met");
    say(finished, "GET /metrics HTTP/1.1\r\n\r\n");
    serve();
    now += 2 * ND_SEC; /* it has its answer, and does not close */
    serve();
    hear(finished);
    ck_assert(is_over(finished) && !is_over(silent) && !is_over(slow));
    say(slow, "rics");
    now += HTTP_TIME - 2 * ND_SEC;
    serve();
    ck_assert(is_over(silent) && is_over(slow));
    close(silent);
    close(slow);
    close(finished);
}
END_TEST

START_TEST(a_client_that_does_not_read_times_out) {
    int fd = connect_to_it();
    page_size = 32 << 20; /* more than the kernel takes */
    say(fd, "GET /metrics HTTP/1.1\r\n\r\n");
    serve();
    now += HTTP_TIME;
    serve();
    ck_assert_int_eq(http.clients[0].state, HTTP_FREE);
    ck_assert_ptr_null(http.clients[0].answer);
    close(fd);
}
END_TEST

START_TEST(clients_are_bounded) {
    int fds[HTTP_CLIENTS + 2];
    for (int i = 0; i < HTTP_CLIENTS + 2; i++) {
        fds[i] = connect_to_it();
        serve();
    }
    for (int i = 0; i < HTTP_CLIENTS + 2; i++)
        ck_assert_msg(!is_over(fds[i]), "%d: those that have just come are left alone", i);
    say(fds[HTTP_CLIENTS], "GET /metrics HTTP/1.1\r\n\r\n");
    serve();
    ck_assert_str_eq(hear(fds[HTTP_CLIENTS]), ""); /* it waits in the queue */
    now += ND_SEC;
    serve();
    ck_assert(is_over(fds[0]) && !is_over(fds[HTTP_CLIENTS - 1])); /* a flood does not keep others out for ever */
    ck_assert(begins(hear(fds[HTTP_CLIENTS]), "HTTP/1.1 200 OK\r\n"));
    for (int i = 0; i < HTTP_CLIENTS + 2; i++)
        close(fds[i]);
}
END_TEST

START_TEST(a_client_that_resets_does_no_harm) {
    const struct linger reset = {1, 0};
    int fd = connect_to_it();
    say(fd, "GET /metrics HTTP/1.1\r\n\r\n");
    setsockopt(fd, SOL_SOCKET, SO_LINGER, &reset, sizeof reset);
    close(fd);
    serve();
    ck_assert(begins(ask("GET /metrics HTTP/1.1\r\n\r\n"), "HTTP/1.1 200 OK\r\n"));
}
END_TEST

START_TEST(where_to_listen) {
    static const char *const bad[] = {"",       "x",          "localhost:1",  "1.2.3.4",  "::1:80",
                                      "[::1]",  "127.0.0.1:", ":x",           "70000000", "unix:",
                                      "unix:x", "1.2.3:x",    "127.0.0.1:80x"};
    static const char *const good[] = {"127.0.0.1:0", ":0", "0", "[::1]:0"};
    const char *wrong;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        wrong = NULL;
        ck_assert_msg(http_listen(bad[i], &wrong) == -1 && wrong, "'%s'", bad[i]);
    }
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
        int fd = http_listen(good[i], &wrong);
        if (fd < 0 && good[i][0] == '[') /* a host without IPv6 */
            continue;
        ck_assert_msg(fd >= 0 && http_is_local(fd), "'%s'", good[i]);
        close(fd);
    }
    int fd = http_listen("0.0.0.0:0", &wrong);
    ck_assert(fd >= 0 && !http_is_local(fd));
    close(fd);
}
END_TEST

START_TEST(local_sockets) {
    char directory[] = "/tmp/http_test.XXXXXX", where[64];
    struct stat file;
    const char *wrong = NULL;
    ck_assert_ptr_nonnull(mkdtemp(directory));
    snprintf(where, sizeof where, "unix:%s/s", directory);
    int fd = http_listen(where, &wrong);
    ck_assert(fd >= 0 && http_is_local(fd));
    ck_assert(stat(where + 5, &file) == 0 && (file.st_mode & 0777) == 0660);
    ck_assert_int_eq(http_listen(where, &wrong), -1); /* somebody listens there */
    ck_assert_str_eq(wrong, strerror(EADDRINUSE));
    close(fd);
    fd = http_listen(where, &wrong); /* nobody does any more */
    ck_assert_int_ge(fd, 0);
    close(fd);
    unlink(where + 5);
    close(open(where + 5, O_CREAT | O_WRONLY, 0600)); /* no socket: it stays */
    ck_assert_int_eq(http_listen(where, &wrong), -1);
    ck_assert(stat(where + 5, &file) == 0 && S_ISREG(file.st_mode));
    unlink(where + 5);
    rmdir(directory);
}
END_TEST

void add_tests(TCase *tests) {
    tcase_add_checked_fixture(tests, start, finish);
    tcase_add_test(tests, answers);
    tcase_add_test(tests, refuses);
    tcase_add_test(tests, takes_a_request_in_pieces);
    tcase_add_test(tests, slow_clients_time_out);
    tcase_add_test(tests, a_client_that_does_not_read_times_out);
    tcase_add_test(tests, clients_are_bounded);
    tcase_add_test(tests, a_client_that_resets_does_no_harm);
    tcase_add_test(tests, where_to_listen);
    tcase_add_test(tests, local_sockets);
}
