/* Works on the tables that the loader uses, since dlsym may be replaced as well. No function of libc is called but
 * dladdr1, whose name nobody else uses; not even errno is touched, which is reached by one. */
#include "shim/own_calls.h"

#include <dlfcn.h>
#include <elf.h>
#include <link.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/mman.h>

#include "shim/raw.h"

#ifdef __LP64__
#define SYMBOL_TYPE(info) ELF64_ST_TYPE(info)
#define RELOCATION_SYMBOL(info) ELF64_R_SYM(info)
#define RELOCATION_TYPE(info) ELF64_R_TYPE(info)
#else
#define SYMBOL_TYPE(info) ELF32_ST_TYPE(info)
#define RELOCATION_SYMBOL(info) ELF32_R_SYM(info)
#define RELOCATION_TYPE(info) ELF32_R_TYPE(info)
#endif

/* The relocations that hold nothing but the address of a symbol. */
#if defined(__x86_64__)
typedef ElfW(Rela) relocation;
enum { GLOB_DAT = R_X86_64_GLOB_DAT, JUMP_SLOT = R_X86_64_JUMP_SLOT, ABSOLUTE = R_X86_64_64 };
#elif defined(__i386__)
typedef ElfW(Rel) relocation;
enum { GLOB_DAT = R_386_GLOB_DAT, JUMP_SLOT = R_386_JMP_SLOT, ABSOLUTE = R_386_32 };
#elif defined(__aarch64__)
typedef ElfW(Rela) relocation;
enum { GLOB_DAT = R_AARCH64_GLOB_DAT, JUMP_SLOT = R_AARCH64_JUMP_SLOT, ABSOLUTE = R_AARCH64_ABS64 };
#else
#error "the relocations of this architecture are missing here"
#endif

/* What a loaded file's dynamic section refers to. */
struct file {
    uintptr_t base;
    const char *strings, *soname;
    const ElfW(Sym) * symbols;
    const ElfW(Half) * versions;
    const char *defined, *needed; /* Verdef, Verneed */
    const uint32_t *hash;         /* DT_GNU_HASH */
    const char *relocations[2];
    size_t sizes[2];
};

#pragma weak dladdr1 /* musl lacks it (start.c) */

extern const char __ehdr_start[] __attribute__((visibility("hidden")));

static const char *const shared[] = {
#define ND_SHARED(name) #name,
#include "shim/own_calls.def"
#undef ND_SHARED
};

/* Where libc's functions are; before glibc 2.34 also in the others. */
static const char *const libc_files[] = {"libc.so.6", "libdl.so.2", "libpthread.so.0", "librt.so.1"};
enum { LIBC_FILES = sizeof libc_files / sizeof libc_files[0] };

static bool same(const char *a, const char *b) {
    while (*a && *a == *b)
        a++, b++;
    return *a == *b;
}

static uintptr_t distance(uintptr_t a, uintptr_t b) {
    return a > b ? a - b : b - a;
}

/* The loader has relocated some of the entries in place, and others not: the right address is the one near the section
 * itself. */
static const void *address_of(const struct link_map *map, uintptr_t value) {
    uintptr_t section = (uintptr_t)map->l_ld, moved = map->l_addr + value;
    return (const void *)(distance(value, section) < distance(moved, section) ? value : moved);
}

static void read_file(const struct link_map *map, struct file *file) {
    uintptr_t soname = 0;
    *file = (struct file){.base = map->l_addr};
    for (const ElfW(Dyn) *entry = map->l_ld; entry->d_tag != DT_NULL; entry++) {
        const void *at = address_of(map, entry->d_un.d_ptr);
        switch (entry->d_tag) {
        case DT_STRTAB:
            file->strings = at;
            break;
        case DT_SYMTAB:
            file->symbols = at;
            break;
        case DT_GNU_HASH:
            file->hash = at;
            break;
        case DT_VERSYM:
            file->versions = at;
            break;
        case DT_VERDEF:
            file->defined = at;
            break;
        case DT_VERNEED:
            file->needed = at;
            break;
        case DT_SONAME:
            soname = entry->d_un.d_val;
            break;
        case DT_REL:
        case DT_RELA:
            file->relocations[0] = at;
            break;
        case DT_RELSZ:
        case DT_RELASZ:
            file->sizes[0] = entry->d_un.d_val;
            break;
        case DT_JMPREL:
            file->relocations[1] = at;
            break;
        case DT_PLTRELSZ:
            file->sizes[1] = entry->d_un.d_val;
            break;
        }
    }
    file->soname = soname && file->strings ? file->strings + soname : "";
}

