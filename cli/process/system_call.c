#include "cli/process/system_call.h"

#include <inttypes.h>
#include <limits.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>

#include "cli/process/memory.h"

enum { MOST_FDS = 1024 };

/* How the arguments tell which sockets are waited for. */
enum kind { FIRST, FIRST_TWO, POLL, SELECT, EPOLL };

struct row {
    long number;
    const char *name;
    enum kind kind;
};

#ifndef SYS_epoll_pwait2
#define SYS_epoll_pwait2 441
#endif

static const struct row native[] = {
    {SYS_read, "read", FIRST},
    {SYS_readv, "readv", FIRST},
    {SYS_recvfrom, "recvfrom", FIRST},
    {SYS_recvmsg, "recvmsg", FIRST},
    {SYS_recvmmsg, "recvmmsg", FIRST},
    {SYS_write, "write", FIRST},
    {SYS_writev, "writev", FIRST},
    {SYS_sendto, "sendto", FIRST},
    {SYS_sendmsg, "sendmsg", FIRST},
    {SYS_sendmmsg, "sendmmsg", FIRST},
    {SYS_sendfile, "sendfile", FIRST},
    {SYS_splice, "splice", FIRST_TWO},
    {SYS_connect, "connect", FIRST},
#ifdef SYS_accept
    {SYS_accept, "accept", FIRST},
#endif
    {SYS_accept4, "accept4", FIRST},
    {SYS_close, "close", FIRST},
#ifdef SYS_poll
    {SYS_poll, "poll", POLL},
#endif
    {SYS_ppoll, "ppoll", POLL},
#ifdef SYS_select
    {SYS_select, "select", SELECT},
#endif
    {SYS_pselect6, "pselect", SELECT},
#ifdef SYS_epoll_wait
    {SYS_epoll_wait, "epoll_wait", EPOLL},
#endif
    {SYS_epoll_pwait, "epoll_pwait", EPOLL},
    {SYS_epoll_pwait2, "epoll_pwait2", EPOLL},
    {-1, NULL, FIRST},
};

/* 32-bit processes on x86_64 have i386's numbers. (socketcall, which old libcs use, hides its arguments in memory.) */
static const struct row of_i386[] = {
    {3, "read", FIRST},           {4, "write", FIRST},      {142, "select", SELECT},  {145, "readv", FIRST},
    {146, "writev", FIRST},       {168, "poll", POLL},      {187, "sendfile", FIRST}, {239, "sendfile", FIRST},
    {256, "epoll_wait", EPOLL},   {308, "pselect", SELECT}, {309, "ppoll", POLL},     {313, "splice", FIRST_TWO},
    {319, "epoll_pwait", EPOLL},  {337, "recvmmsg", FIRST}, {345, "sendmmsg", FIRST}, {362, "connect", FIRST},
    {364, "accept4", FIRST},      {369, "sendto", FIRST},   {370, "sendmsg", FIRST},  {371, "recvfrom", FIRST},
    {372, "recvmsg", FIRST},      {413, "pselect", SELECT}, {414, "ppoll", POLL},     {417, "recvmmsg", FIRST},
    {441, "epoll_pwait2", EPOLL}, {-1, NULL, FIRST},
};

static const struct row *find_row(long number, bool is_64) {
    const struct row *row = is_64 == (sizeof(void *) == 8) ? native : of_i386;
    while (row->name && row->number != number)
        row++;
    return row->name ? row : NULL;
}

/* Counts a descriptor of a set in, if it is a connection. */
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

static void consider_call(pid_t pid, const struct row *row, const uint64_t *arguments, struct system_call *call) {
    int fd = arguments[0] <= INT_MAX ? (int)arguments[0] : -1;
    switch (row->kind) {
    case FIRST_TWO:
        if (socket_look(pid, fd, &call->info) != 0)
            fd = arguments[2] <= INT_MAX ? (int)arguments[2] : -1;
        /* fall through */
    case FIRST:
        call->fd = socket_look(pid, fd, &call->info) == 0 ? fd : -1;
        break;
    case POLL:
        consider_poll(pid, arguments[0], arguments[1], call);
        break;
    case SELECT:
        consider_select(pid, arguments, call);
        break;
    case EPOLL:
        system_call_look_at_epoll(pid, fd, call);
        break;
    }
}

int system_call_look(pid_t pid, pid_t tid, bool is_64, struct system_call *call) {
    char path[64], line[256] = "";
    uint64_t arguments[6], stack;
    long number;
    *call = (struct system_call){.fd = -1};
    snprintf(path, sizeof path, "/proc/%d/task/%d/syscall", (int)pid, (int)tid);
    FILE *file = fopen(path, "re");
    if (!file)
        return -1;
    bool read = fgets(line, sizeof line, file) != NULL;
    fclose(file);
    if (!read)
        return -1;
    if (sscanf(line, "%ld %" SCNx64 " %" SCNx64 " %" SCNx64 " %" SCNx64 " %" SCNx64 " %" SCNx64 " %" SCNx64, &number,
               arguments, arguments + 1, arguments + 2, arguments + 3, arguments + 4, arguments + 5, &stack) != 8)
        return 0; /* "running", or stopped outside a call */
    call->stack = stack;
    const struct row *row = find_row(number, is_64);
    if (!row)
        return 0;
    consider_call(pid, row, arguments, call);
    if (call->fd >= 0)
        call->name = row->name;
    return 0;
}
