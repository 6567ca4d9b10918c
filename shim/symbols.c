#include "shim/symbols.h"

#include <dlfcn.h>

#include "base/compiler.h"
#include "base/libc.h"

#ifdef __LP64__
#define SYMBOL_TYPE(info) ELF64_ST_TYPE(info)
#else
#define SYMBOL_TYPE(info) ELF32_ST_TYPE(info)
#endif

/* glibc's loader has its record for debuggers under this name; musl under the one of base/libc.h. */
#pragma weak _r_debug

extern const char __ehdr_start[] __attribute__((visibility("hidden")));

const struct link_map *nd_symbols_own_map(void) {
    static const struct link_map *own ND_WRITTEN_AT_START;
    const struct r_debug *loaders = nd_libc_is_musl() ? _dl_debug_addr : &_r_debug;
    if (own || !loaders)
        return own;
    const struct link_map *map = loaders->r_map;
    while (map && map->l_addr != (uintptr_t)__ehdr_start)
        map = map->l_next;
    own = map;
    return own;
}

const struct link_map *nd_symbols_first_map(void) {
    const struct link_map *map = nd_symbols_own_map();
    while (map && map->l_prev)
        map = map->l_prev;
    return map;
}

bool nd_symbols_are_libcs(const struct nd_symbols *file) {
    return nd_libc_is_musl() ? file->base == _dl_debug_addr->r_ldbase : nd_symbols_same(file->soname, "libc.so.6");
}

bool nd_symbols_are_kernels(const struct nd_symbols *file) {
    return nd_symbols_same(file->soname, "linux-vdso.so.1") || nd_symbols_same(file->soname, "linux-gate.so.1");
}

bool nd_symbols_are_glibcs_loaders(const struct nd_symbols *file) {
    static const char start[] = "ld-linux";
    for (size_t i = 0; start[i]; i++)
        if (file->soname[i] != start[i])
            return false;
    return true;
}

bool nd_symbols_same(const char *a, const char *b) {
    while (*a && *a == *b)
        a++, b++;
    return *a == *b;
}

static uintptr_t distance(uintptr_t a, uintptr_t b) {
    return a > b ? a - b : b - a;
}

/* glibc's loader has relocated most entries in place (none of the vDSO's, and nowhere those of versions), and musl's has
 * not: the right address is the one near the section itself. Both can be near it where a file's distance from 0 is less
 * than twice its length (valgrind loads programs at 0x108000): there what is less than that distance is an offset, since
 * the tables stand at the start of the file. */
static const void *address_of(const struct link_map *map, uintptr_t value) {
    uintptr_t section = (uintptr_t)map->l_ld, moved = map->l_addr + value;
    bool is_low = map->l_addr / 2 < section - map->l_addr;
    bool is_relocated = is_low ? value >= map->l_addr : distance(value, section) < distance(moved, section);
    return (const void *)(is_relocated ? value : moved);
}

void nd_symbols_read(const struct link_map *map, struct nd_symbols *file) {
    uintptr_t soname = 0;
    *file = (struct nd_symbols){.base = map->l_addr, .dynamic = map->l_ld};
    for (const ElfW(Dyn) *entry = map->l_ld; entry->d_tag != DT_NULL; entry++) {
        const uintptr_t at = entry->d_un.d_ptr;
        switch (entry->d_tag) {
        case DT_STRTAB:
            file->strings = address_of(map, at);
            break;
        case DT_SYMTAB:
            file->symbols = address_of(map, at);
            break;
        case DT_GNU_HASH:
            file->hash = address_of(map, at);
            break;
        case DT_VERSYM:
            file->versions = address_of(map, at);
            break;
        case DT_VERDEF:
            file->defined = (const char *)(map->l_addr + at);
            break;
        case DT_VERNEED:
            file->needed = (const char *)(map->l_addr + at);
            break;
        case DT_SONAME:
            soname = entry->d_un.d_val;
            break;
        case DT_REL:
        case DT_RELA:
            file->relocations[0] = address_of(map, at);
            break;
        case DT_RELSZ:
        case DT_RELASZ:
            file->sizes[0] = entry->d_un.d_val;
            break;
        case DT_RELCOUNT:
        case DT_RELACOUNT:
            file->relative = entry->d_un.d_val;
            break;
        case DT_JMPREL:
            file->relocations[1] = address_of(map, at);
            break;
        case DT_PLTRELSZ:
            file->sizes[1] = entry->d_un.d_val;
            break;
        }
    }
    file->soname = soname && file->strings ? file->strings + soname : "";
}

const char *nd_symbols_version_wanted(const struct nd_symbols *file, size_t symbol) {
    unsigned index = file->versions ? file->versions[symbol] & 0x7fff : 0;
    const char *at = file->needed;
    while (index > VER_NDX_GLOBAL && at) {
        const ElfW(Verneed) *need = (const void *)at;
        const char *part = at + need->vn_aux;
        for (unsigned i = 0; i < need->vn_cnt; i++) {
            const ElfW(Vernaux) *version = (const void *)part;
            if (version->vna_other == index)
                return file->strings + version->vna_name;
            part += version->vna_next;
        }
        at = need->vn_next ? at + need->vn_next : NULL;
    }
    return NULL;
}

/* Whether the symbol with this number is defined in `version`; without one: in the version that is the default. */
static bool has_version(const struct nd_symbols *file, size_t symbol, const char *version) {
    unsigned index = file->versions ? file->versions[symbol] : VER_NDX_GLOBAL;
    const char *at = file->defined;
    if (!version)
        return !(index & 0x8000);
    if (!file->versions)
        return true; /* as for loaders */
    while (at) {
        const ElfW(Verdef) *definition = (const void *)at;
        const ElfW(Verdaux) *name = (const void *)(at + definition->vd_aux);
        if (definition->vd_ndx == (index & 0x7fff))
            return nd_symbols_same(file->strings + name->vda_name, version);
        at = definition->vd_next ? at + definition->vd_next : NULL;
    }
    return false;
}

