#include "cli/process/system_call.h"

#include <inttypes.h>
#include <limits.h>
#include <linux/net.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>

#include "cli/process/memory.h"
#include "shim/report/operations.h"

enum { MOST_FDS = 1024 };

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

/* Adds a descriptor of a set to the call, if it is a connection. */
static void consider(pid_t pid, int fd, struct system_call *call) {
    struct socket_info info;
    if (socket_look(pid, fd, &info) != 0 || !info.is_internet || !info.is_connected)
        return;
    if (call->fd < 0) {
        call->fd = fd;
        call->info = info;
    } else {
        call->more++;
    }
}

static void consider_poll(pid_t pid, uint64_t fds, uint64_t count, struct system_call *call) {
    static struct pollfd set[MOST_FDS];
    if (count > MOST_FDS)
        count = MOST_FDS;
    if (memory_read(pid, fds, set, (size_t)count * sizeof set[0]) != 0)
        return;
    for (uint64_t i = 0; i < count; i++)
        consider(pid, set[i].fd, call);
}

static void consider_select(pid_t pid, const uint64_t *arguments, struct system_call *call) {
    unsigned char sets[2][MOST_FDS / 8] = {{0}, {0}};
    uint64_t count = arguments[0] < MOST_FDS ? arguments[0] : MOST_FDS;
    for (int i = 0; i < 2; i++)
        if (arguments[i + 1] && memory_read(pid, arguments[i + 1], sets[i], (size_t)(count + 7) / 8) != 0)
            memset(sets[i], 0, sizeof sets[i]);
    for (uint64_t fd = 0; fd < count; fd++)
        if ((sets[0][fd / 8] | sets[1][fd / 8]) >> (fd % 8) & 1)
            consider(pid, (int)fd, call);
}

bool system_call_look_at_epoll(pid_t pid, int epfd, struct system_call *call) {
    char path[64], line[256];
    int fd, looked = 0;
    call->fd = -1;
    call->more = 0;
    snprintf(path, sizeof path, "/proc/%d/fdinfo/%d", (int)pid, epfd);
    FILE *file = fopen(path, "re");
    while (file && fgets(line, sizeof line, file) && looked < MOST_FDS)
        if (sscanf(line, "tfd: %d", &fd) == 1) {
            consider(pid, fd, call);
            looked++;
        }
    if (file)
        fclose(file);
    return call->fd >= 0;
}

/* Finds the sockets that the call waits for. Where the arguments have them depends on the operation's family. */
static void consider_call(pid_t pid, enum nd_call operation, const uint64_t *arguments, struct system_call *call) {
    int fd = arguments[0] <= INT_MAX ? (int)arguments[0] : -1;
    switch (nd_operation_table[operation].family) {
    case ND_FAMILY_POLL:
        consider_poll(pid, arguments[0], arguments[1], call);
        break;
    case ND_FAMILY_SELECT:
        consider_select(pid, arguments, call);
        break;
    case ND_FAMILY_EPOLL:
        system_call_look_at_epoll(pid, fd, call);
        break;
    case ND_FAMILY_SPLICE: /* between its first argument and its third */
        if (socket_look(pid, fd, &call->info) != 0)
            fd = arguments[2] <= INT_MAX ? (int)arguments[2] : -1;
        /* fall through */
    default:
        call->fd = socket_look(pid, fd, &call->info) == 0 ? fd : -1;
        break;
    }
}

/* The system call that a thread is blocked in. */
struct blocked_call {
    long number;
    uint64_t arguments[6], stack;
};

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
    return sscanf(line, "%ld %" SCNx64 " %" SCNx64 " %" SCNx64 " %" SCNx64 " %" SCNx64 " %" SCNx64 " %" SCNx64,
                  &call->number, arguments, arguments + 1, arguments + 2, arguments + 3, arguments + 4, arguments + 5,
                  &call->stack) == 8;
}

int system_call_look(pid_t pid, pid_t tid, bool is_64, struct system_call *call) {
    struct blocked_call blocked;
    *call = (struct system_call){.fd = -1};
    int status = read_call(pid, tid, &blocked);
    if (status <= 0)
        return status;
    call->stack = blocked.stack;
    enum nd_call operation = find_operation(pid, blocked.number, is_64, blocked.arguments);
    if (operation == ND_OPERATION_NONE)
        return 0;
    consider_call(pid, operation, blocked.arguments, call);
    if (call->fd >= 0)
        call->name = nd_operation_names[operation];
    return 0;
}

int system_call_receives_from(pid_t pid, pid_t tid, bool is_64) {
    struct blocked_call call;
    struct pollfd polled;
    if (read_call(pid, tid, &call) <= 0)
        return -1;
    const struct nd_operation_row *row = &nd_operation_table[find_operation(pid, call.number, is_64, call.arguments)];
    switch (row->family) {
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
