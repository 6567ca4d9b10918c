/* How `netdeadline set` reaches calls that wait already, without which each of them would have to wake again and again to
 * look at its settings.
 *
 * A thread waits in the library if the C library's function that has made its system call was called from there. A hook
 * that bounds nothing jumps to the C library instead of calling it, and is not taken for one. */
#include "cli/process/wake.h"

#include <errno.h>
#include <limits.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <unistd.h>

#include "cli/process/caller.h"
#include "cli/process/ending.h"
#include "cli/process/memory.h"
#include "cli/process/processes.h"
#include "cli/process/registers.h"
#include "cli/process/stop.h"
#include "cli/process/system_call.h"

/* A thread that waits. */
struct waiting {
    pid_t tid;
    struct blocked_call call;
    bool takes_over; /* the call can be made anew through the library */
};

/* So many threads are stopped at once: one after the other, each would have to wait for a processor. */
enum { AT_ONCE = 64 };

struct look {
    const struct block *block;
    struct woken woken;
    struct nd_slot *slots;
    unsigned slot_count;
    struct code_map code;
    struct waiting waiting[AT_ONCE];
    unsigned waiting_count;
};

/* Whether the call sends one stream of bytes: an interruption would end it with what it has sent so far, from where the
 * library goes on. */
static bool sends(const struct blocked_call *call) {
    return call->operation >= ND_OPERATION_write && call->operation <= ND_OPERATION_sendmsg;
}

/* Whether the call returns what it has moved when it is interrupted, and the library makes the rest of it. */
static bool moves_a_part(const struct blocked_call *call) {
    return sends(call) || call->operation == ND_OPERATION_sendmmsg || call->operation == ND_OPERATION_splice ||
           nd_operation_table[call->operation].family == ND_FAMILY_SENDFILE;
}

enum { I386_FUTEX = 240 };

/* Whether the call may be interrupted: nothing changes then but that it returns, or that it is made for the rest. */
static bool may_be_interrupted(const struct look *look, const struct blocked_call *call) {
    if (call->operation == ND_OPERATION_NONE) /* a lookup waits for its helper thread */
        return call->number == (look->code.is_64 == (sizeof(void *) == 8) ? SYS_futex : I386_FUTEX);
    switch (nd_operation_table[call->operation].family) {
    case ND_FAMILY_CONNECT:
    case ND_FAMILY_ACCEPT:
    case ND_FAMILY_RECEIVE:
    case ND_FAMILY_RECEIVE_MESSAGE:
    case ND_FAMILY_SPLICE:
    case ND_FAMILY_POLL:
    case ND_FAMILY_SELECT:
    case ND_FAMILY_EPOLL:
        return true;
    default:
        return moves_a_part(call);
    }
}

/* Whether the program has given the socket a timeout of this `name`: a call that is made anew would have it anew. So it
 * is said where that cannot be seen. */
static bool has_own_timeout(pid_t pid, int fd, int name) {
    struct timeval own = {1, 0};
    socklen_t length = sizeof own;
    const int process = process_open(pid), copy = process < 0 ? -1 : ending_copy(process, fd, 0);
    if (copy >= 0) {
        getsockopt(copy, SOL_SOCKET, name, &own, &length);
        close(copy);
    }
    if (process >= 0)
        close(process);
    return own.tv_sec != 0 || own.tv_usec != 0;
}

/* Whether the call waits for as many bytes as it has room for. */
static bool wants_all(const struct blocked_call *call) {
    const uint64_t *a = call->arguments;
    return ((call->operation == ND_OPERATION_recv || call->operation == ND_OPERATION_recvfrom) &&
            (a[3] & MSG_WAITALL)) ||
           (call->operation == ND_OPERATION_recvmsg && (a[2] & MSG_WAITALL));
}

/* Whether the call waits for a socket, and can be made anew: one that the program has given a timeout would have it
 * anew, but for those whose timeouts the kernel counts down where they are, when it interrupts the call. */
static bool can_be_made_anew(pid_t pid, const struct blocked_call *call) {
    struct socket_info info;
    const uint64_t *a = call->arguments;
    const int fd = a[0] <= INT_MAX ? (int)a[0] : -1;
    switch (call->operation) {
    case ND_OPERATION_poll:
        return (int)a[2] < 0;
    case ND_OPERATION_ppoll:
    case ND_OPERATION_select:
    case ND_OPERATION_pselect:
        return true;
    case ND_OPERATION_epoll_wait:
    case ND_OPERATION_epoll_pwait:
        return (int)a[3] < 0;
    case ND_OPERATION_epoll_pwait2:
        return a[3] == 0;
    case ND_OPERATION_recv:
    case ND_OPERATION_recvfrom:
    case ND_OPERATION_recvmsg:
    case ND_OPERATION_read:
    case ND_OPERATION_readv:
    case ND_OPERATION_accept:
    case ND_OPERATION_accept4:
        return socket_look(pid, fd, &info) == 0 && !has_own_timeout(pid, fd, SO_RCVTIMEO);
    default:
        return sends(call) && socket_look(pid, fd, &info) == 0 && !has_own_timeout(pid, fd, SO_SNDTIMEO);
    }
}

