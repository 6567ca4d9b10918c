#include "shim/slots.h"

#include <errno.h>
#include <signal.h>
#include <stddef.h>
#include <string.h>
#include <sys/mman.h>

#include "shim/hook.h"
#include "shim/probes.h"
#include "shim/raw.h"
#include "shim/start.h"

const char nd_operation_names[ND_OPERATIONS][ND_OPERATION_NAME] = {
    "",
#define ND_OPERATION(name) #name,
#include "shim/operations.def"
#undef ND_OPERATION
};

const char nd_limit_names[ND_LIMITS][ND_OPERATION_NAME] = {
    [ND_LIMIT_RESOLVE] = "RESOLVE",
    [ND_LIMIT_CONNECT] = "CONNECT",
    [ND_LIMIT_TLS_HANDSHAKE] = "TLS_HANDSHAKE",
    [ND_LIMIT_TLS_SHUTDOWN] = "TLS_SHUTDOWN",
    [ND_LIMIT_UNACKED] = "UNACKED",
    [ND_LIMIT_RECV] = "RECV",
    [ND_LIMIT_SEND] = "SEND",
    [ND_LIMIT_ACCEPT] = "ACCEPT",
    [ND_LIMIT_IDLE] = "IDLE",
    [ND_LIMIT_LIFETIME] = "LIFETIME",
    [ND_LIMIT_MIN_RATE] = "MIN_RATE",
};

const uint32_t nd_bucket_ms[ND_BUCKETS] = {1,      2,      5,      10,      20,      50,     100,   200,
                                           500,    1000,   2000,   5000,    10000,   20000,  30000, 60000,
                                           120000, 300000, 600000, 1800000, 3600000, 7200000};

struct nd_slots nd_slots;

/* What the thread knows of itself. True only of the process it was found out in: a forked child sees another `process`. */
static __thread struct {
    uint32_t process, tid;
    struct nd_slot *first; /* where its slot mostly is */
} self __attribute__((tls_model("initial-exec")));

/* Slots that are tried before a call goes without one. */
enum { PROBES = 64, SWEPT_AT_ONCE = 8 };

/* The slots that share a page with what is read anyway. A process of few threads touches no other. */
enum { FIRST_PAGE = (4096 - offsetof(struct nd_slots, slot)) / sizeof(struct nd_slot) };

enum nd_call nd_operation_find(const char *name) {
    uintptr_t offset = (uintptr_t)name - (uintptr_t)nd_operation_names;
    if (offset < sizeof nd_operation_names && offset % ND_OPERATION_NAME == 0)
        return (enum nd_call)(offset / ND_OPERATION_NAME);
    for (unsigned i = 1; i < ND_OPERATIONS; i++)
        if (strcmp(nd_operation_names[i], name) == 0)
            return (enum nd_call)i;
    return ND_OPERATION_NONE;
}

/* MADV_WIPEONFORK (Linux 4.14) also reaches forks that no handler of pthread_atfork sees: _Fork, a raw clone. */
void nd_slots_start(void) {
    int saved = errno;
#ifdef MADV_WIPEONFORK
    madvise(&nd_slots, sizeof nd_slots, MADV_WIPEONFORK);
#endif
    errno = saved;
}

static void zero_counters(void) {
    for (int operation = 0; operation < ND_OPERATIONS; operation++)
        for (int shard = 0; shard < ND_SHARDS; shard++) {
            struct nd_counters *counters = &nd_slots.counters[shard][operation];
            if (atomic_load_explicit(&counters->longest, memory_order_relaxed) || counters->expired ||
                counters->observed) /* not written without need: it would be a page of one's own */
                memset(counters, 0, sizeof *counters);
        }
}

void nd_slots_forked(void) {
    if (!atomic_load_explicit(&nd_slots.process, memory_order_relaxed))
        return; /* wiped, or never used */
    atomic_store_explicit(&nd_slots.process, 0, memory_order_relaxed);
    for (int i = 0; i < ND_SLOTS; i++)
        if (atomic_load_explicit(&nd_slots.slot[i].tid, memory_order_relaxed))
            atomic_store_explicit(&nd_slots.slot[i].tid, 0, memory_order_relaxed);
    zero_counters();
}

ND_COLD static uint32_t find_self(void) {
    uint32_t process = atomic_load_explicit(&nd_slots.process, memory_order_relaxed);
    if (!process) {
        process = (uint32_t)ND_RAW3(getpid, 0, 0, 0);
        atomic_store_explicit(&nd_slots.process, process, memory_order_relaxed);
    }
    self.tid = (uint32_t)ND_RAW3(gettid, 0, 0, 0);
    self.first = &nd_slots.slot[self.tid % FIRST_PAGE];
    self.process = process;
    return self.tid;
}

