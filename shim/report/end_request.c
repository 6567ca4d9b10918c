#include "shim/report/end_request.h"

#include "shim/report/operations.h"

struct nd_end_request nd_end_requests[ND_END_REQUESTS];

static const char *limit_name(uint32_t limit) {
    const uint32_t own = limit & ~(uint32_t)ND_LIMIT_INBOUND;
    if (own == ND_LIMIT_NONE || own >= ND_LIMITS)
        return "none";
    return nd_limit_name_on((enum nd_limit)own, limit & ND_LIMIT_INBOUND);
}

bool nd_end_request_exists(uint64_t inode) {
    return inode != 0 && nd_end_requests[inode % ND_END_REQUESTS].inode == inode;
}

bool nd_end_request_take(uint64_t inode, struct nd_event *event) {
    struct nd_end_request *request = &nd_end_requests[inode % ND_END_REQUESTS];
    uint32_t is_new = 1;
    if (inode == 0 || !atomic_load_explicit(&request->is_new, memory_order_acquire) || request->inode != inode ||
        !atomic_compare_exchange_strong(&request->is_new, &is_new, 0))
        return false;
    *event = (struct nd_event){.operation = nd_operation_names[ND_OPERATION_end],
                               .limit = limit_name(request->limit),
                               .timeout = request->timeout,
                               .elapsed = request->elapsed,
                               .peer = (const struct sockaddr *)&request->peer,
                               .peer_len = sizeof request->peer};
    return true;
}
