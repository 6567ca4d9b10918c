/* What `netdeadline end` has ended in this process, so that the library reports it: the command marks the stream
 * (socket/ended.h), ends it in the kernel, and writes here which it was, since the kernel forgets the peer. Where it may
 * not have the stream to mark it (SOCK_DESTROY), what stands here is the mark. Everything here is async-signal-safe. */
#pragma once

#include <netinet/in.h>
#include <stdatomic.h>

#include "shim/report/event.h"

/* Written by the command before the stream is ended. The same layout in 32-bit and 64-bit processes. */
struct nd_end_request {
    _Atomic uint32_t is_new; /* 1, until the library has taken it; 0 from the start where another reports it */
    uint32_t limit; /* enum nd_limit, with ND_LIMIT_INBOUND, by which it is overdue; 0: it was chosen by hand */
    uint64_t inode;
    int64_t timeout, elapsed; /* of the limit, ns */
    struct sockaddr_in6 peer; /* holds AF_INET too */
    uint32_t is_any;          /* of the first entry: whether a stream was ever destroyed */
};
_Static_assert(sizeof(struct nd_end_request) == 64, "known outside");

/* The entry of a stream is the one of its inode's remainder. */
enum { ND_END_REQUESTS = 64 };

extern struct nd_end_request nd_end_requests[ND_END_REQUESTS];

/* Whether the stream with this inode was destroyed, or is just being, if its connection is closed. */
bool nd_end_request_exists(uint64_t inode);

/* Whether any was. */
static inline bool nd_end_request_is_any(void) {
    return nd_end_requests[0].is_any;
}

/* Takes the request to report the stream with this inode, if there is one that nobody has taken. Returns whether there
 * was, and fills *event but for the descriptor. */
bool nd_end_request_take(uint64_t inode, struct nd_event *event);