static uint32_t own_tid(void) {
    uint32_t process = atomic_load_explicit(&nd_slots.process, memory_order_relaxed);
    return nd_unlikely(!process || process != self.process) ? find_self() : self.tid;
}

uint32_t nd_slots_thread(void) {
    int saved = errno;
    uint32_t tid = own_tid();
    errno = saved;
    return tid;
}

/* Whether the call that this thread's slot tells of may still be under way: then this one is made by a signal handler. Its frame
 * is further up the same stack. It is not read, since a frame that was left may be on a stack that is gone; what is left of
 * one is recognised from outside. */
static __attribute__((noinline)) bool may_stand(const struct nd_slot *slot) {
    const uintptr_t deepest = (uintptr_t)1 << 20;
    uintptr_t here = (uintptr_t)__builtin_frame_address(0), there = (uintptr_t)slot->frame;
    return there > here && there - here < deepest;
}

static void set_free(struct nd_slot *slot) {
    slot->frame = 0;
    atomic_store_explicit(&slot->tid, 0, memory_order_release);
}

/* Frees slots of threads that ended inside a call. Once a second at most: a system call for each. */
ND_COLD static void sweep(uint32_t tid, nd_time now) {
    uint32_t second = (uint32_t)(now / ND_SEC), before = atomic_load_explicit(&nd_slots.swept, memory_order_relaxed);
    if (before == second || !atomic_compare_exchange_strong(&nd_slots.swept, &before, second))
        return;
    int saved = errno;
    for (uint32_t i = 0; i < SWEPT_AT_ONCE; i++) {
        struct nd_slot *slot = &nd_slots.slot[(tid + (second * SWEPT_AT_ONCE + i) % PROBES) % ND_SLOTS];
        uint32_t owner = atomic_load_explicit(&slot->tid, memory_order_relaxed);
        if (owner && ND_RAW3(tgkill, nd_slots.process, owner, 0) != 0 && errno == ESRCH &&
            atomic_compare_exchange_strong(&slot->tid, &owner, tid))
            set_free(slot);
    }
    errno = saved;
}

static bool claim(struct nd_slot *slot, uint32_t tid) {
    uint32_t owner = atomic_load_explicit(&slot->tid, memory_order_relaxed);
    return owner == tid || (!owner && atomic_compare_exchange_strong_explicit(
                                          &slot->tid, &owner, tid, memory_order_acquire, memory_order_relaxed));
}

/* The thread's slot: the one it has already, or a free one; NULL where there is none. */
static struct nd_slot *take(uint32_t tid) {
    if (claim(self.first, tid))
        return self.first;
    for (uint32_t i = 1; i < PROBES; i++)
        if (claim(&nd_slots.slot[(tid + i) % ND_SLOTS], tid))
            return &nd_slots.slot[(tid + i) % ND_SLOTS];
    return NULL;
}

static void copy_fields(struct nd_slot *to, const struct nd_slot *from) {
    to->fd = from->fd;
    to->operation = from->operation;
    to->limit = from->limit;
    to->observed = from->observed;
    to->began = from->began;
    to->deadline = from->deadline;
    to->name = from->name;
    to->frame = from->frame;
    to->return_to = from->return_to;
}

/* Whoever reads it from outside sees an even, unchanged sequence around a whole slot. */
static inline void write_slot(struct nd_slot *slot, const struct nd_slot *now) {
    uint32_t sequence = atomic_load_explicit(&slot->sequence, memory_order_relaxed) | 1;
    atomic_store_explicit(&slot->sequence, sequence, memory_order_relaxed);
    atomic_thread_fence(memory_order_release);
    copy_fields(slot, now);
    atomic_store_explicit(&slot->sequence, sequence + 1, memory_order_release);
}

static inline void fill_slot(const struct nd_slot_use *use, int fd, nd_time deadline, unsigned limit,
                             const char *name) {
    write_slot(use->slot, &(struct nd_slot){.fd = fd,
                                            .operation = use->operation,
                                            .limit = (uint8_t)limit,
                                            .observed = nd_observing,
                                            .began = use->began,
                                            .deadline = deadline,
                                            .name = (uintptr_t)name,
                                            .frame = use->frame,
                                            .return_to = *(const uintptr_t *)(uintptr_t)use->frame});
}

/* Its first call, or its slot is not at once to be had, or is this thread's already. */
ND_COLD static void begin_slowly(struct nd_slot_use *use, int fd, nd_time deadline, unsigned limit, const char *name) {
    uint32_t tid = own_tid();
    use->shard = (uint8_t)(tid % ND_SHARDS);
    use->slot = take(tid);
    if (!use->slot) {
        sweep(tid, use->began);
        return;
    }
    if (use->slot->frame && may_stand(use->slot)) { /* the call is made by a handler that has interrupted another one */
        copy_fields(&use->outer, use->slot);
        use->outer.tid = tid;
    }
    fill_slot(use, fd, deadline, limit, name);
}

