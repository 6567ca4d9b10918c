#include "cli/process/registers.h"

#include <elf.h>
#include <errno.h>
#include <sys/ptrace.h>
#include <sys/uio.h>

bool registers_read(pid_t tid, struct registers *registers) {
    struct iovec all = {registers->words, sizeof registers->words};
    if (ptrace(PTRACE_GETREGSET, tid, NT_PRSTATUS, &all) != 0) // NOLINT(performance-no-int-to-ptr)
        return false;
    registers->size = all.iov_len;
    return true;
}

static bool write_back(pid_t tid, struct registers *registers) {
    struct iovec all = {registers->words, registers->size};
    return ptrace(PTRACE_SETREGSET, tid, NT_PRSTATUS, &all) == 0; // NOLINT(performance-no-int-to-ptr)
}

#if defined(__x86_64__) || defined(__i386__)

/* The order of struct user_regs_struct on both machines. */
enum { SIZE_64 = 27 * 8, R11_64 = 6, RESULT_64 = 10, COUNTER_64 = 11, NUMBER_64 = 15, PROGRAM_64 = 16, STACK_64 = 19 };
enum { SIZE_32 = 17 * 4, RESULT_32 = 6, NUMBER_32 = 11, PROGRAM_32 = 12, STACK_32 = 15 };
enum { INSTRUCTION = 2 }; /* syscall, sysenter and int have this many bytes */

/* The kernel's own errors, by which it makes an interrupted call again when the thread goes on: ERESTARTSYS,
 * ERESTARTNOINTR, ERESTARTNOHAND, ERESTART_RESTARTBLOCK. */
static bool is_interruption(int64_t result) {
    return result == -EINTR || result == -512 || result == -513 || result == -514 || result == -516;
}

bool registers_are_interrupted(const struct registers *registers, const struct blocked_call *call) {
    if (registers->size == SIZE_64)
        return (int64_t)registers->words[NUMBER_64] == call->number && registers->words[STACK_64] == call->stack &&
               is_interruption((int64_t)registers->words[RESULT_64]);
    return registers->size == SIZE_32 && (int32_t)registers->words_32[NUMBER_32] == call->number &&
           registers->words_32[STACK_32] == call->stack && is_interruption((int32_t)registers->words_32[RESULT_32]);
}

int64_t registers_result(const struct registers *registers, const struct blocked_call *call) {
    if (registers->size == SIZE_64)
        return (int64_t)registers->words[NUMBER_64] == call->number && registers->words[STACK_64] == call->stack &&
                       registers->words[PROGRAM_64] == call->program
                   ? (int64_t)registers->words[RESULT_64]
                   : -1;
    return registers->size == SIZE_32 && (int32_t)registers->words_32[NUMBER_32] == call->number &&
                   registers->words_32[STACK_32] == call->stack
               ? (int32_t)registers->words_32[RESULT_32]
               : -1;
}

bool registers_interrupt(pid_t tid, struct registers *registers, const struct blocked_call *call) {
    (void)call;
    if (registers->size == SIZE_64)
        registers->words[RESULT_64] = (uint64_t)(int64_t)-EINTR;
    else
        registers->words_32[RESULT_32] = (uint32_t)-EINTR;
    return write_back(tid, registers);
}

const bool registers_can_send = sizeof(long) == 8;

/* No number of a call: the kernel then makes none again. */
static const uint64_t no_call = (uint64_t)-1;

bool registers_send(pid_t tid, struct registers *registers, const struct blocked_call *call, uint64_t done,
                    uint64_t address) {
    if (registers->size != SIZE_64)
        return false;
    registers->words[RESULT_64] = (uint64_t)call->number;
    registers->words[NUMBER_64] = no_call;
    registers->words[R11_64] = done;
    registers->words[COUNTER_64] = registers->words[PROGRAM_64];
    registers->words[PROGRAM_64] = address;
    return write_back(tid, registers);
}

void registers_make_again(pid_t tid, struct registers *registers) {
    uint64_t *words = registers->words;
    uint32_t *words_32 = registers->words_32;
    if (registers->size == SIZE_64 && (int64_t)words[NUMBER_64] >= 0 && (int64_t)words[RESULT_64] == -EINTR) {
        words[RESULT_64] = words[NUMBER_64];
        words[NUMBER_64] = no_call;
        words[PROGRAM_64] -= INSTRUCTION;
        write_back(tid, registers);
    } else if (registers->size == SIZE_32 && (int32_t)words_32[NUMBER_32] >= 0 &&
               (int32_t)words_32[RESULT_32] == -EINTR) {
        words_32[RESULT_32] = words_32[NUMBER_32];
        words_32[NUMBER_32] = (uint32_t)no_call;
        words_32[PROGRAM_32] -= INSTRUCTION;
        write_back(tid, registers);
    }
}

#elif defined(__aarch64__)

enum { SIZE = 34 * 8, RESULT = 0, NUMBER = 8, STACK = 31, PROGRAM = 32, INSTRUCTION = 4 };

/* The kernel has put the thread back to the instruction before it stops, where it makes the call again; "the debugger
 * may change all of our registers" then. */
static bool is_put_back(const struct registers *registers, const struct blocked_call *call) {
    return registers->words[PROGRAM] == call->program - INSTRUCTION;
}

bool registers_are_interrupted(const struct registers *registers, const struct blocked_call *call) {
    return registers->size == SIZE && (long)registers->words[NUMBER] == call->number &&
           registers->words[STACK] == call->stack &&
           (is_put_back(registers, call) ||
            (registers->words[PROGRAM] == call->program && (int64_t)registers->words[RESULT] == -EINTR));
}

int64_t registers_result(const struct registers *registers, const struct blocked_call *call) {
    return registers->size == SIZE && (long)registers->words[NUMBER] == call->number &&
                   registers->words[STACK] == call->stack && registers->words[PROGRAM] == call->program
               ? (int64_t)registers->words[RESULT]
               : -1;
}

bool registers_interrupt(pid_t tid, struct registers *registers, const struct blocked_call *call) {
    registers->words[PROGRAM] = call->program;
    registers->words[RESULT] = (uint64_t)(int64_t)-EINTR;
    return write_back(tid, registers);
}

#else

bool registers_are_interrupted(const struct registers *registers, const struct blocked_call *call) {
    (void)registers;
    (void)call;
    return false;
}

int64_t registers_result(const struct registers *registers, const struct blocked_call *call) {
    (void)registers;
    (void)call;
    return -1;
}

bool registers_interrupt(pid_t tid, struct registers *registers, const struct blocked_call *call) {
    (void)tid;
    (void)registers;
    (void)call;
    return false;
}

#endif

#if !defined(__x86_64__) && !defined(__i386__)

const bool registers_can_send = false;

bool registers_send(pid_t tid, struct registers *registers, const struct blocked_call *call, uint64_t done,
                    uint64_t address) {
    (void)tid;
    (void)registers;
    (void)call;
    (void)done;
    (void)address;
    return false;
}

void registers_make_again(pid_t tid, struct registers *registers) {
    (void)tid;
    (void)registers;
}

#endif
