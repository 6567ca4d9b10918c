/* preadv2 and pwritev2. */
#pragma once

#include <limits.h>
#include <stdbool.h>
#include <sys/types.h>

/* Flags that say nothing of waiting: RWF_HIPRI, RWF_DSYNC and RWF_SYNC. */
#define ND_VECTOR2_VOID_FLAGS 7

/* Whether a call with these arguments is readv or writev of its buffers. */
static inline bool nd_vector2_is_plain(int count, off64_t offset, int flags) {
    return offset == -1 && !(flags & ~ND_VECTOR2_VOID_FLAGS) && count > 0 && count <= IOV_MAX;
}
