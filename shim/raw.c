#include "shim/raw.h"

#include <errno.h>
#include <linux/net.h>

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

#ifdef __i386__
/* The number of the call in socketcall(2), the only form that kernels before 4.3 have; 0 for another call. */
static int socketcall_of(long number) {
    static const unsigned char calls[] = {
        [SYS_socket - SYS_socket] = SYS_SOCKET,
        [SYS_socketpair - SYS_socket] = SYS_SOCKETPAIR,
        [SYS_bind - SYS_socket] = SYS_BIND,
        [SYS_connect - SYS_socket] = SYS_CONNECT,
        [SYS_listen - SYS_socket] = SYS_LISTEN,
        [SYS_accept4 - SYS_socket] = SYS_ACCEPT4,
        [SYS_getsockopt - SYS_socket] = SYS_GETSOCKOPT,
        [SYS_setsockopt - SYS_socket] = SYS_SETSOCKOPT,
        [SYS_getsockname - SYS_socket] = SYS_GETSOCKNAME,
        [SYS_getpeername - SYS_socket] = SYS_GETPEERNAME,
        [SYS_sendto - SYS_socket] = SYS_SENDTO,
        [SYS_sendmsg - SYS_socket] = SYS_SENDMSG,
        [SYS_recvfrom - SYS_socket] = SYS_RECVFROM,
        [SYS_recvmsg - SYS_socket] = SYS_RECVMSG,
        [SYS_shutdown - SYS_socket] = SYS_SHUTDOWN,
    };
    unsigned long at = (unsigned long)(number - SYS_socket);
    return at < sizeof calls ? calls[at] : 0;
}
#endif

long nd_raw_syscall(long number, long a, long b, long c, long d, long e, long f) {
    long result = nd_raw_call(number, a, b, c, d, e, f);
#ifdef __i386__
    if (result == -ENOSYS && socketcall_of(number)) {
        long arguments[] = {a, b, c, d, e, f};
        result = nd_raw_call(SYS_socketcall, socketcall_of(number), (long)arguments, 0, 0, 0, 0);
    }
#endif
    if (result < 0 && result > -4096) {
        errno = (int)-result;
        return -1;
    }
    return result;
}
