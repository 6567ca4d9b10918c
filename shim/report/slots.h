/* Which threads are inside a call that waits, and how long such calls take: what `netdeadline ps`, `top` and `stats` read from
 * outside. Only calls that leave the straight path come here. No lock, no system call but one gettid in a thread's life (and,
 * where slots run out, a look once a second for those of dead threads), and no cache line that two threads write as long as
 * there are no more than ND_SHARDS of them. Everything here is async-signal-safe and keeps errno. */
#ifndef ND_REPORT_SLOTS_H
#define ND_REPORT_SLOTS_H

#include <errno.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/clock.h"
#include "shim/report/operations.h"
#include "shim/tls/scope.h"

/* `limit` as it holds for this socket. */
static inline unsigned nd_limit_of(const struct nd_sock *sock, enum nd_limit limit) {
    return (unsigned)limit | (nd_sock_flags(sock) & ND_SOCK_INBOUND ? ND_LIMIT_INBOUND : 0U);
}

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

/* Called once at start. Makes one system call. */
void nd_slots_start(void);

/* A child of fork. */
void nd_slots_forked(void);

/* The calling thread's number. A system call in a thread's first call of it. */
uint32_t nd_slots_thread(void);

/* What nd_slot_begin must have back. */
struct nd_slot_use {
    struct nd_slot *slot; /* NULL: none was free, and the call is only counted */
    struct nd_slot outer; /* the call that a signal handler has interrupted; tid 0 if there is none */
    nd_time began;
    uint64_t frame;    /* its own */
    uint8_t operation; /* ND_OPERATION_NONE: not counted */
    uint8_t shard;
};

/* Says that this thread begins a call that may wait, in the frame of the function that uses this; `began` may be coarse.
 * `limit` as in struct nd_slot, `name` NULL or what is looked up. A call made by another
 * that has a slot (a read in a TLS operation) begins none. */
#define nd_slot_begin(use, operation, fd, began, deadline, limit)                                                      \
    nd_slot_begin_in(ND_FRAME_SLOT(), use, operation, fd, began, deadline, limit, NULL)
void nd_slot_begin_in(const uintptr_t *frame, struct nd_slot_use *use, enum nd_call operation, int fd, nd_time began,
                      nd_time deadline, unsigned limit, const char *name);

/* How it ended. */
enum nd_slot_end {
    ND_SLOT_DONE,    /* by itself */
    ND_SLOT_QUIET,   /* at the program's own timeout */
    ND_SLOT_EXPIRED, /* by a deadline (which nd_report_expiry counts) */
    ND_SLOT_UNCOUNTED
};

static inline enum nd_slot_end nd_slot_how(long result) {
    return result >= 0          ? ND_SLOT_DONE
           : errno == ETIMEDOUT ? ND_SLOT_EXPIRED
           : errno == EAGAIN    ? ND_SLOT_QUIET
                                : ND_SLOT_DONE;
}

/* Says that the call is over, at `now`. */
void nd_slot_end(struct nd_slot_use *use, enum nd_slot_end how, nd_time now);

/* Counts an expiry that is being reported. */
void nd_slots_count_expiry(const char *operation, bool observed);

#endif
