/* Return addresses are told by the instruction in front of them. */
#include "cli/process/return_address.h"

#include "tests/unit/unit.h"

static bool follows_call(const unsigned char before[RETURN_ADDRESS_BYTES]) {
    return return_address_follows_call(before);
}

/* This function's own, by its caller's code. */
__attribute__((noinline)) static const unsigned char *before_return(void) {
    return (const unsigned char *)__builtin_extract_return_addr(__builtin_return_address(0)) - RETURN_ADDRESS_BYTES;
}

START_TEST(knows_a_direct_call) {
    ck_assert(follows_call(before_return()));
}
END_TEST

START_TEST(knows_an_indirect_call) {
    const unsigned char *(*volatile by_pointer)(void) = before_return;
    ck_assert(follows_call(by_pointer()));
}
END_TEST

#if defined __x86_64__ || defined __i386__

START_TEST(knows_indirect_calls_of_each_length) {
    static const unsigned char calls[][RETURN_ADDRESS_BYTES] = {
        {[6] = 0xff, 0xd3},                               /* call *%rbx */
        {[5] = 0x41, 0xff, 0xd4},                         /* call *%r12 */
        {[6] = 0xff, 0x13},                               /* call *(%rbx) */
        {[5] = 0xff, 0x14, 0x24},                         /* call *(%rsp) */
        {[5] = 0xff, 0x53, 0x10},                         /* call *16(%rbx) */
        {[4] = 0xff, 0x54, 0x24, 0x08},                   /* call *8(%rsp) */
        {[2] = 0xff, 0x15, 0x11, 0x22, 0x33, 0x44},       /* call *0x44332211(%rip) */
        {[2] = 0xff, 0x93, 0x11, 0x22, 0x33, 0x44},       /* call *0x44332211(%rbx) */
        {[1] = 0xff, 0x14, 0xc5, 0x11, 0x22, 0x33, 0x44}, /* call *0x44332211(,%rax,8) */
        {[1] = 0xff, 0x94, 0x24, 0x11, 0x22, 0x33, 0x44}, /* call *0x44332211(%rsp) */
    };
    for (size_t i = 0; i < sizeof calls / sizeof calls[0]; i++)
        ck_assert_msg(follows_call(calls[i]), "call %zu", i);
}
END_TEST

START_TEST(knows_what_is_none) {
    static const unsigned char others[][RETURN_ADDRESS_BYTES] = {
        {0},
        {[7] = 0xc3},                               /* ret, as in front of a function */
        {[6] = 0xff, 0xe3},                         /* jmp *%rbx */
        {[2] = 0xff, 0x25, 0x11, 0x22, 0x33, 0x44}, /* jmp *0x44332211(%rip) */
        {[5] = 0xff, 0xd3, 0x90},                   /* a call, and an instruction more */
        {[6] = 0x0f, 0x05},                         /* syscall */
    };
    for (size_t i = 0; i < sizeof others / sizeof others[0]; i++)
        ck_assert_msg(!follows_call(others[i]), "instruction %zu", i);
}
END_TEST

#endif

void add_tests(TCase *tests) {
    tcase_add_test(tests, knows_a_direct_call);
    tcase_add_test(tests, knows_an_indirect_call);
#if defined __x86_64__ || defined __i386__
    tcase_add_test(tests, knows_indirect_calls_of_each_length);
    tcase_add_test(tests, knows_what_is_none);
#endif
}
