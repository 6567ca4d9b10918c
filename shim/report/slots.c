#include "shim/report/slots.h"

#include <string.h>
#include <sys/mman.h>

#include "shim/memory.h"
#include "shim/raw.h"
#include "shim/report/slots_fast.h"
#include "shim/settings/live.h"

const uint32_t nd_bucket_ms[ND_BUCKETS] = {1,      2,      5,      10,      20,      50,     100,   200,
                                           500,    1000,   2000,   5000,    10000,   20000,  30000, 60000,
                                           120000, 300000, 600000, 1800000, 3600000, 7200000};

struct nd_slots nd_slots;

__thread struct nd_slots_self nd_slots_self;

/* How many slots are tried before a call goes without one, and how many are swept at a time. */
enum { PROBES = 64, SWEPT_AT_ONCE = 8 };

/* The number of slots in the page that is read anyway. A process with few threads writes to no other. */
enum { FIRST_PAGE = (4096 - offsetof(struct nd_slots, slot)) / sizeof(struct nd_slot) };

/* MADV_WIPEONFORK (Linux 4.14) also works for children whose parent calls no handler of pthread_atfork: by _Fork or a
 * raw clone. It splits a mapping, which a process that writes nothing here need not pay for. The flags stand outside,
 * and the advice holds for children, too. */
void nd_slots_use(uint32_t process) {
#ifdef MADV_WIPEONFORK
    static _Atomic bool is_advised, is_wiped;
    if (!atomic_exchange_explicit(&is_advised, true, memory_order_relaxed))
        is_wiped = nd_raw_call(SYS_madvise, (long)&nd_slots, sizeof nd_slots, MADV_WIPEONFORK, 0, 0, 0) == 0;
    if (atomic_load_explicit(&is_wiped, memory_order_relaxed))
        atomic_store_explicit(&nd_slots.wiped_process, process, memory_order_relaxed);
#endif
    atomic_store_explicit(&nd_slots.process, process, memory_order_relaxed);
}

static void zero_counters(void) {
    for (int operation = 0; operation < ND_OPERATIONS; operation++)
        for (int shard = 0; shard < ND_SHARDS; shard++) {
            struct nd_counters *counters = &nd_slots.counters[shard][operation];
            if (atomic_load_explicit(&counters->longest, memory_order_relaxed) || counters->expired ||
                counters->observed) /* else they are zeros, and writing to them would need a private page */
                memset(counters, 0, sizeof *counters);
        }
    if (atomic_load_explicit(&nd_slots.expiries[0].what, memory_order_relaxed)) /* the first to be taken */
        memset(nd_slots.expiries, 0, sizeof nd_slots.expiries);
}

void nd_slots_forked(void) {
    if (!atomic_load_explicit(&nd_slots.process, memory_order_relaxed))
        return; /* zeroed by the kernel, or never used */
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
        nd_slots_use(process);
    }
    nd_slots_self.tid = (uint32_t)ND_RAW3(gettid, 0, 0, 0);
    nd_slots_self.first = &nd_slots.slot[nd_slots_self.tid % FIRST_PAGE];
    nd_slots_self.process = process;
    return nd_slots_self.tid;
}

static uint32_t own_tid(void) {
    uint32_t process = atomic_load_explicit(&nd_slots.process, memory_order_relaxed);
    return nd_unlikely(!process || process != nd_slots_self.process) ? find_self() : nd_slots_self.tid;
}

uint32_t nd_slots_thread(void) {
    int saved = errno;
    uint32_t tid = own_tid();
    errno = saved;
    return tid;
}

/* Whether the call in this thread's slot may still be under way, its frame being further up the same stack: then the
 * new call is made by a signal handler. The frame is not read, since it may be on a stack that was unmapped; a reader
 * from outside recognises the slot of a call that was left. */
static __attribute__((noinline)) bool may_be_under_way(const struct nd_slot *slot) {
    const uintptr_t deepest = (uintptr_t)1 << 20;
    uintptr_t here = (uintptr_t)__builtin_frame_address(0), there = (uintptr_t)slot->frame;
    return there > here && there - here < deepest;
}

static void set_free(struct nd_slot *slot) {
    slot->frame = 0;
    atomic_store_explicit(&slot->tid, 0, memory_order_release);
}

/* Frees slots of threads that have ended in a call. Makes a system call for each slot, at most once a second. */
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

/* Takes the slot that the thread has already, or a free one. Returns NULL where there is none. */
static struct nd_slot *take(uint32_t tid) {
    if (claim(nd_slots_self.first, tid))
        return nd_slots_self.first;
    for (uint32_t i = 1; i < PROBES; i++)
        if (claim(&nd_slots.slot[(tid + i) % ND_SLOTS], tid))
            return &nd_slots.slot[(tid + i) % ND_SLOTS];
    return NULL;
}