/* Finds the slot of the thread's call, and marks it if `marks`: by that the library tells this from a signal. False where
 * it has none. */
static bool find_slot(const struct look *look, pid_t tid, uint64_t stack, bool marks) {
    const struct block *block = look->block;
    const pid_t inner_tid = process_inner_tid(block->pid, tid);
    bool any = false;
    for (unsigned i = 0; i < look->slot_count; i++) {
        struct nd_slot slot;
        if (look->slots[i].tid != (uint32_t)inner_tid || block_slot(block, i, &slot) != 0 ||
            slot.tid != (uint32_t)inner_tid || slot.frame < stack || !block_slot_stands(block, &slot))
            continue;
        const uint8_t mark = nd_slot_woken_mark(slot.sequence);
        any |= !marks ||
               memory_write(block->pid,
                            block->state.slots.address + (uint64_t)i * sizeof slot + offsetof(struct nd_slot, woken),
                            &mark, sizeof mark) == 0;
    }
    return any;
}

static void read_slots(struct look *look) {
    free(look->slots);
    look->slots = block_slots(look->block, &look->slot_count);
    if (!look->slots)
        look->slot_count = 0;
}

/* Whether the library there can make the call anew in place of this one. */
static bool can_be_taken_over(const struct look *look, const struct blocked_call *call) {
    unsigned char instruction[2];
    static const unsigned char system_call[2] = {0x0f, 0x05};
    return registers_can_send && look->code.is_64 && look->block->state.take_over != 1 &&
           memory_read(look->block->pid, call->program - 2, instruction, sizeof instruction) == 0 &&
           memcmp(instruction, system_call, sizeof instruction) == 0 && can_be_made_anew(look->block->pid, call);
}

/* The thread is stopped. Makes its system call fail with EINTR where the library waits in it, or sends the thread to
 * make the call anew, or for the rest. Where the library waits in a call that has done a part, its mark says that the
 * stop has ended it, not a signal. */
static bool wake_stopped(const struct look *look, pid_t tid, const struct blocked_call *call, bool takes_over) {
    struct registers registers;
    if (!registers_read(tid, &registers))
        return false;
    const bool is_whole = registers_are_interrupted(&registers, call);
    const int64_t part = moves_a_part(call) || wants_all(call) ? registers_result(&registers, call) : 0;
    if ((is_whole || part > 0) && caller_find(&look->code, call->stack).by == THE_LIBRARY &&
        find_slot(look, tid, call->stack, true) && (!is_whole || registers_interrupt(tid, &registers, call)))
        return true;
    if ((is_whole || part > 0) && takes_over &&
        registers_send(tid, &registers, call, is_whole ? 0 : (uint64_t)part,
                       look->block->address + (uint64_t)(int64_t)look->block->state.take_over))
        return true;
    registers_make_again(tid, &registers);
    return false;
}

static void wake_noted(struct look *look) {
    int begun[AT_ONCE];
    for (unsigned i = 0; i < look->waiting_count; i++) {
        begun[i] = thread_stop_begin(look->waiting[i].tid);
        look->woken.denied += begun[i] < 0 && errno == EPERM;
    }
    for (unsigned i = 0; i < look->waiting_count; i++) {
        const struct waiting *thread = &look->waiting[i];
        const int signal = begun[i] == 0 ? thread_stop_end(thread->tid) : -1;
        if (signal == 0)
            look->woken.calls += wake_stopped(look, thread->tid, &thread->call, thread->takes_over);
        if (signal >= 0)
            thread_go_on(thread->tid, signal);
    }
    look->waiting_count = 0;
}

static void note_thread(pid_t tid, void *arg) {
    struct look *look = arg;
    struct waiting *thread = &look->waiting[look->waiting_count];
    thread->tid = tid;
    if (system_call_read(look->block->pid, tid, look->code.is_64, &thread->call) <= 0 ||
        !may_be_interrupted(look, &thread->call))
        return;
    const struct caller caller = caller_find(&look->code, thread->call.stack);
    thread->takes_over = caller.by != UNKNOWN && can_be_taken_over(look, &thread->call) &&
                         caller_is_direct(&look->code, &caller, &thread->call);
    const bool goes_on =
        caller.by == THE_LIBRARY && (!moves_a_part(&thread->call) || find_slot(look, tid, thread->call.stack, false));
    if ((goes_on || thread->takes_over) && ++look->waiting_count == AT_ONCE)
        wake_noted(look);
}

struct woken wake_calls(const struct block *block) {
    struct look look = {.block = block};
    if (!block->state.take_over)
        return look.woken;
    code_map_read(&look.code, block->pid, block->path);
    read_slots(&look);
    process_each_thread(block->pid, note_thread, &look);
    wake_noted(&look);
    free(look.slots);
    code_map_free(&look.code);
    return look.woken;
}
