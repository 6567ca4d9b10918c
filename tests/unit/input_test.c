#include "cli/process/input.h"

#include <poll.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/select.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cli/process/system_call.h"
#include "tests/unit/unit.h"

static int fd; /* a socket, on which nothing comes in */

static int set_of(int member, uint32_t events) {
    struct epoll_event event = {.events = events};
    int set = epoll_create1(0);
    ck_assert_int_eq(epoll_ctl(set, EPOLL_CTL_ADD, member, &event), 0);
    return set;
}

static void wait_for_set(int set) {
    struct epoll_event event;
    epoll_wait(set, &event, 1, -1);
}

static void think(void) {
    pause();
}

static void receive(void) {
    char byte;
    recv(fd, &byte, 1, 0);
}

static void receive_by_duplicate(void) {
    char byte;
    recv(dup(fd), &byte, 1, 0);
}

static void poll_for_input(void) {
    struct pollfd polled[] = {{STDIN_FILENO, 0, 0}, {fd, POLLIN, 0}};
    poll(polled, 2, -1);
}

static void poll_for_errors(void) {
    poll(&(struct pollfd){fd, 0, 0}, 1, -1);
}

static void select_for_input(void) {
    fd_set set;
    FD_ZERO(&set);
    FD_SET(fd, &set);
    select(fd + 1, &set, NULL, NULL, NULL);
}

static void wait_for_input(void) {
    wait_for_set(set_of(fd, EPOLLIN));
}

static void wait_for_end(void) {
    wait_for_set(set_of(fd, EPOLLRDHUP));
}

static void wait_for_set_in_set(void) {
    wait_for_set(set_of(set_of(fd, EPOLLIN | EPOLLET), EPOLLIN));
}

static void think_with_set(void) {
    set_of(fd, EPOLLIN);
    pause();
}

static void think_with_used_up_set(void) {
    set_of(fd, EPOLLONESHOT);
    pause();
}

static void run(void) {
    for (;;)
        continue;
}

static const struct {
    void (*act)(void);
    enum input input;
    bool has_waiter;
} cases[] = {
    {think, INPUT_IGNORED, false},
    {receive, INPUT_AWAITED, true},
    {receive_by_duplicate, INPUT_AWAITED, false},
    {poll_for_input, INPUT_AWAITED, true},
    {poll_for_errors, INPUT_IGNORED, false},
    {select_for_input, INPUT_AWAITED, true},
    {wait_for_input, INPUT_AWAITED, true},
    {wait_for_end, INPUT_IGNORED, false},
    {wait_for_set_in_set, INPUT_AWAITED, true},
    {think_with_set, INPUT_AWAITED, false},
    {think_with_used_up_set, INPUT_IGNORED, false},
    {run, INPUT_UNSETTLED, false},
};

/* Waits until the child does what it is to do: it is blocked, and not in a call that comes before. */
static void settle(pid_t pid, bool is_running) {
    struct blocked_call call;
    for (int calm = 0; calm < 5; usleep(10000))
        calm = (system_call_read(pid, pid, true, &call) > 0) != is_running ? calm + 1 : 0;
}

START_TEST(who_waits) {
    int ends[2];
    struct stat status;
    ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, ends), 0);
    fd = ends[0];
    ck_assert_int_eq(fstat(fd, &status), 0);
    const pid_t pid = fork();
    if (pid == 0) {
        cases[_i].act();
        _exit(0);
    }
    settle(pid, cases[_i].input == INPUT_UNSETTLED);
    input_look(pid);
    const enum input input = input_of(fd, (uint32_t)status.st_ino);
    input_look(pid);
    const bool has_waiter = input_has_waiter(fd);
    kill(pid, SIGKILL);
    waitpid(pid, NULL, 0);
    ck_assert_int_eq(input, cases[_i].input);
    ck_assert_int_eq(has_waiter, cases[_i].has_waiter);
}
END_TEST

void add_tests(TCase *tests) {
    tcase_add_loop_test(tests, who_waits, 0, sizeof cases / sizeof cases[0]);
}
