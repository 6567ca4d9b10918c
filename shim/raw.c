#include "shim/raw.h"

#include <errno.h>

/* number, then six arguments; gives the result, or minus the error. */
long nd_raw_call(long number, long a, long b, long c, long d, long e, long f) __attribute__((visibility("hidden")));

#if defined(__x86_64__)
__asm__(".pushsection .text\n"
        ".hidden nd_raw_call\n.globl nd_raw_call\n.type nd_raw_call, @function\n"
        "nd_raw_call:\n"
        "  mov %rdi, %rax\n  mov %rsi, %rdi\n  mov %rdx, %rsi\n  mov %rcx, %rdx\n"
        "  mov %r8, %r10\n  mov %r9, %r8\n  mov 8(%rsp), %r9\n"
        "  syscall\n  ret\n"
        ".size nd_raw_call, .-nd_raw_call\n.popsection");
#elif defined(__i386__)
__asm__(".pushsection .text\n"
        ".hidden nd_raw_call\n.globl nd_raw_call\n.type nd_raw_call, @function\n"
        "nd_raw_call:\n"
        "  push %ebx\n  push %esi\n  push %edi\n  push %ebp\n"
        "  mov 20(%esp), %eax\n  mov 24(%esp), %ebx\n  mov 28(%esp), %ecx\n  mov 32(%esp), %edx\n"
        "  mov 36(%esp), %esi\n  mov 40(%esp), %edi\n  mov 44(%esp), %ebp\n"
        "  int $0x80\n"
        "  pop %ebp\n  pop %edi\n  pop %esi\n  pop %ebx\n  ret\n"
        ".size nd_raw_call, .-nd_raw_call\n.popsection");
#elif defined(__aarch64__)
__asm__(".pushsection .text\n"
        ".hidden nd_raw_call\n.globl nd_raw_call\n.type nd_raw_call, %function\n"
        "nd_raw_call:\n"
        "  mov x8, x0\n  mov x0, x1\n  mov x1, x2\n  mov x2, x3\n  mov x3, x4\n  mov x4, x5\n  mov x5, x6\n"
        "  svc #0\n  ret\n"
        ".size nd_raw_call, .-nd_raw_call\n.popsection");
#else
#error "a raw system call for this architecture is missing here"
#endif

long nd_raw_syscall(long number, long a, long b, long c, long d, long e, long f) {
    long result = nd_raw_call(number, a, b, c, d, e, f);
    if (result < 0 && result > -4096) {
        errno = (int)-result;
        return -1;
    }
    return result;
}
