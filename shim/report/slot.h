/* The slot of a call under way, and the counters of calls that have ended. The command reads both (report/state.h). */
#pragma once

#include <errno.h>
#include <stdatomic.h>
#include <stdbool.h>

#include "base/clock.h"
#include "shim/report/expiry_count.h"
#include "shim/report/operations.h"

/* A call that may wait. The layout is the same in 32-bit processes. A slot is taken for the duration of a call, and
 * belongs to no thread between two calls. One that a thread has not given back (because it was cancelled, or left the
 * call by longjmp) is recognised: its frame or its thread does not exist any more. */
struct nd_slot {
    _Atomic uint32_t tid;      /* 0: free */
    _Atomic uint32_t sequence; /* odd while the slot is being written */
    int32_t fd;                /* -1 for none */
    uint8_t operation;         /* enum nd_call */
    uint8_t limit;             /* enum nd_limit */
    uint8_t observed;          /* no deadline will end it */
    _Atomic uint8_t woken;     /* nd_slot_woken_mark: the command has woken the call, with EINTR */
    int64_t began;             /* nd_time */
    int64_t deadline;          /* nd_time; ND_NEVER for none */
    uint64_t name;             /* the address of the name that is looked up, or 0 */
    uint64_t frame, return_to; /* where the call's frame holds its return address, and that address */
    uint64_t reserved;
};
_Static_assert(sizeof(struct nd_slot) == 64, "a cache line, and read from outside");

/* What the command writes into `woken` of a slot with this sequence, so that no later call takes it for its own. */
static inline uint8_t nd_slot_woken_mark(uint32_t sequence) {
    return (uint8_t)(sequence / 2 % 255 + 1);
}

/* The upper bounds of the histogram's buckets in milliseconds; one more bucket is for all longer calls. */
enum { ND_BUCKETS = 22 };
extern const uint32_t nd_bucket_ms[ND_BUCKETS];

/* The counters of one operation. The layout is the same in 32-bit processes. */
struct nd_counters {
    _Atomic uint64_t total;                   /* ns, of the calls in the buckets */
    _Atomic uint64_t longest;                 /* ns, of all calls */
    _Atomic uint32_t expired;                 /* ended by a deadline */
    _Atomic uint32_t observed;                /* would have been, in MODE=observe; a bucket counts them too */
    _Atomic uint32_t quiet;                   /* ended by the program's own timeout */
    _Atomic uint32_t buckets[ND_BUCKETS + 1]; /* ended by themselves, by duration */
    _Atomic uint32_t in_a_row;                /* of a lookup: the most expiries of one name, one after the other */
    _Atomic uint32_t stale;                   /* lookups that gave an answer from before */
};
_Static_assert(sizeof(struct nd_counters) == 128, "two cache lines, and read from outside");

enum { ND_SLOTS = 1024, ND_SHARDS = 8 };

struct nd_slots {
    _Atomic uint32_t process;       /* the process that uses the slots; 0 in a child that has just been forked */
    _Atomic uint32_t swept;         /* the second, modulo 2^32, in which slots of dead threads were last searched */
    _Atomic uint32_t wiped_process; /* `process` where the kernel zeroes this in every forked child; else 0 */
    uint32_t unused[13];
    struct nd_slot slot[ND_SLOTS];
    struct nd_counters counters[ND_SHARDS][ND_OPERATIONS]; /* a thread writes to the pages of one shard */
    struct nd_expiry_count expiries[ND_EXPIRY_COUNTS];
} __attribute__((aligned(4096)));

/* Pages that are never written cost nothing. A forked child finds zeros. */
extern struct nd_slots nd_slots;

/* What nd_slot_end needs of nd_slot_begin. */
struct nd_slot_use {
    struct nd_slot *slot; /* NULL: none was free, and the call is only counted */
    struct nd_slot outer; /* the call that a signal handler has interrupted; tid 0 where there is none */
    nd_time began;
    uint64_t frame;    /* as in struct nd_slot */
    uint8_t operation; /* ND_OPERATION_NONE: not counted */
    uint8_t shard;
};

/* How a call has ended. */
enum nd_slot_end {
    ND_SLOT_DONE,    /* by itself */
    ND_SLOT_QUIET,   /* at the program's own timeout */
    ND_SLOT_EXPIRED, /* by a deadline (which nd_report_expiry counts) */
    ND_SLOT_UNCOUNTED
};

/* The number of the calling thread. Makes a system call the first time in a thread. */
uint32_t nd_slots_thread(void);
