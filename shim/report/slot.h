/* What is noted of a call under way and counted of calls that are over, in the form that is seen from outside (report/state.h). */
#ifndef ND_REPORT_SLOT_H
#define ND_REPORT_SLOT_H

#include <errno.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/clock.h"
#include "shim/report/operations.h"

/* One call that may wait. The same in 32-bit processes. A slot is taken for the time of a call, and belongs to no thread
 * between two: one that a thread left behind (cancelled, or by longjmp) is known by its frame being gone, or by there being no
 * such thread any more. */
struct nd_slot {
    _Atomic uint32_t tid;      /* 0: free */
    _Atomic uint32_t sequence; /* odd while the slot is being written */
    int32_t fd;                /* -1 for none */
    uint8_t operation;         /* enum nd_call */
    uint8_t limit;             /* enum nd_limit */
    uint8_t observed;          /* nothing will end it */
    uint8_t unused;
    int64_t began;             /* nd_time */
    int64_t deadline;          /* nd_time; ND_NEVER for none */
    uint64_t name;             /* where the name that is looked up stands, or 0 */
    uint64_t frame, return_to; /* where the call's frame keeps its return address, and what stands there */
    uint64_t reserved;
};
_Static_assert(sizeof(struct nd_slot) == 64, "a cache line, and known outside");

/* The upper bounds of the histogram's buckets in milliseconds; the last bucket is for everything above. */
enum { ND_BUCKETS = 22 };
extern const uint32_t nd_bucket_ms[ND_BUCKETS];

/* What has been counted of one operation. The same in 32-bit processes. */
struct nd_counters {
    _Atomic uint64_t total;                   /* ns, of the waits in the buckets */
    _Atomic uint64_t longest;                 /* ns, of all */
    _Atomic uint32_t expired;                 /* ended by a deadline */
    _Atomic uint32_t observed;                /* would have been, in MODE=observe: they stand in a bucket too */
    _Atomic uint32_t quiet;                   /* returned at the program's own timeout */
    _Atomic uint32_t buckets[ND_BUCKETS + 1]; /* ended by themselves, by how long they took */
    uint32_t unused;
};
_Static_assert(sizeof(struct nd_counters) == 128, "two cache lines, and known outside");

enum { ND_SLOTS = 1024, ND_SHARDS = 8 };

struct nd_slots {
    _Atomic uint32_t process; /* whose slots these are: 0 in a child that has just been forked */
    _Atomic uint32_t swept;   /* the second, mod 2^32, when slots of dead threads were last looked for */
    uint32_t unused[14];
    struct nd_slot slot[ND_SLOTS];
    struct nd_counters counters[ND_SHARDS][ND_OPERATIONS]; /* a thread touches the pages of one shard */
} __attribute__((aligned(4096)));

/* Untouched pages of it cost nothing. A forked child sees zeroes. */
extern struct nd_slots nd_slots;

/* What nd_slot_begin must have back. */
struct nd_slot_use {
    struct nd_slot *slot; /* NULL: none was free, and the call is only counted */
    struct nd_slot outer; /* the call that a signal handler has interrupted; tid 0 if there is none */
    nd_time began;
    uint64_t frame;    /* its own */
    uint8_t operation; /* ND_OPERATION_NONE: not counted */
    uint8_t shard;
};

/* How it ended. */
enum nd_slot_end {
    ND_SLOT_DONE,    /* by itself */
    ND_SLOT_QUIET,   /* at the program's own timeout */
    ND_SLOT_EXPIRED, /* by a deadline (which nd_report_expiry counts) */
    ND_SLOT_UNCOUNTED
};

/* The calling thread's number. A system call in a thread's first call of it. */
uint32_t nd_slots_thread(void);

#endif
