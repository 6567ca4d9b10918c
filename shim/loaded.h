/* A file that was loaded when we looked, and whether it still is: after a dlclose its place may hold another. */
#ifndef ND_LOADED_H
#define ND_LOADED_H

#include <stdbool.h>
#include <stdint.h>

struct nd_loaded {
    uintptr_t low, high;
    const void *map, *dynamic;  /* the loader's record of it, where libc has _dl_find_object */
    char name[128];             /* ... and its name (the end of a longer one): records are reused */
    unsigned long long unloads; /* else: how often anything had been unloaded */
};

/* Finds the file at `address`. Async-signal-safe and without a lock where libc has _dl_find_object (2.35); else it takes the
 * loader's lock. */
bool nd_loaded_find(const void *address, struct nd_loaded *loaded);

static inline bool nd_loaded_contains(const struct nd_loaded *loaded, const void *address) {
    return (uintptr_t)address >= loaded->low && (uintptr_t)address < loaded->high;
}

/* Whether the same file is at the same place still. As nd_loaded_find. */
bool nd_loaded_still(const struct nd_loaded *loaded);

#endif
