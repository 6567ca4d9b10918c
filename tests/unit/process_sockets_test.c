/* The kernel's lists of sockets, in which the names of AF_UNIX sockets stand as somebody has chosen them. */
#include "cli/process/sockets.c"
#include "tests/unit/unit.h"

#include <sys/socket.h>

static struct list list;

static void start(void) {
    free(list.entries);
    list = (struct list){.net = 1};
}

static const struct socket_info *described(uint64_t inode) {
    static struct socket_info info;
    finish_list(&list);
    const struct entry *entry = find_entry(&list, inode);
    if (!entry)
        return NULL;
    info = (struct socket_info){.peer = ""};
    describe(entry, &info);
    return &info;
}

#define TCP(local, remote, state, inode)                                                                               \
    "  0: " local " " remote " " state " 00000000:00000000 00:00000000 00000000     0        0 " inode                 \
    " 1 0000000000000000 100 0 0 10 0\n"
#define UNIX(flags, inode, path) "0000000000000000: 00000002 00000000 " flags " 0001 01 " inode path

START_TEST(what_the_kernel_writes) {
    take_internet(&list, TCP("0100007F:0050", "0200007F:1F90", "01", "11"), true);
    take_internet(&list, TCP("0100007F:0050", "00000000:0000", "0A", "12"), true);
    take_internet(&list, TCP("0100007F:0050", "00000000:0000", "07", "13"), false);
    take_internet(
        &list, TCP("00000000000000000000000001000000:0050", "00000000000000000000000001000000:1F90", "01", "14"), true);
    take_unix(&list, UNIX("00010000", "15", " /run/x y\n"));
    take_unix(&list, UNIX("00000000", "16", "\n"));
    take_unix(&list, UNIX("00000000", "17", " @name\n"));
    ck_assert_str_eq(described(11)->peer, "127.0.0.2:8080");
    ck_assert(described(11)->is_internet && described(11)->is_connected);
    ck_assert_str_eq(described(12)->peer, "listening on 127.0.0.1:80");
    ck_assert(!described(12)->is_connected);
    ck_assert_str_eq(described(13)->peer, "bound to 127.0.0.1:80");
    ck_assert_str_eq(described(14)->peer, "[::1]:8080");
    ck_assert_str_eq(described(15)->peer, "listening on unix:/run/x y");
    ck_assert(!described(15)->is_internet);
    ck_assert_str_eq(described(16)->peer, "unix");
    ck_assert_str_eq(described(17)->peer, "unix:@name");
    take_internet(&list, TCP("0100007F:0050", "00000000:0000", "0A", "18"), false); /* only TCP listens */
    ck_assert_str_eq(described(18)->peer, "bound to 127.0.0.1:80");
    ck_assert_ptr_null(described(19));
}
END_TEST

START_TEST(lines_that_are_none) {
    static const char *const lines[] = {
        "",
        "\n",
        " ",
        ":",
        "0:",
        "  0: 0100007F:0050",
        TCP("x", "y", "z", "11"),
        "%s%n%n%n\n",
        "  0: 0100007F:0050 0200007F:1F90 01 00000000:00000000 00:00000000 00000000 0 0\n"};
    for (size_t i = 0; i < sizeof lines / sizeof lines[0]; i++) {
        take_internet(&list, lines[i], true);
        take_unix(&list, lines[i]);
        ck_assert_msg(list.count == 0, "%s", lines[i]);
    }
    take_internet(&list, TCP("0100007F:0050", "0200007F:1F90", "01", "0"), true); /* of no process */
    take_unix(&list, UNIX("00000000", "0", " /x\n"));
    ck_assert_uint_eq(list.count, 0);
}
END_TEST

START_TEST(addresses_that_are_none) {
    static const char *const lines[] = {
        TCP("0100007F", "0200007F:1F90", "01", "11"),
        TCP(":", ":", "01", "11"),
        TCP("gggggggg:0050", "0200007F:1F90", "01", "11"),
        TCP("0100007F:0050", "00000000000000000000000001000000:1F90", "01", "11"),
        TCP("0000000000000000000000000100000000000000000000000001000000:0050", "0200007F:1F90", "01", "11"),
        TCP("00000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000:1",
            "0200007F:1F90", "01", "11")};
    for (size_t i = 0; i < sizeof lines / sizeof lines[0]; i++) {
        start();
        take_internet(&list, lines[i], true);
        const struct socket_info *info = described(11);
        ck_assert(!info || strlen(info->peer) < sizeof info->peer);
    }
}
END_TEST

START_TEST(a_field_that_does_not_end) {
    enum { LONG = 100000 };
    char *line = malloc(LONG + 1);
    memset(line, '0', LONG);
    line[LONG] = '\0';
    line[3] = line[10] = ' ';
    take_internet(&list, line, true);
    take_unix(&list, line);
    free(line);
}
END_TEST

START_TEST(names_of_unix_sockets) {
    char line[600], name[500];
    for (size_t length = 1; length < sizeof name; length += length < 100 || length > 112 ? 7 : 1) {
        start();
        memset(name, 'x', length);
        name[length] = '\0';
        snprintf(line, sizeof line, UNIX("00000000", "15", " %s"), name);
        take_unix(&list, line);
        const bool fits = length < sizeof((struct sockaddr_un *)0)->sun_path;
        ck_assert_int_eq(strcmp(described(15)->peer, "unix") != 0, fits);
    }
    start();
    take_unix(&list, UNIX("00000000", "15", " /\033[2J\007\"\n"));
    ck_assert_str_eq(described(15)->peer, "unix:/\\u001b[2J\\u0007\\\"");
}
END_TEST

/* A name may have newlines in it, and the kernel writes them as they are: what follows looks like a line of its own. */
START_TEST(a_name_that_forges_a_line_hides_no_connection) {
    take_unix(&list, UNIX("00000000", "11", " /forged"));
    take_internet(&list, TCP("0100007F:0050", "0200007F:1F90", "01", "11"), true);
    for (int i = 0; i < 5; i++)
        take_unix(&list, UNIX("00000000", "11", " /forged"));
    ck_assert_str_eq(described(11)->peer, "127.0.0.2:8080");
}
END_TEST

START_TEST(sockets_of_this_process) {
    struct socket_info info;
    int pair[2], fds[2];
    ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, pair) | pipe(fds), 0);
    ck_assert_int_eq(socket_look(getpid(), pair[0], &info), 0);
    ck_assert_str_eq(info.peer, "unix");
    ck_assert_int_eq(socket_look(getpid(), fds[0], &info), -1);
    ck_assert_int_eq(socket_look(getpid(), -1, &info), -1);
    ck_assert_int_eq(socket_look(getpid(), INT32_MAX, &info), -1);
    ck_assert_int_eq(socket_look(INT32_MAX, 0, &info), -1);
    socket_forget_lists();
    ck_assert_int_eq(socket_look(getpid(), pair[0], &info), 0);
}
END_TEST

void add_tests(TCase *tests) {
    tcase_add_checked_fixture(tests, start, NULL);
    tcase_add_test(tests, what_the_kernel_writes);
    tcase_add_test(tests, lines_that_are_none);
    tcase_add_test(tests, addresses_that_are_none);
    tcase_add_test(tests, a_field_that_does_not_end);
    tcase_add_test(tests, names_of_unix_sockets);
    tcase_add_test(tests, a_name_that_forges_a_line_hides_no_connection);
    tcase_add_test(tests, sockets_of_this_process);
}
