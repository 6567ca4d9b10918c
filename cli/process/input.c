#include "cli/process/input.h"

#include <dirent.h>
#include <limits.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/process/epoll_sets.h"
#include "cli/process/memory.h"
#include "cli/process/processes.h"
#include "cli/process/system_call.h"
#include "shim/limit/elapsed.h"

enum { MOST_FDS = 65536, DEEPEST_SET = 5 };

/* Descriptors, each once or more often. */
struct numbers {
    int *entries;
    size_t count, room;
};

/* A descriptor of a socket. */
struct socket {
    uint32_t inode;
    int fd;
};

static struct look {
    pid_t pid;
    bool is_64;
    bool has_threads, has_descriptors; /* what has been read */
    bool is_running;                   /* a thread was */
    bool is_unknown;                   /* of a call or set it is not known what it waits for */
    bool has_rings;                    /* a thread waits for requests of io_uring */
    struct numbers waited;             /* that threads wait for input of */
    struct numbers registered;         /* that are in an epoll set for it */
    struct numbers sets;               /* epoll sets, of which the members are in `waited` */
    struct numbers own_sets;           /* all epoll sets that it has */
    struct socket *sockets;
    size_t socket_count, socket_room;
} look;

static void add(struct numbers *numbers, int fd) {
    if (!array_grow(&numbers->entries, numbers->count, &numbers->room, sizeof *numbers->entries, 64))
        look.is_unknown = true;
    else
        numbers->entries[numbers->count++] = fd;
}

static bool has(const struct numbers *numbers, int fd) {
    for (size_t i = 0; i < numbers->count; i++)
        if (numbers->entries[i] == fd)
            return true;
    return false;
}

void input_look(pid_t pid) {
    look.pid = pid;
    look.has_threads = look.has_descriptors = look.is_running = look.is_unknown = look.has_rings = false;
    look.waited.count = look.registered.count = look.sets.count = look.own_sets.count = look.socket_count = 0;
}

static void add_registered(int fd, uint32_t events, uint64_t data, void *numbers) {
    (void)data;
    if (events & ND_WANTS_IN)
        add(numbers, fd);
}

static void add_polled(uint64_t fds, uint64_t count) {
    static struct pollfd set[MOST_FDS];
    if (count > MOST_FDS || memory_read(look.pid, fds, set, (size_t)count * sizeof set[0]) != 0) {
        look.is_unknown = true;
        return;
    }
    for (uint64_t i = 0; i < count; i++)
        if (set[i].fd >= 0 && set[i].events & ND_WANTS_IN)
            add(&look.waited, set[i].fd);
}

static void add_selected(uint64_t count, uint64_t readable) {
    unsigned char set[MOST_FDS / 8];
    if (!readable)
        return;
    if (count > MOST_FDS || memory_read(look.pid, readable, set, (size_t)(count + 7) / 8) != 0) {
        look.is_unknown = true;
        return;
    }
    for (uint64_t fd = 0; fd < count; fd++)
        if (set[fd / 8] >> (fd % 8) & 1)
            add(&look.waited, (int)fd);
}

static void add_set(int epfd) {
    if (has(&look.sets, epfd))
        return;
    add(&look.sets, epfd);
    epoll_set_each(look.pid, epfd, add_registered, &look.waited);
}

static void add_call(const struct blocked_call *call) {
    const int fd = call->arguments[0] <= INT_MAX ? (int)call->arguments[0] : -1;
    switch (nd_operation_table[call->operation].family) {
    case ND_FAMILY_RECEIVE:
    case ND_FAMILY_RECEIVE_MESSAGE:
    case ND_FAMILY_SPLICE:
        add(&look.waited, fd);
        break;
    case ND_FAMILY_POLL:
        add_polled(call->arguments[0], call->arguments[1]);
        break;
    case ND_FAMILY_SELECT:
        add_selected(call->arguments[0], call->arguments[1]);
        break;
    case ND_FAMILY_EPOLL:
        add_set(fd);
        break;
    default:
        break;
    }
}

