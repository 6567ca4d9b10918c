/* Which limit ends a call that a process is blocked in, and when: by its slot, and by what the library and the kernel
 * know of the sockets that it waits for. */
#pragma once

#include "cli/process/bound.h"
#include "cli/process/record.h"
#include "cli/process/waits.h"

struct call_limit {
    struct bound bound;
    bool is_inbound;
    int fd;                       /* the socket that the limit holds for; -1 where there is none */
    char name[ND_OPERATION_NAME]; /* of the limit of a TLS operation; else empty */
};

/* What ends a call with a slot that waits for `waits` at `now`, by the process's clock. record_start must have
 * succeeded for the process. Returns false where the slot alone tells. */
bool call_limit_of_slot(const struct block *block, const struct nd_slot *slot, const struct wait_list *waits,
                        nd_time now, struct call_limit *limit);

/* The same for a call without a slot. */
void call_limit_of_call(const struct block *block, bool is_set, const struct wait_list *waits, nd_time now,
                        struct call_limit *limit);
