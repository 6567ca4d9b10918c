#include "shim/report/backtrace.h"
#include "shim/report/backtrace_guard.h"
#include "shim/report/origin.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <ucontext.h>
#include <unistd.h>

#include "shim/report/report.h"
#include "shim/report/unwind.h"
#include "tests/unit/unit.h"

#define NOINLINE __attribute__((noinline, noclone))
#define AFTER_CALL() __asm__ volatile("") /* the call before it is no tail call */

#ifdef __clang__
#undef NOINLINE
#define NOINLINE __attribute__((noinline))
#endif

static char text[4096];
static volatile bool was_safe; /* volatile: raise() is declared as if it called nobody */

/* Has external linkage or not, and is found in both cases: libunwind reads the file's own symbols. */
static NOINLINE void inner_function(size_t size) {
    struct nd_line line;
    nd_line_start(&line, text, size);
    nd_backtrace_put(&line);
    AFTER_CALL();
}

static NOINLINE void outer_function(size_t size) {
    inner_function(size);
    AFTER_CALL();
}

static NOINLINE void recurse(int depth, size_t size) {
    if (depth > 0)
        recurse(depth - 1, size);
    else
        inner_function(size);
    AFTER_CALL();
}

static int count_frames(void) {
    int frames = text[0] != '\0';
    for (const char *c = text; *c; c++)
        frames += *c == ' ';
    return frames;
}

START_TEST(names_the_callers_in_order) {
    outer_function(sizeof text);
    const char *inner = strstr(text, "inner_function+0x"), *outer = strstr(text, " outer_function+0x");
    ck_assert_msg(inner == text, "not first: %s", text);
    ck_assert_ptr_nonnull(outer);
    char module[100];
    snprintf(module, sizeof module, "@%s ", nd_origin_program());
    ck_assert_ptr_nonnull(strstr(outer, module));
    ck_assert_ptr_nonnull(strstr(outer, " main+0x"));
}
END_TEST

START_TEST(depth_is_bounded) {
    recurse(100, sizeof text);
    ck_assert_int_eq(count_frames(), 32);
}
END_TEST

START_TEST(only_whole_frames_are_written) {
    outer_function(sizeof text);
    for (size_t size = 8, whole = strlen(text); size <= whole; size++) {
        memset(text, '#', sizeof text);
        outer_function(size);
        ck_assert_uint_lt(strlen(text), size);
        ck_assert_msg(strcmp(text + strlen(text) - 4, " ...") == 0, "size %zu: %s", size, text);
        ck_assert_int_eq(text[size], '#');
    }
}
END_TEST

/* libunwind's own way keeps a pipe open, and writes to its number when the program has something else there. */
START_TEST(keeps_no_descriptor_and_writes_to_none) {
    char path[] = "/tmp/netdeadline-backtrace-XXXXXX";
    struct stat status;
    int files[8];
    for (int i = 0; i < 8; i++) {
        files[i] = i == 0 ? mkstemp(path) : open(path, O_RDWR);
        ck_assert_int_ge(files[i], 0);
    }
    unlink(path);
    int before = dup(0);
    close(before);
    for (int i = 0; i < 3; i++)
        outer_function(sizeof text);
    int after = dup(0);
    ck_assert_int_eq(before, after);
    ck_assert_int_eq(fstat(files[0], &status), 0);
    ck_assert_int_eq(status.st_size, 0);
    for (int fd = 3; fd < 64; fd++) /* Check itself talks through a file */
        ck_assert(fstat(fd, &status) != 0 || !S_ISFIFO(status.st_mode));
}
END_TEST

static void ask(int number) {
    (void)number;
    was_safe = nd_backtrace_is_safe();
}

START_TEST(safe_in_plain_code) {
    errno = 4321;
    ck_assert(nd_backtrace_is_safe());
    ck_assert_int_eq(errno, 4321);
}
END_TEST

static const int flags_of_handlers[] = {0, (int)SA_RESETHAND, SA_ONSTACK, SA_NODEFER | SA_RESTART};

START_TEST(unsafe_in_a_signal_handler) {
    static char stack[256 * 1024];
    const stack_t other = {.ss_sp = stack, .ss_size = sizeof stack};
    struct sigaction action = {.sa_handler = ask, .sa_flags = flags_of_handlers[_i]};
    ck_assert_int_eq(sigaltstack(&other, NULL), 0);
    was_safe = true;
    sigaction(SIGUSR1, &action, NULL);
    raise(SIGUSR1);
    ck_assert(!was_safe);
}
END_TEST

static NOINLINE void ask_deep_below(int number) {
    volatile char wide[100 * 1024];
    memset((char *)(uintptr_t)wide, number, sizeof wide);
    ask(wide[5]);
}

START_TEST(unsafe_deep_in_a_signal_handler) {
    was_safe = true;
    signal(SIGUSR1, ask_deep_below);
    raise(SIGUSR1);
    ck_assert(!was_safe);
}
END_TEST

static void ignore(int number) {
    (void)number;
}

START_TEST(safe_where_a_handler_is_only_installed) {
    signal(SIGUSR1, ignore);
    ck_assert(nd_backtrace_is_safe());
}
END_TEST

/* As curl does around each transfer. */
START_TEST(safe_where_a_saved_action_lies_on_the_stack) {
    struct sigaction saved[8];
    signal(SIGUSR1, ignore);
    for (int i = 0; i < 8; i++)
        sigaction(SIGUSR1, NULL, &saved[i]);
    ck_assert(nd_backtrace_is_safe());
    sigaction(SIGUSR1, &saved[7], NULL);
}
END_TEST