static bool exists(pid_t tid) {
    char path[64];
    snprintf(path, sizeof path, "/proc/%d/task/%d", (int)look.pid, (int)tid);
    return access(path, F_OK) == 0;
}

static void add_thread(pid_t tid, void *arg) {
    struct blocked_call call;
    const int status = system_call_read(look.pid, tid, look.is_64, &call);
    (void)arg;
    if (status < 0)
        look.is_unknown |= exists(tid);
    else if (status == 0)
        look.is_running = true;
    else if (call.number == SYSTEM_CALL_IO_URING_ENTER)
        look.has_rings = true;
    else
        add_call(&call);
}

/* Of processes of the other width the calls are known on one machine alone. */
static void read_threads(void) {
    if (look.has_threads)
        return;
    look.has_threads = true;
    look.is_64 = process_is_64(look.pid);
#ifndef __x86_64__
    look.is_unknown = look.is_64 != (sizeof(void *) == 8);
#endif
    if (process_each_thread(look.pid, add_thread, NULL) != 0)
        look.is_unknown = true;
}

static void add_link(int fd, const char *target) {
    unsigned long inode;
    if (sscanf(target, "socket:[%lu]", &inode) == 1) {
        if (!array_grow(&look.sockets, look.socket_count, &look.socket_room, sizeof *look.sockets, 64))
            look.is_unknown = true;
        else
            look.sockets[look.socket_count++] = (struct socket){(uint32_t)inode, fd};
    } else if (strcmp(target, EPOLL_SET_LINK) == 0) {
        add(&look.own_sets, fd);
        epoll_set_each(look.pid, fd, add_registered, &look.registered);
    } else if (strcmp(target, "anon_inode:[io_uring]") == 0) {
        look.is_unknown = true;
    }
}

/* Reads which sockets the process has, and what is in its epoll sets, whether a thread waits for these just now or not. */
static void read_descriptors(void) {
    char path[64], target[64];
    if (look.has_descriptors)
        return;
    look.has_descriptors = true;
    snprintf(path, sizeof path, "/proc/%d/fd", (int)look.pid);
    DIR *directory = opendir(path);
    look.is_unknown |= !directory;
    for (const struct dirent *entry; directory && (entry = readdir(directory));) {
        const ssize_t length = readlinkat(dirfd(directory), entry->d_name, target, sizeof target - 1);
        target[length > 0 ? length : 0] = '\0';
        add_link((int)strtol(entry->d_name, NULL, 10), target);
    }
    if (directory)
        closedir(directory);
    for (int depth = 0; depth < DEEPEST_SET; depth++) /* sets in sets that threads wait for */
        for (size_t i = 0; i < look.own_sets.count; i++)
            if (has(&look.waited, look.own_sets.entries[i]))
                add_set(look.own_sets.entries[i]);
}

enum input input_of(int fd, uint32_t inode) {
    read_threads();
    if (has(&look.waited, fd))
        return INPUT_AWAITED;
    read_descriptors();
    for (size_t i = 0; i < look.socket_count; i++)
        if (look.sockets[i].inode == inode &&
            (has(&look.waited, look.sockets[i].fd) || has(&look.registered, look.sockets[i].fd)))
            return INPUT_AWAITED;
    return look.is_unknown || look.has_rings ? INPUT_AWAITED : look.is_running ? INPUT_UNSETTLED : INPUT_IGNORED;
}

enum input input_of_program(struct go_program *go, int fd, uint32_t inode) {
    if (go)
        return go_ignores_input(go, fd) ? INPUT_IGNORED : INPUT_AWAITED;
    return input_of(fd, inode);
}

bool input_has_waiter(int fd) {
    read_threads();
    read_descriptors();
    return look.has_rings || has(&look.waited, fd);
}
