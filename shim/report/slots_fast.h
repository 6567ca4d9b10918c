/* The functions of slots.h, inlined for calls that mostly do not have to wait: a few stores and one atomic exchange
 * where the thread's usual slot is free. All functions are async-signal-safe and keep errno. */
#pragma once

#include "base/compiler.h"
#include "shim/mode.h"
#include "shim/report/probes.h"
#include "shim/report/slot.h"

/* The calling thread's number and usual slot. Valid only in the process in which they were found: in a forked child
 * nd_slots.process differs. */
struct nd_slots_self {
    uint32_t process, tid;
    struct nd_slot *first; /* its usual slot */
};
extern __thread struct nd_slots_self nd_slots_self __attribute__((visibility("hidden"), tls_model("initial-exec")));

/* As nd_slots_thread. */
static inline uint32_t nd_slots_self_or_ask(void) {
    const uint32_t process = atomic_load_explicit(&nd_slots.process, memory_order_relaxed);
    return nd_likely(process && process == nd_slots_self.process) ? nd_slots_self.tid : nd_slots_thread();
}

/* The rest of nd_slot_begin and nd_slot_end, for where the usual slot is not free, or the call has waited. */
void nd_slot_begin_slowly(struct nd_slot_use *use, int fd, nd_time deadline, unsigned limit, const char *name);
void nd_slot_restore(const struct nd_slot_use *use);
void nd_slot_count(struct nd_counters *counters, enum nd_slot_end how, uint64_t elapsed);

/* Begin and end a change of a slot: a reader that finds the same even sequence before and after has read a whole
 * slot. */
ND_INLINE uint32_t nd_slot_open(struct nd_slot *slot) {
    uint32_t sequence = atomic_load_explicit(&slot->sequence, memory_order_relaxed) | 1;
    atomic_store_explicit(&slot->sequence, sequence, memory_order_relaxed);
    atomic_thread_fence(memory_order_release);
    return sequence;
}

ND_INLINE void nd_slot_close(struct nd_slot *slot, uint32_t sequence) {
    atomic_store_explicit(&slot->sequence, sequence + 1, memory_order_release);
}

ND_INLINE void nd_slot_fill(const struct nd_slot_use *use, int fd, nd_time deadline, unsigned limit, const char *name) {
    struct nd_slot *slot = use->slot;
    const uint32_t sequence = nd_slot_open(slot);
    slot->fd = fd;
    slot->operation = use->operation;
    slot->limit = (uint8_t)limit;
    slot->observed = nd_observing;
    slot->began = use->began;
    slot->deadline = deadline;
    slot->name = (uintptr_t)name;
    slot->frame = use->frame;
    slot->return_to = *(const uintptr_t *)(uintptr_t)use->frame;
    nd_slot_close(slot, sequence);
}

/* Takes the thread's usual slot. Returns false where it is not free; then its fields are another thread's. */
ND_INLINE bool nd_slot_take(struct nd_slot_use *use) {
    const uint32_t process = atomic_load_explicit(&nd_slots.process, memory_order_relaxed), tid = nd_slots_self.tid;
    struct nd_slot *slot = nd_slots_self.first;
    uint32_t free_tid = 0;
    if (nd_unlikely(!process || process != nd_slots_self.process) ||
        nd_unlikely(!atomic_compare_exchange_strong_explicit(&slot->tid, &free_tid, tid, memory_order_acquire,
                                                             memory_order_relaxed)))
        return false;
    use->shard = (uint8_t)(tid % ND_SHARDS);
    use->slot = slot;
    return true;
}

/* As nd_slot_begin_in. */
ND_INLINE void nd_slot_begin_here(const uintptr_t *frame, struct nd_slot_use *use, enum nd_call operation, int fd,
                                  nd_time began, nd_time deadline, unsigned limit, const char *name) {
    ND_PROBE4(netdeadline, start, nd_operation_names[operation], fd, deadline == ND_NEVER ? ND_NEVER : deadline - began,
              name);
    use->operation = (uint8_t)operation;
    use->began = began;
    atomic_store_explicit(&use->outer.tid, 0, memory_order_relaxed);
    use->frame = (uintptr_t)frame;
    if (nd_likely(nd_slot_take(use)))
        nd_slot_fill(use, fd, deadline, limit, name);
    else
        nd_slot_begin_slowly(use, fd, deadline, limit, name);
}

/* Gives the slot back, unless it is not this call's any more: in a child that was forked meanwhile, or after a longjmp
 * out of a signal handler. */
ND_INLINE void nd_slot_give_back(const struct nd_slot_use *use) {
    struct nd_slot *slot = use->slot;
    if (nd_unlikely(!slot) ||
        nd_unlikely(atomic_load_explicit(&slot->tid, memory_order_relaxed) != nd_slots_self.tid) ||
        nd_unlikely(slot->frame != use->frame))
        return;
    if (nd_unlikely(atomic_load_explicit(&use->outer.tid, memory_order_relaxed))) {
        nd_slot_restore(use);
        return;
    }
    slot->frame = 0;
    atomic_store_explicit(&slot->tid, 0, memory_order_release);
}

/* As nd_slot_end. */
ND_INLINE void nd_slot_end_here(const struct nd_slot_use *use, enum nd_slot_end how, nd_time now) {
    struct nd_counters *counters = &nd_slots.counters[use->shard][use->operation];
    ND_PROBE3(netdeadline, end, nd_operation_names[use->operation], now - use->began, (int)how);
    nd_slot_give_back(use);
    /* Most calls end within a tick of the coarse clock. */
    if (nd_likely(how == ND_SLOT_DONE && now <= use->began) && use->operation != ND_OPERATION_NONE &&
        nd_likely(atomic_load_explicit(&counters->longest, memory_order_relaxed)))
        atomic_fetch_add_explicit(&counters->buckets[0], 1, memory_order_relaxed);
    else if (use->operation != ND_OPERATION_NONE && how != ND_SLOT_UNCOUNTED)
        nd_slot_count(counters, how, now > use->began ? (uint64_t)(now - use->began) : 0);
}