ND_INLINE void copy_fields(struct nd_slot *to, const struct nd_slot *from) {
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

/* For a thread's first call, and where its usual slot is not free. */
void nd_slot_begin_slowly(struct nd_slot_use *use, int fd, nd_time deadline, unsigned limit, const char *name) {
    uint32_t tid = own_tid();
    use->shard = (uint8_t)(tid % ND_SHARDS);
    use->slot = take(tid);
    if (!use->slot) {
        sweep(tid, use->began);
        return;
    }
    if (use->slot->frame && may_be_under_way(use->slot)) { /* a signal handler makes the call */
        copy_fields(&use->outer, use->slot);
        use->outer.tid = tid;
    }
    nd_slot_fill(use, fd, deadline, limit, name);
}

void nd_slot_begin_in(const uintptr_t *frame, struct nd_slot_use *use, enum nd_call operation, int fd, nd_time began,
                      nd_time deadline, unsigned limit, const char *name) {
    nd_slot_begin_here(frame, use, operation, fd, began, deadline, limit, name);
}

void nd_slot_bound(const struct nd_slot_use *use, nd_time deadline, unsigned limit) {
    struct nd_slot *slot = use->slot;
    if (!slot || (slot->deadline == deadline && slot->limit == limit))
        return;
    const uint32_t sequence = nd_slot_open(slot);
    slot->deadline = deadline;
    slot->limit = (uint8_t)limit;
    nd_slot_close(slot, sequence);
}

static void count_longest(struct nd_counters *counters, uint64_t elapsed) {
    uint64_t longest = atomic_load_explicit(&counters->longest, memory_order_relaxed);
    while (elapsed > longest && !atomic_compare_exchange_weak_explicit(&counters->longest, &longest, elapsed,
                                                                       memory_order_relaxed, memory_order_relaxed))
        ;
}

void nd_slot_count(struct nd_counters *counters, enum nd_slot_end how, uint64_t elapsed) {
    unsigned bucket = 0;
    count_longest(counters, elapsed ? elapsed : 1); /* 0 means that no call has been counted */
    if (how == ND_SLOT_QUIET)
        atomic_fetch_add_explicit(&counters->quiet, 1, memory_order_relaxed);
    if (how != ND_SLOT_DONE)
        return;
    while (bucket < ND_BUCKETS && elapsed > nd_bucket_ms[bucket] * (uint64_t)ND_MSEC)
        bucket++;
    atomic_fetch_add_explicit(&counters->buckets[bucket], 1, memory_order_relaxed);
    atomic_fetch_add_explicit(&counters->total, elapsed, memory_order_relaxed);
}

void nd_slot_restore(const struct nd_slot_use *use) {
    const uint32_t sequence = nd_slot_open(use->slot);
    copy_fields(use->slot, &use->outer);
    nd_slot_close(use->slot, sequence);
}

void nd_slot_end(struct nd_slot_use *use, enum nd_slot_end how, nd_time now) {
    nd_slot_end_here(use, how, now);
}

/* Copies another thread's slot, which that thread may be writing. Returns false where it was: the call has then just
 * begun or ended. ThreadSanitizer knows nothing of sequences, and would report each field. */
__attribute__((no_sanitize("thread"))) static bool read_slot(const struct nd_slot *slot, struct nd_slot *copy) {
    const uint32_t sequence = atomic_load_explicit(&slot->sequence, memory_order_acquire);
    copy_fields(copy, slot);
    atomic_thread_fence(memory_order_acquire);
    return !(sequence & 1) && atomic_load_explicit(&slot->sequence, memory_order_relaxed) == sequence;
}

bool nd_slots_woken(void) {
    const int saved = errno;
    const uint32_t self = own_tid();
    bool woken = false;
    for (uint32_t i = 0; i < PROBES && !woken; i++) {
        struct nd_slot *slot = i ? &nd_slots.slot[(self + i) % ND_SLOTS] : nd_slots_self.first;
        uint8_t mark = nd_slot_woken_mark(atomic_load_explicit(&slot->sequence, memory_order_relaxed));
        woken = atomic_load_explicit(&slot->tid, memory_order_relaxed) == self &&
                atomic_compare_exchange_strong(&slot->woken, &mark, 0);
    }
    if (nd_unlikely(woken))
        nd_live_check();
    errno = saved;
    return woken;
}

static bool stands(const struct nd_slot *slot, uint32_t tid) {
    uintptr_t word = 0;
    return ND_RAW3(tgkill, nd_slots.process, tid, 0) == 0 &&
           nd_memory_copy(&word, (uintptr_t)slot->frame, sizeof word) == sizeof word && word == slot->return_to;
}

bool nd_slots_sending(int fd) {
    const int saved = errno;
    const uint32_t self = own_tid();
    struct nd_slot slot;
    bool found = false;
    for (int i = 0; i < ND_SLOTS && !found; i++) {
        const uint32_t tid = atomic_load_explicit(&nd_slots.slot[i].tid, memory_order_acquire);
        found = tid && tid != self && read_slot(&nd_slots.slot[i], &slot) && slot.fd == fd &&
                (nd_operation_table[slot.operation].moves & ND_MOVES_OUT) && stands(&slot, tid);
    }
    errno = saved;
    return found;
}

void nd_slots_count_in_a_row(enum nd_call operation, uint32_t expiries) {
    _Atomic uint32_t *most = &nd_slots.counters[own_tid() % ND_SHARDS][operation].in_a_row;
    uint32_t seen = atomic_load_explicit(most, memory_order_relaxed);
    while (expiries > seen &&
           !atomic_compare_exchange_weak_explicit(most, &seen, expiries, memory_order_relaxed, memory_order_relaxed))
        continue;
}

void nd_slots_count_stale(const char *operation) {
    enum nd_call found = nd_operation_find(operation);
    atomic_fetch_add_explicit(&nd_slots.counters[own_tid() % ND_SHARDS][found].stale, 1, memory_order_relaxed);
}

void nd_slots_count_expiry(const char *operation, bool observed) {
    enum nd_call found = nd_operation_find(operation);
    struct nd_counters *counters = &nd_slots.counters[own_tid() % ND_SHARDS][found];
    atomic_fetch_add_explicit(observed ? &counters->observed : &counters->expired, 1, memory_order_relaxed);
}
