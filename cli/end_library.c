#include "cli/end_library.h"

#include <string.h>

#include "cli/process/memory.h"

static uint64_t address_of(const struct block *block, int number) {
    return block->state.end_requests.address + (uint64_t)number * sizeof(struct nd_end_request);
}

int end_library_ask(const struct block *block, const struct connection *connection, const struct verdict *verdict) {
    struct nd_end_request request = {.is_new = 1,
                                     .limit = verdict->limit,
                                     .inode = connection->inode,
                                     .timeout = verdict->timeout,
                                     .elapsed = verdict->elapsed};
    if (!block->state.end_requests.count)
        return -1;
    const int number = (int)(connection->inode % block->state.end_requests.count);
    memcpy(&request.peer, &connection->remote, sizeof request.peer);
    return memory_write(block->pid, address_of(block, number), &request, sizeof request) == 0 ? number : -1;
}

bool end_library_has_reported(const struct block *block, int number) {
    uint32_t is_new = 1;
    return number >= 0 && memory_read(block->pid, address_of(block, number), &is_new, sizeof is_new) == 0 && !is_new;
}
