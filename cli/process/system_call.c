#include "cli/process/system_call.h"

#include <inttypes.h>
#include <limits.h>
#include <linux/net.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>

#include "cli/process/descriptors.h"
#include "cli/process/memory.h"
#include "shim/limit/elapsed.h"
#include "shim/report/operations.h"

enum { MOST_FDS = 65536, DEEPEST_SET = 5 };

/* A system call that makes an operation. */
struct row {
    long number; /* -1: the end */
    enum nd_call operation;
};

#ifndef SYS_epoll_pwait2
#define SYS_epoll_pwait2 441
#endif

static const struct row native[] = {
#define ND_SYSTEM_CALL(call, operation) {SYS_##call, ND_OPERATION_##operation},
#include "shim/report/operations.def"
    {-1, ND_OPERATION_NONE},
};

/* A 32-bit process on a 64-bit machine has the numbers of another machine; only i386's are known here. */
static const struct row foreign[] = {
#ifdef __x86_64__
#define ND_SYSTEM_CALL_I386(number, operation) {number, ND_OPERATION_##operation},
#include "shim/report/operations.def"
#endif
    {-1, ND_OPERATION_NONE},
};

/* The calls behind i386's socketcall, the only ones for sockets that its libc made before glibc 2.22 and Linux 4.3. */
static const struct row socketcalls[] = {
#define ND_SOCKETCALL(number, operation) {number, ND_OPERATION_##operation},
#include "shim/report/operations.def"
    {-1, ND_OPERATION_NONE},
};
enum { I386_SELECT = 82, I386_SOCKETCALL = 102 };

/* Two calls of i386 have their arguments in memory; the shortest have three. */
static bool read_arguments(pid_t pid, uint64_t at, uint64_t *arguments) {
    uint32_t words[6] = {0};
    if (memory_read(pid, at, words, sizeof words) != 0 && memory_read(pid, at, words, 3 * sizeof words[0]) != 0)
        return false;
    for (int i = 0; i < 6; i++)
        arguments[i] = words[i];
    return true;
}

static enum nd_call find_row(const struct row *row, long number) {
    while (row->number >= 0 && row->number != number)
        row++;
    return row->operation;
}

/* The operation of a call, and its arguments as those of the call that it stands for. */
static enum nd_call find_operation(pid_t pid, long number, bool is_64, uint64_t *arguments) {
#if defined(__x86_64__) || defined(__i386__)
    const bool is_i386 = !is_64;
#else
    const bool is_i386 = false;
#endif
    if (is_i386 && number == I386_SOCKETCALL && arguments[0] <= INT_MAX) {
        long call = (long)arguments[0];
        return read_arguments(pid, arguments[1], arguments) ? find_row(socketcalls, call) : ND_OPERATION_NONE;
    }
    if (is_i386 && number == I386_SELECT)
        return read_arguments(pid, arguments[0], arguments) ? ND_OPERATION_select : ND_OPERATION_NONE;
    return find_row(is_64 == (sizeof(void *) == 8) ? native : foreign, number);
}

static bool each_in_poll(pid_t pid, const uint64_t *arguments, system_call_polled *visit, void *arg) {
    static struct pollfd set[MOST_FDS];
    const uint64_t count = arguments[1] < MOST_FDS ? arguments[1] : MOST_FDS;
    if (memory_read(pid, arguments[0], set, (size_t)count * sizeof set[0]) != 0)
        return false;
    for (uint64_t i = 0; i < count; i++)
        if (set[i].fd >= 0)
            visit(set[i].fd, set[i].events, arg);
    return count == arguments[1];
}

static bool each_in_select(pid_t pid, const uint64_t *arguments, system_call_polled *visit, void *arg) {
    enum { SETS = 3 };
    static const short events[SETS] = {POLLIN, POLLOUT, POLLPRI};
    unsigned char sets[SETS][MOST_FDS / 8];
    const uint64_t count = arguments[0] < MOST_FDS ? arguments[0] : MOST_FDS;
    bool is_whole = count == arguments[0];
    memset(sets, 0, sizeof sets);
    for (int i = 0; i < SETS; i++)
        if (arguments[i + 1] && memory_read(pid, arguments[i + 1], sets[i], (size_t)(count + 7) / 8) != 0) {
            memset(sets[i], 0, sizeof sets[i]);
            is_whole = false;
        }
    for (uint64_t fd = 0; fd < count; fd++) {
        short wants = 0;
        for (int i = 0; i < SETS; i++)
            wants |= sets[i][fd / 8] >> (fd % 8) & 1 ? events[i] : 0;
        if (wants)
            visit((int)fd, wants, arg);
    }
    return is_whole;
}

bool system_call_each_polled(pid_t pid, const struct blocked_call *call, system_call_polled *visit, void *arg) {
    return nd_operation_table[call->operation].family == ND_FAMILY_SELECT
               ? each_in_select(pid, call->arguments, visit, arg)
               : each_in_poll(pid, call->arguments, visit, arg);
}

/* A call that is looked at. */
struct looked_at {
    pid_t pid;
    struct system_call *call;
    struct wait_list *waits;
};

static void consider_set(const struct looked_at *at, int epfd, int depth);

/* Adds a descriptor of a set to the call: it is waited for, and may be a connection. */
static void consider(const struct looked_at *at, int fd, short events, int set, int depth) {
    struct system_call *call = at->call;
    struct socket_info info;
    const short wants = nd_wants_of(events, events);
    if (fd < 0)
        return;
    if (socket_look(at->pid, fd, &info) != 0) {
        if (wants && depth < DEEPEST_SET && descriptor_look(at->pid, fd).kind == DESCRIPTOR_EPOLL_SET)
            consider_set(at, fd, depth + 1);
        return;
    }
    if (wants & (ND_WANTS_IN | ND_WANTS_OUT))
        wait_list_add(at->waits, fd, wants, set);
    if (!info.is_internet || !info.is_connected)
        return;
    if (call->fd < 0) {
        call->fd = fd;
        call->info = info;
    } else {
        call->more++;
    }
}

