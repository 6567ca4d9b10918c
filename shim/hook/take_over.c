#include "shim/hook/take_over.h"

#include "shim/call/receive_wait.h"
#include "shim/call/send.h"
#include "shim/hook/by_number.h"
#include "shim/hook/hook.h"
#include "shim/mode.h"
#include "shim/raw.h"
#include "shim/report/slots.h"
#include "shim/settings/live.h"
#include "shim/socket/kernel_timers.h"
#include "shim/socket/limits.h"

#ifdef __x86_64__

/* The C library's function may use the 128 bytes below the stack pointer. It expects its registers as a system call
 * leaves them (all but rax, rcx and r11 as they were); those of vectors are lost in any call of a function like it. */
__asm__(".text\n"
        ".globl nd_take_over\n"
        ".hidden nd_take_over\n"
        ".type nd_take_over, @function\n"
        "nd_take_over:\n"
        "    .cfi_startproc\n"
        "    .cfi_def_cfa rsp, 0\n"
        "    .cfi_register rip, rcx\n"
        "    lea -128(%rsp), %rsp\n"
        "    .cfi_def_cfa_offset 128\n"
        "    push %rcx\n"
        "    .cfi_def_cfa_offset 136\n"
        "    .cfi_offset rip, -136\n"
        "    push %rbp\n"
        "    .cfi_def_cfa_offset 144\n"
        "    .cfi_offset rbp, -144\n"
        "    mov %rsp, %rbp\n"
        "    .cfi_def_cfa_register rbp\n"
        "    push %r9\n"
        "    push %r8\n"
        "    push %r10\n"
        "    push %rdx\n"
        "    push %rsi\n"
        "    push %rdi\n"
        "    mov %rax, %rdi\n"
        "    mov %rsp, %rsi\n"
        "    mov %r11, %rdx\n"
        "    and $-16, %rsp\n"
        "    call nd_taken_over\n"
        "    lea -48(%rbp), %rsp\n"
        "    pop %rdi\n"
        "    pop %rsi\n"
        "    pop %rdx\n"
        "    pop %r10\n"
        "    pop %r8\n"
        "    pop %r9\n"
        "    pop %rbp\n"
        "    .cfi_def_cfa rsp, 136\n"
        "    .cfi_restore rbp\n"
        "    pop %rcx\n"
        "    .cfi_def_cfa_offset 128\n"
        "    .cfi_register rip, rcx\n"
        "    lea 128(%rsp), %rsp\n"
        "    .cfi_def_cfa_offset 0\n"
        "    jmp *%rcx\n"
        "    .cfi_endproc\n"
        "    .size nd_take_over, . - nd_take_over\n");

/* The operations by the numbers of their calls. */
static const uint8_t operations[] = {
#define ND_SYSTEM_CALL(call, operation) [SYS_##call] = ND_OPERATION_##operation,
#include "shim/report/operations.def"
};

static ssize_t send_rest(enum nd_call operation, const long *a, ssize_t done) {
    struct msghdr vector = {.msg_iov = (void *)a[1], .msg_iovlen = (size_t)a[2]};
    struct nd_send_call call = {.kind = (enum nd_send_kind)(operation - ND_OPERATION_write), .fd = (int)a[0]};
    if (call.kind == ND_WRITEV || call.kind == ND_SENDMSG) {
        call.msg = call.kind == ND_WRITEV ? &vector : (const void *)a[1];
        call.flags = call.kind == ND_WRITEV ? 0 : (int)a[2];
    } else {
        call.buf = (const void *)a[1];
        call.len = (size_t)a[2];
        call.flags = call.kind == ND_WRITE ? 0 : (int)a[3];
    }
    return nd_send_rest(&call, true, done, errno);
}

/* With MSG_WAITALL. */
static ssize_t receive_rest(enum nd_call operation, const long *a, ssize_t done) {
    const bool is_message = operation == ND_OPERATION_recvmsg;
    const struct nd_receive_call call = {.kind = is_message ? ND_RECVMSG : ND_RECV,
                                         .fd = (int)a[0],
                                         .flags = (int)(is_message ? a[2] : a[3]),
                                         .buf = (void *)a[1],
                                         .len = is_message ? 0 : (size_t)a[2]};
    struct nd_sock *sock = nd_sock_lookup(call.fd);
    if (!sock)
        return done;
    nd_kernel_timers_refresh(call.fd, sock);
    return nd_receive_rest(&call, sock, nd_sock_recv_limit(sock), done);
}

/* Makes the rest of a call that has moved `done` bytes: returns how many it has moved then. */
static ssize_t make_rest(enum nd_call operation, const long *a, ssize_t done) {
    if (!nd_active)
        return done;
    return operation >= ND_OPERATION_write && operation <= ND_OPERATION_sendmsg ? send_rest(operation, a, done)
                                                                                : receive_rest(operation, a, done);
}

/* Makes the call `number`, of which `done` bytes have moved, as the hooked function. Returns as a system call does; errno
 * stays as it is. Its slot lets the command wake it where it waits past the library again. */
__attribute__((visibility("hidden"), used)) long nd_taken_over(long number, const long *a, long done);

long nd_taken_over(long number, const long *a, long done) {
    const int saved = errno;
    const enum nd_call operation =
        (unsigned long)number < sizeof operations ? (enum nd_call)operations[number] : ND_OPERATION_NONE;
    struct nd_slot_use use;
    long result;
    nd_slot_begin(&use, operation, -1, nd_now(), ND_NEVER, ND_LIMIT_NONE);
    nd_live_check();
    do
        result = done > 0    ? make_rest(operation, a, done)
                 : nd_active ? nd_syscall_hooked(number, a[0], a[1], a[2], a[3], a[4], a[5])
                             : nd_raw_syscall(number, a[0], a[1], a[2], a[3], a[4], a[5]);
    while (result < 0 && errno == EINTR && nd_slots_woken());
    nd_slot_end(&use, ND_SLOT_UNCOUNTED, nd_now());
    if (result < 0)
        result = -errno;
    errno = saved;
    return result;
}

#endif
