/* A loaded file, and whether it is still loaded: after dlclose another file may be at its address. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

struct nd_loaded_file {
    uintptr_t low, high;
    const void *map,
        *dynamic; /* the loader's record of it, and that one's l_ld; records are reused. Only with _dl_find_object */
    const char *build; /* the address of its build id; NULL where it has none in a page that is always mapped */
    char id[16];       /* the first bytes of that */
    unsigned long long unloads; /* without _dl_find_object: how many files had been unloaded by then */
    char name[128];             /* without a build id: its name, or the end of a longer one */
};

/* Finds the file at `address`. Where libc has _dl_find_object (glibc 2.35) it is async-signal-safe and takes no lock;
 * else it takes the loader's lock. */
bool nd_loaded_file_find(const void *address, struct nd_loaded_file *loaded);

static inline bool nd_loaded_file_contains(const struct nd_loaded_file *loaded, const void *address) {
    return (uintptr_t)address >= loaded->low && (uintptr_t)address < loaded->high;
}

/* Whether the same file is still at the same address. Otherwise as nd_loaded_file_find. */
bool nd_loaded_file_still(const struct nd_loaded_file *loaded);