/* The name of the version that the undefined symbol with this number wants; NULL for any. */
static const char *version_wanted(const struct file *file, size_t symbol) {
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
static bool has_version(const struct file *file, size_t symbol, const char *version) {
    unsigned index = file->versions ? file->versions[symbol] : VER_NDX_GLOBAL;
    const char *at = file->defined;
    if (!version)
        return !(index & 0x8000);
    while (at) {
        const ElfW(Verdef) *definition = (const void *)at;
        const ElfW(Verdaux) *name = (const void *)(at + definition->vd_aux);
        if (definition->vd_ndx == (index & 0x7fff))
            return same(file->strings + name->vda_name, version);
        at = definition->vd_next ? at + definition->vd_next : NULL;
    }
    return false;
}

static uint32_t hash_of(const char *name) {
    uint32_t hash = 5381;
    for (; *name; name++)
        hash = hash * 33 + (unsigned char)*name;
    return hash;
}

static const ElfW(Sym) * find_symbol(const struct file *file, const char *name, uint32_t hash, const char *version) {
    uint32_t buckets = file->hash[0], first = file->hash[1], filter_words = file->hash[2];
    const uint32_t *bucket = file->hash + 4 + filter_words * (sizeof(ElfW(Addr)) / sizeof *bucket);
    const uint32_t *chain = bucket + buckets;
    uint32_t at = buckets ? bucket[hash % buckets] : 0;
    for (; at >= first && at != 0; at++) {
        uint32_t link = chain[at - first];
        const ElfW(Sym) *symbol = &file->symbols[at];
        if ((link | 1) == (hash | 1) && symbol->st_shndx != SHN_UNDEF && same(file->strings + symbol->st_name, name) &&
            has_version(file, at, version))
            return symbol;
        if (link & 1)
            break;
    }
    return NULL;
}

/* The address of a function; 0 for anything else. */
static uintptr_t function_of(const struct file *file, const ElfW(Sym) * symbol) {
    uintptr_t address = file->base + symbol->st_value;
    int type = SYMBOL_TYPE(symbol->st_info);
    if (type == STT_GNU_IFUNC) /* libc's resolvers look at what the loader knows of the processor, not at arguments */
        return ((uintptr_t(*)(unsigned long, const void *))address)(0, NULL);
    return type == STT_FUNC ? address : 0;
}

static uintptr_t find_own(const struct file *libc, const char *name, const char *version) {
    uint32_t hash = hash_of(name);
    for (int i = 0; i < LIBC_FILES; i++) {
        const ElfW(Sym) *symbol = libc[i].hash ? find_symbol(&libc[i], name, hash, version) : NULL;
        if (symbol)
            return function_of(&libc[i], symbol);
    }
    return 0;
}

static bool is_shared(const char *name) {
    for (size_t i = 0; i < sizeof shared / sizeof shared[0]; i++)
        if (same(shared[i], name))
            return true;
    return false;
}

static void bind_reference(const struct file *own, const struct file *libc, const relocation *reference) {
    size_t number = RELOCATION_SYMBOL(reference->r_info);
    unsigned type = (unsigned)RELOCATION_TYPE(reference->r_info);
    uintptr_t *place = (uintptr_t *)(own->base + reference->r_offset);
    if ((type != GLOB_DAT && type != JUMP_SLOT && type != ABSOLUTE) || number == 0)
        return;
    const ElfW(Sym) *symbol = &own->symbols[number];
    const char *name = own->strings + symbol->st_name;
    if (symbol->st_shndx != SHN_UNDEF)
        return;
    if (*place == 0 || is_shared(name)) /* what is missing stays so: the library does without */
        return;
    uintptr_t found = find_own(libc, name, version_wanted(own, number));
    if (found)
        *place = found;
}

/* Changes the protection of what the loader has made read-only after relocation. Its start is rounded down to a page,
 * whose size is not known here. */
static bool protect(const struct file *own, int protection) {
    const ElfW(Ehdr) *header = (const void *)__ehdr_start;
    const ElfW(Phdr) *segment = (const void *)(__ehdr_start + header->e_phoff);
    for (int i = 0; i < header->e_phnum; i++) {
        uintptr_t start = own->base + segment[i].p_vaddr, end = start + segment[i].p_memsz;
        if (segment[i].p_type != PT_GNU_RELRO)
            continue;
        for (uintptr_t page = 4096; page <= 65536; page *= 4) {
            uintptr_t from = start & ~(page - 1), to = end & ~(page - 1);
            if (nd_raw_call(SYS_mprotect, (long)from, (long)(to - from), protection, 0, 0, 0) == 0)
                return true;
        }
        return false;
    }
    return true;
}

static void bind_all(const struct file *own, const struct file *libc) {
    for (int i = 0; i < 2; i++)
        for (size_t at = 0; own->relocations[i] && at < own->sizes[i]; at += sizeof(relocation))
            bind_reference(own, libc, (const void *)(own->relocations[i] + at));
}

/* Finds the files of libc in the namespace of this library. */
static bool find_libc(const struct link_map *map, struct file *libc) {
    struct file file;
    while (map->l_prev)
        map = map->l_prev;
    for (; map; map = map->l_next) {
        read_file(map, &file);
        for (int i = 0; i < LIBC_FILES; i++)
            if (same(file.soname, libc_files[i]))
                libc[i] = file;
    }
    return libc[0].hash != NULL;
}

#if defined(__SANITIZE_THREAD__) || defined(__SANITIZE_ADDRESS__)
#define IS_CHECKED true /* a build whose calls the sanitizer must see */
#else
#define IS_CHECKED false
#endif

void nd_own_calls_bind(void) {
    static struct file libc[LIBC_FILES]; /* static, so that it is not cleared by a call of memset */
    struct file own;
    struct link_map *map = NULL;
    Dl_info info;
    if (IS_CHECKED || !dladdr1 || !dladdr1(__ehdr_start, &info, (void **)&map, RTLD_DL_LINKMAP) || !map)
        return;
    read_file(map, &own);
    if (own.symbols && own.strings && find_libc(map, libc) && protect(&own, PROT_READ | PROT_WRITE)) {
        bind_all(&own, libc);
        protect(&own, PROT_READ);
    }
}
