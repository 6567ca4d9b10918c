/* sendfile, and splice to or from a socket, on a watched descriptor. */
#pragma once

#include <stddef.h>

#include "shim/report/slot.h"
#include "shim/socket/record.h"

/* The call as the program made it, and how to make it. */
struct nd_transfer {
    enum nd_call operation;
    int fd; /* the socket */
    enum nd_direction direction;
    long (*make)(const struct nd_transfer *call);
    int in, out;
    void *first, *second; /* offsets, which the kernel advances */
    size_t count;
    int flags;       /* splice's */
    int later_flags; /* the flags for the rest of the call once bytes have moved */
};

/* Makes the call, under the limits that bound it. Async-signal-safe; keeps errno on success. */
long nd_transfer(const struct nd_transfer *call);

/* A call that nothing bounds was made plainly, and has failed on the socket `out`. Returns -1 with the errno that the
 * program gets. The error that ending a stream leaves on it (ECONNRESET) is returned once, without a signal; from then
 * on this process knows of the end. */
long nd_transfer_failed(int out);

static inline long nd_transfer_unbounded(int out, long result) {
    return __builtin_expect(result < 0, 0) ? nd_transfer_failed(out) : result;
}
