/* What the library tells valgrind, so that its users read reports of their own programs only: its tools cannot know
 * that locks of this library guard what two threads write. A request is a few instructions without effect on a
 * processor. */
#pragma once

#include <stdint.h>

/* Numbers of valgrind's interface. */
#define ND_VALGRIND_HIDE_ERRORS 0x1801u      /* of this thread: +1, or -1 to end it */
#define ND_HELGRIND_UNTRACKED 0x48470127u    /* address, size */
#define ND_DRD_START_SUPPRESSION 0x44520002u /* address, size */

static inline void nd_valgrind_request(uintptr_t number, uintptr_t a, uintptr_t b) {
    volatile uintptr_t request[6] = {number, a, b, 0, 0, 0};
#if defined(__x86_64__)
    uintptr_t result = 0;
    __asm__ volatile("rolq $3, %%rdi\n rolq $13, %%rdi\n rolq $61, %%rdi\n rolq $51, %%rdi\n xchgq %%rbx, %%rbx"
                     : "+d"(result)
                     : "a"(request)
                     : "cc", "memory");
#elif defined(__i386__)
    uintptr_t result = 0;
    __asm__ volatile("roll $3, %%edi\n roll $13, %%edi\n roll $29, %%edi\n roll $19, %%edi\n xchgl %%ebx, %%ebx"
                     : "+d"(result)
                     : "a"(request)
                     : "cc", "memory");
#elif defined(__aarch64__)
    register uintptr_t result __asm__("x3") = 0;
    register volatile uintptr_t *at __asm__("x4") = request;
    __asm__ volatile("ror x12, x12, #3\n ror x12, x12, #13\n ror x12, x12, #51\n ror x12, x12, #61\n orr x10, x10, x10"
                     : "+r"(result)
                     : "r"(at)
                     : "cc", "memory");
#endif
}

/* From here to nd_valgrind_show no error of this thread is reported. The two nest. */
static inline void nd_valgrind_hide(void) {
    nd_valgrind_request(ND_VALGRIND_HIDE_ERRORS, 1, 0);
}

static inline void nd_valgrind_show(void) {
    nd_valgrind_request(ND_VALGRIND_HIDE_ERRORS, UINTPTR_MAX, 0);
}

/* Races on this memory are not reported. */
static inline void nd_valgrind_untrack(uintptr_t start, uintptr_t size) {
    nd_valgrind_request(ND_HELGRIND_UNTRACKED, start, size);
    nd_valgrind_request(ND_DRD_START_SUPPRESSION, start, size);
}
