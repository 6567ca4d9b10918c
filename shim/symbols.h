/* The symbols of loaded files, read from the tables that the loader uses. No function of libc is called here but
 * for the last two, since this also finds what a call of libc is to be bound to; not even errno is touched, which
 * is reached by a call. Takes no lock: what follows the list of files is to be used while no other thread loads or
 * unloads files, as in a constructor. */
#pragma once

#include <elf.h>
#include <link.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* What a loaded file's dynamic section refers to; NULL for what it lacks. */
struct nd_symbols {
    uintptr_t base;
    const ElfW(Dyn) * dynamic;
    const char *strings, *soname; /* the soname is "" where there is none */
    const ElfW(Sym) * symbols;
    const ElfW(Half) * versions;
    const char *defined, *needed; /* Verdef, Verneed */
    const uint32_t *hash;         /* DT_GNU_HASH */
    const char *relocations[2];
    size_t sizes[2];
    size_t relative; /* how many of the first have no symbol, and stand before the others */
};

/* The loader's record of the file that this code is linked into; NULL where it cannot be found, as in another namespace
 * than the program's (dlmopen). */
const struct link_map *nd_symbols_own_map(void);

/* The record of the first file in the loader's search order, in the namespace of this library; NULL as above. */
const struct link_map *nd_symbols_first_map(void);

/* Reads the dynamic section of a loaded file. */
void nd_symbols_read(const struct link_map *map, struct nd_symbols *file);

/* Whether a file is libc itself. musl's is the loader, and has no soname. */
bool nd_symbols_are_libcs(const struct nd_symbols *file);

/* The files in which libc's functions are: libc itself first, then those that glibc had before 2.34. `hash` is NULL in
 * what is not loaded, and in all until nd_symbols_find_libc has been called. */
enum { ND_LIBC_FILES = 4 };
extern struct nd_symbols nd_symbols_libc[ND_LIBC_FILES] __attribute__((visibility("hidden")));

/* Finds them in the namespace of this library, at the first call that has success. Returns whether libc is there. */
bool nd_symbols_find_libc(void);

/* Whether a file is the kernel's vDSO, in which nothing is searched. */
bool nd_symbols_are_kernels(const struct nd_symbols *file);

/* Whether a file is glibc's loader, which defines nothing of what is hooked. */
bool nd_symbols_are_glibcs_loaders(const struct nd_symbols *file);

/* Whether two strings are equal: strcmp without a call of libc. */
bool nd_symbols_same(const char *a, const char *b);

/* The hash of a name in DT_GNU_HASH. */
uint32_t nd_symbols_hash(const char *name);

/* Whether a file with this DT_GNU_HASH may define a symbol of this hash. Never false where it does; true where it does
 * not for one name in some dozens. */
static inline bool nd_symbols_may_have(const uint32_t *table, uint32_t hash) {
    enum { BITS = sizeof(ElfW(Addr)) * 8 };
    const ElfW(Addr) *filter = (const void *)(table + 4);
    const ElfW(Addr) word = filter[hash / BITS & (table[2] - 1)];
    return word >> hash % BITS & word >> (hash >> table[3]) % BITS & 1;
}

/* Whether a file with `hash`, `symbols` and `strings` defines the name, whose hash is given, in the version that is the
 * default. */
bool nd_symbols_have(const struct nd_symbols *file, const char *name, uint32_t hash);

/* The name of the version that the undefined symbol with this number wants; NULL for any. */
const char *nd_symbols_version_wanted(const struct nd_symbols *file, size_t symbol);

/* The address of a function that a file with `hash`, `symbols` and `strings` defines under this name, whose hash is
 * given, and in this version; NULL is the version that is the default. 0 for anything else. */
uintptr_t nd_symbols_function(const struct nd_symbols *file, const char *name, uint32_t hash, const char *version);

/* Whether a file before this one in the search order defines the name, which is this one's at `own`. For
 * constructors. */
bool nd_symbols_earlier(const char *name, const void *own);

/* As dlsym(RTLD_DEFAULT), without the code of the loader that a start has not used yet: the address of a function or a
 * variable; NULL where there is none. Like the rest here, for constructors; not for hooks. */
void *nd_symbols_default(const char *name);

/* Whether the address lies in the file, between its symbols and its dynamic section, where its code is: linkers place
 * what is only read first and what is written last. */
static inline bool nd_symbols_contain(const struct nd_symbols *file, uintptr_t address) {
    return address > (uintptr_t)file->symbols && address < (uintptr_t)file->dynamic;
}
