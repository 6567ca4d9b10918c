/* sendfile, and splice to or from a socket, on a descriptor that is watched. */
#ifndef ND_CALL_TRANSFER_H
#define ND_CALL_TRANSFER_H

#include <stddef.h>

#include "shim/socket/record.h"

/* One call as the program made it, and how it is made. */
struct nd_transfer {
    const char *operation; /* "splice" */
    int fd;                /* the socket */
    enum nd_direction direction;
    long (*make)(const struct nd_transfer *call);
    int in, out;
    void *first, *second; /* offsets, which the kernel moves on */
    size_t count;
    int flags;       /* splice's */
    int later_flags; /* those for what is left once something has moved */
};

/* Makes the call, under what bounds it. Async-signal-safe; keeps errno on success. */
long nd_transfer(const struct nd_transfer *call);

/* A call that nothing bounds was made as it is, and has failed on the socket `out`: gives -1 with the errno it is to have. The error
 * that ending a stream leaves there (ECONNRESET) comes once and without a signal; from then on the end is known here, too. */
long nd_transfer_failed(int out);

static inline long nd_transfer_unbounded(int out, long result) {
    return __builtin_expect(result < 0, 0) ? nd_transfer_failed(out) : result;
}

#endif