uint32_t nd_symbols_hash(const char *name) {
    uint32_t hash = 5381;
    for (; *name; name++)
        hash = hash * 33 + (unsigned char)*name;
    return hash;
}

static const ElfW(Sym) *
    find_symbol(const struct nd_symbols *file, const char *name, uint32_t hash, const char *version) {
    uint32_t buckets = file->hash[0], first = file->hash[1], filter_words = file->hash[2];
    const uint32_t *bucket = file->hash + 4 + filter_words * (sizeof(ElfW(Addr)) / sizeof *bucket);
    const uint32_t *chain = bucket + buckets;
    uint32_t at = buckets ? bucket[hash % buckets] : 0;
    for (; at >= first && at != 0; at++) {
        uint32_t link = chain[at - first];
        const ElfW(Sym) *symbol = &file->symbols[at];
        if ((link | 1) == (hash | 1) && symbol->st_shndx != SHN_UNDEF &&
            nd_symbols_same(file->strings + symbol->st_name, name) && has_version(file, at, version))
            return symbol;
        if (link & 1)
            break;
    }
    return NULL;
}

bool nd_symbols_have(const struct nd_symbols *file, const char *name, uint32_t hash) {
    return nd_symbols_may_have(file->hash, hash) && find_symbol(file, name, hash, NULL);
}

/* The address of a function; 0 for anything else. */
static uintptr_t function_of(const struct nd_symbols *file, const ElfW(Sym) * symbol) {
    uintptr_t address = file->base + symbol->st_value;
    int type = SYMBOL_TYPE(symbol->st_info);
    if (type == STT_GNU_IFUNC) /* libc's resolvers look at what the loader knows of the processor, not at arguments */
        return ((uintptr_t(*)(unsigned long, const void *))address)(0, NULL);
    return type == STT_FUNC ? address : 0;
}

uintptr_t nd_symbols_function(const struct nd_symbols *file, const char *name, uint32_t hash, const char *version) {
    const ElfW(Sym) *symbol = find_symbol(file, name, hash, version);
    return symbol ? function_of(file, symbol) : 0;
}

struct nd_symbols nd_symbols_libc[ND_LIBC_FILES] ND_WRITTEN_AT_START;

bool nd_symbols_find_libc(void) {
    static const char *const others[ND_LIBC_FILES - 1] = {"libdl.so.2", "libpthread.so.0", "librt.so.1"};
    struct nd_symbols file;
    const struct link_map *map = nd_symbols_libc[0].hash ? NULL : nd_symbols_first_map();
    for (; map; map = map->l_next) {
        nd_symbols_read(map, &file);
        if (nd_symbols_are_libcs(&file))
            nd_symbols_libc[0] = file;
        for (int i = 1; i < ND_LIBC_FILES; i++)
            if (nd_symbols_same(file.soname, others[i - 1]))
                nd_symbols_libc[i] = file;
    }
    return nd_symbols_libc[0].hash != NULL;
}

/* The files in the order of the loader's search, while they are few. */
static struct searched {
    const struct link_map *map;
    const uint32_t *hash;
} searched[12] ND_WRITTEN_AT_START;
static int searched_count ND_WRITTEN_AT_START; /* negative: they cannot be told */

static void find_searched(void) {
    const struct link_map *map = nd_symbols_first_map();
    struct nd_symbols file;
    searched_count = map ? 0 : -1;
    for (; map && searched_count >= 0; map = map->l_next) {
        nd_symbols_read(map, &file);
        if (nd_symbols_are_kernels(&file))
            continue;
        if (!file.hash || !file.symbols || !file.strings ||
            (size_t)searched_count == sizeof searched / sizeof searched[0])
            searched_count = -1;
        else
            searched[searched_count++] = (struct searched){map, file.hash};
    }
}

/* The address of what a file defines; 0 for what has none of its own. */
static uintptr_t address_in(const struct nd_symbols *file, const ElfW(Sym) * symbol) {
    if (!symbol)
        return 0;
    return SYMBOL_TYPE(symbol->st_info) == STT_OBJECT ? file->base + symbol->st_value : function_of(file, symbol);
}

bool nd_symbols_earlier(const char *name, const void *own) {
    const struct link_map *last = nd_symbols_own_map(), *map = nd_symbols_first_map();
    const uint32_t hash = nd_symbols_hash(name);
    bool is_told = map != NULL;
    for (; is_told && map != last; map = map->l_next) {
        struct nd_symbols file;
        nd_symbols_read(map, &file);
        is_told = file.hash && file.symbols && file.strings;
        if (is_told && nd_symbols_have(&file, name, hash))
            return true;
    }
    const void *first = is_told ? own : dlsym(RTLD_DEFAULT, name);
    return first && first != own;
}

void *nd_symbols_default(const char *name) {
    const uint32_t hash = nd_symbols_hash(name);
    struct nd_symbols file;
    uintptr_t found = 0;
    if (searched_count == 0)
        find_searched();
    for (int i = 0; i < searched_count && !found; i++) {
        if (!nd_symbols_may_have(searched[i].hash, hash))
            continue;
        nd_symbols_read(searched[i].map, &file);
        if (file.hash && file.symbols)
            found = address_in(&file, find_symbol(&file, name, hash, NULL));
    }
    return searched_count < 0 ? dlsym(RTLD_DEFAULT, name) : (void *)found; // NOLINT(performance-no-int-to-ptr)
}
