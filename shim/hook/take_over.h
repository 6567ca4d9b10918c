/* Calls that wait past the library, since nothing bounded them when they began: `netdeadline set` has them made anew as
 * the hooked calls, so that limits which have been put on since hold for them. */
#pragma once

#include <stdint.h>

/* Where the command sends a thread whose system call its stop has interrupted, with all registers as they were, the
 * number of the call in rax, the address to return to in rcx, and in r11 how many bytes the call has moved: in place of
 * the system call the hooked one is made, or the rest of it.
 * The program goes on after it as after a system call, whose registers are kept and whose stack is not touched. */
#ifdef __x86_64__
extern const char nd_take_over[] __attribute__((visibility("hidden")));
#endif

/* What struct nd_state says of it: where it is, seen from `block`; 1 where there is no such thing. */
static inline int32_t nd_take_over_from(const void *block) {
#ifdef __x86_64__
    return (int32_t)(nd_take_over - (const char *)block);
#else
    (void)block;
    return 1;
#endif
}
