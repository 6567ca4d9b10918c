#include "cli/end_library.h"

#include <errno.h>
#include <stddef.h>
#include <string.h>

#include "cli/process/memory.h"

static uint64_t address_of(const struct block *block, int number) {
    return block->state.end_requests.address + (uint64_t)number * sizeof(struct nd_end_request);
}

int end_library_ask(const struct block *block, const struct connection *connection, const struct verdict *verdict) {
    struct nd_end_request request = {.inode = connection->inode, .is_any = 1};
    if (!block->state.end_requests.count)
        return -1;
    const int number = (int)(connection->inode % block->state.end_requests.count);
    if (verdict) {
        request.is_new = 1;
        request.limit = verdict->limit;
        request.timeout = verdict->timeout;
        request.elapsed = verdict->elapsed;
    }
    memcpy(&request.peer, &connection->remote, sizeof request.peer);
    return memory_write(block->pid, address_of(block, number), &request, sizeof request) == 0 ? number : -1;
}

/* The first entry tells the library to look for others: it may hold a request itself. */
static bool note_any(const struct block *block) {
    const uint32_t any = 1;
    return memory_write(block->pid, address_of(block, 0) + offsetof(struct nd_end_request, is_any), &any, sizeof any) ==
           0;
}

static void withdraw(const struct block *block, int number) {
    const struct nd_end_request none = {.is_any = 1};
    memory_write(block->pid, address_of(block, number), &none, sizeof none);
}

enum ending end_library_destroy(const struct block *block, pid_t pid, int pidfd, int fd, int netlink,
                                const struct connection *connection, const struct verdict *verdict, int *number) {
    const int asked = block ? end_library_ask(block, connection, verdict) : -1;
    if (asked >= 0 && note_any(block))
        block_leave_fast_paths(block);
    const enum ending ending = ending_destroy(pid, pidfd, fd, netlink, connection);
    const int error = errno;
    if (asked >= 0 && ending == ENDING_NONE)
        withdraw(block, asked);
    if (number)
        *number = ending == ENDING_NONE ? -1 : asked;
    errno = error;
    return ending;
}

bool end_library_has_reported(const struct block *block, int number) {
    uint32_t is_new = 1;
    return number >= 0 && memory_read(block->pid, address_of(block, number), &is_new, sizeof is_new) == 0 && !is_new;
}
