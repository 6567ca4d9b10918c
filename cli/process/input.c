#include "cli/process/input.h"

#include <limits.h>
#include <stdio.h>
#include <unistd.h>

#include "cli/process/array.h"
#include "cli/process/descriptors.h"
#include "cli/process/processes.h"
#include "cli/process/system_call.h"
#include "shim/limit/elapsed.h"

enum { DEEPEST_SET = 5 };

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

static void add_polled(int fd, short events, void *arg) {
    (void)arg;
    if (events & ND_WANTS_IN)
        add(&look.waited, fd);
}

static void add_set(int epfd) {
    if (has(&look.sets, epfd))
        return;
    add(&look.sets, epfd);
    descriptors_in_epoll_set(look.pid, epfd, add_registered, &look.waited);
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
        look.is_unknown |= !system_call_each_polled(look.pid, call, add_polled, NULL);
        break;
    case ND_FAMILY_SELECT:
        look.is_unknown |=
            !system_call_each_polled(look.pid, call, add_polled, NULL) && call->arguments[1]; /* readfds */
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

static bool add_descriptor(const struct process_descriptor *descriptor, void *arg) {
    (void)arg;
    switch (descriptor->kind) {
    case DESCRIPTOR_SOCKET:
        if (!array_grow(&look.sockets, look.socket_count, &look.socket_room, sizeof *look.sockets, 64))
            look.is_unknown = true;
        else
            look.sockets[look.socket_count++] = (struct socket){descriptor->inode, descriptor->fd};
        break;
    case DESCRIPTOR_EPOLL_SET:
        add(&look.own_sets, descriptor->fd);
        descriptors_in_epoll_set(look.pid, descriptor->fd, add_registered, &look.registered);
        break;
    case DESCRIPTOR_IO_URING:
        look.is_unknown = true;
        break;
    default:
        break;
    }
    return false;
}

/* Reads which sockets the process has, and what is in its epoll sets, whether a thread waits for these just now or not. */
static void read_descriptors(void) {
    if (look.has_descriptors)
        return;
    look.has_descriptors = true;
    look.is_unknown |= descriptors_each(look.pid, NULL, add_descriptor, NULL) < 0;
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