/* A set whose members are considered. */
struct considered_set {
    const struct looked_at *at;
    int epfd, depth, looked;
};

static void consider_member(int fd, uint32_t events, uint64_t data, void *arg) {
    struct considered_set *set = arg;
    (void)data;
    if (set->looked++ < MOST_FDS)
        consider(set->at, fd, (short)events, set->epfd, set->depth);
}

static void consider_set(const struct looked_at *at, int epfd, int depth) {
    descriptors_in_epoll_set(at->pid, epfd, consider_member, &(struct considered_set){at, epfd, depth, 0});
}

static void consider_polled(int fd, short events, void *arg) {
    consider(arg, fd, events, -1, 0);
}

bool system_call_look_at_epoll(pid_t pid, int epfd, struct system_call *call, struct wait_list *waits) {
    call->fd = -1;
    call->more = 0;
    waits->count = 0;
    consider_set(&(struct looked_at){pid, call, waits}, epfd, 0);
    return call->fd >= 0;
}

/* What a call on one descriptor waits for. */
static short wants_of(enum nd_call operation) {
    const uint8_t moves = nd_operation_table[operation].moves;
    return (short)((moves & ND_MOVES_IN ? POLLIN : 0) | (moves & ND_MOVES_OUT ? POLLOUT : 0));
}

/* Finds the sockets that the call waits for. Where the arguments have them depends on the operation's family. */
static void consider_call(const struct looked_at *at, const struct blocked_call *blocked) {
    struct system_call *call = at->call;
    const enum nd_call operation = blocked->operation;
    const uint64_t *arguments = blocked->arguments;
    int fd = arguments[0] <= INT_MAX ? (int)arguments[0] : -1;
    short wants = wants_of(operation);
    call->is_set = true;
    switch (nd_operation_table[operation].family) {
    case ND_FAMILY_POLL:
    case ND_FAMILY_SELECT:
        system_call_each_polled(at->pid, blocked, consider_polled, (struct looked_at *)(uintptr_t)at);
        break;
    case ND_FAMILY_EPOLL:
        system_call_look_at_epoll(at->pid, fd, call, at->waits);
        break;
    case ND_FAMILY_SPLICE: /* between its first argument and its third */
        wants = POLLIN;
        if (socket_look(at->pid, fd, &call->info) != 0) {
            fd = arguments[2] <= INT_MAX ? (int)arguments[2] : -1;
            wants = POLLOUT;
        }
        /* fall through */
    default:
        call->is_set = false;
        call->fd = socket_look(at->pid, fd, &call->info) == 0 ? fd : -1;
        if (call->fd >= 0)
            wait_list_add(at->waits, fd, wants, -1);
        break;
    }
}

/* Returns 1, or 0 for a thread that is running or stopped outside a call, or -1 where it may not be seen. */
static int read_call(pid_t pid, pid_t tid, struct blocked_call *call) {
    char path[64], line[256] = "";
    uint64_t *arguments = call->arguments;
    snprintf(path, sizeof path, "/proc/%d/task/%d/syscall", (int)pid, (int)tid);
    FILE *file = fopen(path, "re");
    if (!file)
        return -1;
    bool read = fgets(line, sizeof line, file) != NULL;
    fclose(file);
    if (!read)
        return -1;
    return sscanf(line,
                  "%ld %" SCNx64 " %" SCNx64 " %" SCNx64 " %" SCNx64 " %" SCNx64 " %" SCNx64 " %" SCNx64 " %" SCNx64,
                  &call->number, arguments, arguments + 1, arguments + 2, arguments + 3, arguments + 4, arguments + 5,
                  &call->stack, &call->program) == 9;
}

int system_call_read(pid_t pid, pid_t tid, bool is_64, struct blocked_call *call) {
    const int status = read_call(pid, tid, call);
    if (status > 0)
        call->operation = find_operation(pid, call->number, is_64, call->arguments);
    return status;
}

int system_call_look(pid_t pid, pid_t tid, bool is_64, struct system_call *call, struct wait_list *waits) {
    struct blocked_call blocked;
    *call = (struct system_call){.fd = -1};
    waits->count = 0;
    int status = system_call_read(pid, tid, is_64, &blocked);
    if (status <= 0)
        return status;
    call->stack = blocked.stack;
    if (blocked.operation == ND_OPERATION_NONE)
        return 0;
    consider_call(&(struct looked_at){pid, call, waits}, &blocked);
    if (call->fd >= 0)
        call->name = nd_operation_names[blocked.operation];
    return 0;
}

int system_call_receives_from(pid_t pid, pid_t tid, bool is_64) {
    struct blocked_call call;
    struct pollfd polled;
    if (system_call_read(pid, tid, is_64, &call) <= 0)
        return -1;
    switch (nd_operation_table[call.operation].family) {
    case ND_FAMILY_RECEIVE:
    case ND_FAMILY_RECEIVE_MESSAGE:
        return call.arguments[0] <= INT_MAX ? (int)call.arguments[0] : -1;
    case ND_FAMILY_POLL:
        if (call.arguments[1] != 1 || memory_read(pid, call.arguments[0], &polled, sizeof polled) != 0)
            return -1;
        return polled.events & (POLLIN | POLLRDNORM) ? polled.fd : -1;
    default:
        return -1;
    }
}
