/* The registers of a thread that is stopped in a system call which the stop has interrupted. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "cli/process/system_call.h"

struct registers {
    size_t size; /* as the kernel has them: of the thread's own class */
    union {
        uint64_t words[64];
        uint32_t words_32[128];
    };
};

/* Reads them. False where that fails, or the machine is one whose registers are not known here. */
bool registers_read(pid_t tid, struct registers *registers);

/* Whether the thread is still in the call that was read before it was stopped, and the stop has interrupted it: nothing
 * but the kernel's making it again, or EINTR, is left of it. */
bool registers_are_interrupted(const struct registers *registers, const struct blocked_call *call);

/* The result with which the stop has ended that call early, in which the thread still is; negative: it has none. */
int64_t registers_result(const struct registers *registers, const struct blocked_call *call);

/* Makes the call fail with EINTR. Returns whether it does. */
bool registers_interrupt(pid_t tid, struct registers *registers, const struct blocked_call *call);

/* Sends the thread to `address` in place of the call (shim/hook/take_over.h), `done` bytes of which have moved. Returns
 * whether it goes there. */
bool registers_send(pid_t tid, struct registers *registers, const struct blocked_call *call, uint64_t done,
                    uint64_t address);

/* Whether registers_send can do that on this machine. */
extern const bool registers_can_send;

/* Has the kernel make the call again that the stop has interrupted, where it would not do so by itself. */
void registers_make_again(pid_t tid, struct registers *registers);
