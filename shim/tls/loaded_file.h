/* A file that was loaded when we looked, and whether it still is: after a dlclose its place may hold another. */
#ifndef ND_TLS_LOADED_FILE_H
#define ND_TLS_LOADED_FILE_H

#include <stdbool.h>
#include <stdint.h>

struct nd_loaded_file {
    uintptr_t low, high;
    const void *map, *dynamic;  /* the loader's record of it, where libc has _dl_find_object: records are reused */
    const char *build;          /* where its build id stands; NULL where it has none that is always mapped */
    char id[16];                /* ... and the begin of that */
    unsigned long long unloads; /* without _dl_find_object: how often anything had been unloaded */
    char name[128];             /* without a build id: its name (the end of a longer one) */
};

/* Finds the file at `address`. Async-signal-safe and without a lock where libc has _dl_find_object (2.35); else it takes the
 * loader's lock. */
bool nd_loaded_file_find(const void *address, struct nd_loaded_file *loaded);

static inline bool nd_loaded_file_contains(const struct nd_loaded_file *loaded, const void *address) {
    return (uintptr_t)address >= loaded->low && (uintptr_t)address < loaded->high;
}

/* Whether the same file is at the same place still. As nd_loaded_file_find. */
bool nd_loaded_file_still(const struct nd_loaded_file *loaded);

#endif
