/* The table of operations: i386's system call numbers are those of the kernel's header, and names are found. */
#include "shim/report/operations.h"

#include "tests/unit/unit.h"

#include <stdlib.h>
#include <string.h>

#if defined(__x86_64__) || defined(__i386__)
#include <asm/unistd_32.h>

/* What <sys/syscall.h> would say in an i386 build. (Its `select` is another call.) */
#define SYS_read __NR_read
#define SYS_readv __NR_readv
#define SYS_preadv2 __NR_preadv2
#define SYS_pwritev2 __NR_pwritev2
#define SYS_recvfrom __NR_recvfrom
#define SYS_recvmsg __NR_recvmsg
#define SYS_recvmmsg __NR_recvmmsg
#define SYS_recvmmsg_time64 __NR_recvmmsg_time64
#define SYS_write __NR_write
#define SYS_writev __NR_writev
#define SYS_sendto __NR_sendto
#define SYS_sendmsg __NR_sendmsg
#define SYS_sendmmsg __NR_sendmmsg
#define SYS_sendfile __NR_sendfile
#define SYS_sendfile64 __NR_sendfile64
#define SYS_splice __NR_splice
#define SYS_connect __NR_connect
#define SYS_accept4 __NR_accept4
#define SYS_close __NR_close
#define SYS_poll __NR_poll
#define SYS_ppoll __NR_ppoll
#define SYS_ppoll_time64 __NR_ppoll_time64
#define SYS__newselect __NR__newselect
#define SYS_pselect6 __NR_pselect6
#define SYS_pselect6_time64 __NR_pselect6_time64
#define SYS_epoll_wait __NR_epoll_wait
#define SYS_epoll_pwait __NR_epoll_pwait
#define SYS_epoll_pwait2 __NR_epoll_pwait2

struct row {
    int number;
    enum nd_call operation;
};

static const struct row by_name[] = {
#define ND_SYSTEM_CALL(call, operation) {SYS_##call, ND_OPERATION_##operation},
#include "shim/report/operations.def"
};

static const struct row by_number[] = {
#define ND_SYSTEM_CALL_I386(number, operation) {number, ND_OPERATION_##operation},
#include "shim/report/operations.def"
};

enum { NAMED = sizeof by_name / sizeof by_name[0], NUMBERED = sizeof by_number / sizeof by_number[0] };

START_TEST(numbers_of_i386_are_the_kernels) {
    ck_assert_int_eq(NAMED, NUMBERED);
    for (int i = 0; i < NAMED; i++) {
        int at = 0;
        while (at < NUMBERED && by_number[at].number != by_name[i].number)
            at++;
        ck_assert_msg(at < NUMBERED, "no number %d", by_name[i].number);
        ck_assert_int_eq(by_number[at].operation, by_name[i].operation);
    }
}
END_TEST
#endif

START_TEST(names_are_found) {
    for (unsigned i = 1; i < ND_OPERATIONS; i++) {
        char copy[ND_OPERATION_NAME];
        strcpy(copy, nd_operation_names[i]);
        ck_assert_int_eq(nd_operation_find(copy), (int)i);
        ck_assert_int_eq(nd_operation_find(nd_operation_names[i]), (int)i);
    }
    ck_assert_int_eq(nd_operation_find("fly"), ND_OPERATION_NONE);
    ck_assert_int_eq(nd_operation_find(""), ND_OPERATION_NONE);
}
END_TEST

START_TEST(every_operation_has_a_limit) {
    for (unsigned i = 1; i < ND_OPERATIONS; i++) {
        if (i == ND_OPERATION_end) /* no call of the program's */
            continue;
        ck_assert_int_ne(nd_operation_table[i].family, ND_FAMILY_NONE);
        ck_assert_str_ne(nd_limit_names[nd_operation_table[i].limit], "");
    }
    ck_assert_int_eq(nd_operation_table[ND_OPERATION_NONE].limit, ND_LIMIT_NONE);
    ck_assert_str_eq(nd_limit_names[ND_LIMIT_MIN_RATE], "MIN_RATE");
}
END_TEST

void add_tests(TCase *tests) {
#if defined(__x86_64__) || defined(__i386__)
    tcase_add_test(tests, numbers_of_i386_are_the_kernels);
#endif
    tcase_add_test(tests, names_are_found);
    tcase_add_test(tests, every_operation_has_a_limit);
}