/* libunwind's locks must not be waited for, and in a child forked while they were held never can be got. */
START_TEST(one_thread_at_a_time_and_none_in_a_child_of_it) {
    int status;
    ck_assert(nd_backtrace_begin());
    ck_assert(!nd_backtrace_begin());
    pid_t child = fork();
    if (child == 0)
        _exit(nd_backtrace_begin());
    ck_assert_int_eq(waitpid(child, &status, 0), child);
    ck_assert_int_eq(status, 0);
    nd_backtrace_end();
    ck_assert(nd_backtrace_begin());
}
END_TEST

/* What lies behind a stack is other threads' memory, which comes and goes while the stack is looked through. */
enum { STACK = 512 * 1024, BEHIND = 4 * 1024 * 1024 };
static volatile bool is_over;

static void *come_and_go(void *behind) {
    while (!is_over) {
        mprotect(behind, BEHIND, PROT_NONE);
        mprotect(behind, BEHIND, PROT_READ | PROT_WRITE);
    }
    return NULL;
}

static void *ask_often(void *arg) {
    for (int i = 0; i < 15000; i++)
        nd_backtrace_is_safe();
    return arg;
}

START_TEST(survives_memory_that_comes_and_goes) {
    pthread_t changer, asker;
    pthread_attr_t attributes;
    char *region = mmap(NULL, STACK + BEHIND, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    ck_assert_ptr_ne(region, MAP_FAILED);
    pthread_attr_init(&attributes);
    pthread_attr_setstack(&attributes, region, STACK);
    ck_assert_int_eq(pthread_create(&changer, NULL, come_and_go, region + STACK), 0);
    ck_assert_int_eq(pthread_create(&asker, &attributes, ask_often, NULL), 0);
    pthread_join(asker, NULL);
    is_over = true;
    pthread_join(changer, NULL);
}
END_TEST

static void *ask_in_thread(void *arg) {
    ask(0);
    return arg;
}

static void ask_in_thread_of(size_t stack_size) {
    pthread_t thread;
    pthread_attr_t attributes;
    ck_assert_int_eq(pthread_attr_init(&attributes), 0);
    ck_assert_int_eq(pthread_attr_setstacksize(&attributes, stack_size), 0);
    ck_assert_int_eq(pthread_create(&thread, &attributes, ask_in_thread, NULL), 0);
    ck_assert_int_eq(pthread_join(thread, NULL), 0);
    pthread_attr_destroy(&attributes);
}

START_TEST(unsafe_on_a_tiny_stack) {
    was_safe = true;
    ask_in_thread_of(32 * 1024);
    ck_assert(!was_safe);
}
END_TEST

START_TEST(safe_in_an_ordinary_thread) {
    was_safe = false;
    ask_in_thread_of(512 * 1024);
    ck_assert(was_safe);
}
END_TEST

/* What unwinding really takes, of the 64 KB that nd_backtrace_is_safe asks for. */
static ucontext_t coroutine, back;

static void unwind_in_coroutine(void) {
    outer_function(sizeof text);
    AFTER_CALL();
}

START_TEST(needs_less_stack_than_is_asked_for) {
    const size_t size = 64 * 1024;
    char *stack = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    ck_assert_ptr_ne(stack, MAP_FAILED);
    memset(stack, 0x5a, size);
    getcontext(&coroutine);
    coroutine.uc_stack = (stack_t){.ss_sp = stack, .ss_size = size};
    coroutine.uc_link = &back;
    makecontext(&coroutine, unwind_in_coroutine, 0);
    swapcontext(&back, &coroutine);
    size_t untouched = 0;
    while (untouched < size && stack[untouched] == 0x5a)
        untouched++;
    ck_assert_ptr_nonnull(strstr(text, "unwind_in_coroutine+0x"));
    ck_assert_msg(size - untouched < 32 * 1024, "%zu bytes of stack", size - untouched);
}
END_TEST

void add_tests(TCase *tests) {
    if (!nd_unwind_load()) {
        fprintf(stderr, "libunwind.so.8 is missing\n");
        exit(EXIT_FAILURE);
    }
    nd_report_start();
    tcase_set_timeout(tests, 30);
    tcase_add_test(tests, names_the_callers_in_order);
    tcase_add_test(tests, depth_is_bounded);
    tcase_add_test(tests, only_whole_frames_are_written);
    tcase_add_test(tests, keeps_no_descriptor_and_writes_to_none);
    tcase_add_test(tests, safe_in_plain_code);
    tcase_add_loop_test(tests, unsafe_in_a_signal_handler, 0, 4);
    tcase_add_test(tests, unsafe_deep_in_a_signal_handler);
    tcase_add_test(tests, safe_where_a_handler_is_only_installed);
    tcase_add_test(tests, safe_where_a_saved_action_lies_on_the_stack);
    tcase_add_test(tests, one_thread_at_a_time_and_none_in_a_child_of_it);
#ifndef __SANITIZE_THREAD__ /* which makes every stack larger than it was asked for */
    tcase_add_test(tests, survives_memory_that_comes_and_goes);
    tcase_add_test(tests, unsafe_on_a_tiny_stack);
#endif
    tcase_add_test(tests, safe_in_an_ordinary_thread);
    tcase_add_test(tests, needs_less_stack_than_is_asked_for);
}