/* True where the slot that is mostly the thread's is free: it is this call's now. (Its fields are another thread's until then.) */
static inline bool begin_quickly(struct nd_slot_use *use) {
    const uint32_t process = atomic_load_explicit(&nd_slots.process, memory_order_relaxed), tid = self.tid;
    struct nd_slot *slot = self.first;
    uint32_t nobody = 0;
    if (nd_unlikely(!process || process != self.process) ||
        nd_unlikely(!atomic_compare_exchange_strong_explicit(&slot->tid, &nobody, tid, memory_order_acquire,
                                                             memory_order_relaxed)))
        return false;
    use->shard = (uint8_t)(tid % ND_SHARDS);
    use->slot = slot;
    return true;
}

void nd_slot_begin_in(const uintptr_t *frame, struct nd_slot_use *use, enum nd_call operation, int fd, nd_time began,
                      nd_time deadline, unsigned limit, const char *name) {
    ND_PROBE4(netdeadline, start, nd_operation_names[operation], fd, deadline == ND_NEVER ? ND_NEVER : deadline - began,
              name);
    use->operation = (uint8_t)operation;
    use->began = began;
    atomic_store_explicit(&use->outer.tid, 0, memory_order_relaxed);
    use->frame = (uintptr_t)frame;
    if (begin_quickly(use))
        fill_slot(use, fd, deadline, limit, name);
    else
        begin_slowly(use, fd, deadline, limit, name);
}

static void count_longest(struct nd_counters *counters, uint64_t elapsed) {
    uint64_t longest = atomic_load_explicit(&counters->longest, memory_order_relaxed);
    while (elapsed > longest && !atomic_compare_exchange_weak_explicit(&counters->longest, &longest, elapsed,
                                                                       memory_order_relaxed, memory_order_relaxed))
        ;
}

ND_COLD static void count(struct nd_counters *counters, enum nd_slot_end how, uint64_t elapsed) {
    unsigned bucket = 0;
    count_longest(counters, elapsed ? elapsed : 1); /* not 0: that is one that was never used */
    if (how == ND_SLOT_QUIET)
        atomic_fetch_add_explicit(&counters->quiet, 1, memory_order_relaxed);
    if (how != ND_SLOT_DONE)
        return;
    while (bucket < ND_BUCKETS && elapsed > nd_bucket_ms[bucket] * (uint64_t)ND_MSEC)
        bucket++;
    atomic_fetch_add_explicit(&counters->buckets[bucket], 1, memory_order_relaxed);
    atomic_fetch_add_explicit(&counters->total, elapsed, memory_order_relaxed);
}

/* In a child that was forked meanwhile, or after a jump out of a handler's call, the slot is not this call's any more. */
static inline void give_back(const struct nd_slot_use *use) {
    struct nd_slot *slot = use->slot;
    if (nd_unlikely(!slot) || nd_unlikely(atomic_load_explicit(&slot->tid, memory_order_relaxed) != self.tid) ||
        nd_unlikely(slot->frame != use->frame))
        return;
    if (nd_unlikely(atomic_load_explicit(&use->outer.tid, memory_order_relaxed)))
        write_slot(slot, &use->outer);
    else
        set_free(slot);
}

void nd_slot_end(struct nd_slot_use *use, enum nd_slot_end how, nd_time now) {
    struct nd_counters *counters = &nd_slots.counters[use->shard][use->operation];
    ND_PROBE3(netdeadline, end, nd_operation_names[use->operation], now - use->began, (int)how);
    give_back(use);
    /* Most have not waited for a tick of the coarse clock. */
    if (how == ND_SLOT_DONE && now <= use->began && use->operation != ND_OPERATION_NONE &&
        atomic_load_explicit(&counters->longest, memory_order_relaxed))
        atomic_fetch_add_explicit(&counters->buckets[0], 1, memory_order_relaxed);
    else if (use->operation != ND_OPERATION_NONE && how != ND_SLOT_UNCOUNTED)
        count(counters, how, now > use->began ? (uint64_t)(now - use->began) : 0);
}

void nd_slots_count_expiry(const char *operation, bool observed) {
    enum nd_call found = nd_operation_find(operation);
    struct nd_counters *counters = &nd_slots.counters[own_tid() % ND_SHARDS][found];
    atomic_fetch_add_explicit(observed ? &counters->observed : &counters->expired, 1, memory_order_relaxed);
}
