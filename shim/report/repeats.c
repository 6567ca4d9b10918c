#include "shim/report/repeats.h"

#include <stdint.h>

/* A name takes the place of another that has the same entry. */
enum { ENTRIES = 16 };

struct entry {
    _Atomic uint32_t hash, count;
};

static struct entry entries[ENTRIES];
_Atomic unsigned nd_repeats_any;

static uint32_t hash_of(const char *name) {
    uint32_t hash = 2166136261u;
    for (; *name; name++) {
        unsigned char c = (unsigned char)*name;
        hash = (hash ^ (c >= 'A' && c <= 'Z' ? c + 32u : c)) * 16777619u;
    }
    return hash;
}

static struct entry *entry_of(uint32_t hash) {
    return &entries[(hash ^ hash >> 16) % ENTRIES];
}

unsigned nd_repeats_add(const char *name) {
    uint32_t hash = hash_of(name);
    struct entry *entry = entry_of(hash);
    nd_repeats_any = 1;
    if (atomic_exchange_explicit(&entry->hash, hash, memory_order_relaxed) != hash)
        atomic_store_explicit(&entry->count, 0, memory_order_relaxed);
    return atomic_fetch_add_explicit(&entry->count, 1, memory_order_relaxed) + 1;
}

void nd_repeats_forget(const char *name) {
    uint32_t hash = hash_of(name);
    struct entry *entry = entry_of(hash);
    if (atomic_load_explicit(&entry->hash, memory_order_relaxed) == hash)
        atomic_store_explicit(&entry->count, 0, memory_order_relaxed);
}
