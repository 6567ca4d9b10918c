/* Works on the tables that the loader uses (symbols.h), since dlsym may be replaced as well. In nearly every process
 * the loader has bound all references to libc already: then nothing is written. */
#include "shim/own_calls.h"

#include <sys/mman.h>

#include "base/compiler.h"
#include "shim/raw.h"
#include "shim/symbols.h"

#ifdef __LP64__
#define RELOCATION_SYMBOL(info) ELF64_R_SYM(info)
#define RELOCATION_TYPE(info) ELF64_R_TYPE(info)
#else
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

extern const char __ehdr_start[] __attribute__((visibility("hidden")));

static const char *const shared[] = {
#define ND_SHARED(name) #name,
#include "shim/own_calls.def"
#undef ND_SHARED
};

struct binding {
    struct nd_symbols own;
    bool is_writable; /* the references are */
};

static uintptr_t find_own(const char *name, const char *version) {
    uint32_t hash = nd_symbols_hash(name);
    uintptr_t found = 0;
    for (int i = 0; i < ND_LIBC_FILES && !found; i++)
        if (nd_symbols_libc[i].hash)
            found = nd_symbols_function(&nd_symbols_libc[i], name, hash, version);
    return found;
}

static bool is_in_libc(uintptr_t address) {
    for (int i = 0; i < ND_LIBC_FILES; i++)
        if (nd_symbols_contain(&nd_symbols_libc[i], address))
            return true;
    return false;
}

static bool is_shared(const char *name) {
    for (size_t i = 0; i < sizeof shared / sizeof shared[0]; i++)
        if (nd_symbols_same(shared[i], name))
            return true;
    return false;
}

/* Where the reference is to point instead; 0 where it stays as it is. What the loader has found in libc is what was
 * asked for by name and version. */
static uintptr_t wanted(const struct nd_symbols *own, const relocation *reference) {
    size_t number = RELOCATION_SYMBOL(reference->r_info);
    unsigned type = (unsigned)RELOCATION_TYPE(reference->r_info);
    const uintptr_t *place = (const uintptr_t *)(own->base + reference->r_offset);
    if ((type != GLOB_DAT && type != JUMP_SLOT && type != ABSOLUTE) || number == 0)
        return 0;
    const ElfW(Sym) *symbol = &own->symbols[number];
    const char *name = own->strings + symbol->st_name;
    if (symbol->st_shndx != SHN_UNDEF || *place == 0) /* what is missing stays so: the library does without */
        return 0;
    if (is_in_libc(*place) || is_shared(name))
        return 0;
    return find_own(name, nd_symbols_version_wanted(own, number));
}

/* Changes the protection of what the loader has made read-only after relocation. Its start is rounded down to a page,
 * whose size is not known here. */
static bool protect(const struct nd_symbols *own, int protection) {
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

static bool make_writable(struct binding *binding) {
    binding->is_writable = binding->is_writable || protect(&binding->own, PROT_READ | PROT_WRITE);
    return binding->is_writable;
}

static void bind_reference(struct binding *binding, const relocation *reference) {
    const uintptr_t address = wanted(&binding->own, reference);
    uintptr_t *place = (uintptr_t *)(binding->own.base + reference->r_offset);
    if (address && address != *place && make_writable(binding))
        *place = address;
}

static void bind_all(struct binding *binding) {
    const struct nd_symbols *own = &binding->own;
    for (int i = 0; i < 2; i++)
        for (size_t at = i == 0 ? own->relative * sizeof(relocation) : 0; own->relocations[i] && at < own->sizes[i];
             at += sizeof(relocation))
            bind_reference(binding, (const void *)(own->relocations[i] + at));
    if (binding->is_writable)
        protect(own, PROT_READ);
}

void nd_own_calls_bind(void) {
    struct binding binding;
    const struct link_map *map = ND_SANITIZED ? NULL : nd_symbols_own_map();
    if (!map)
        return;
    nd_symbols_read(map, &binding.own);
    binding.is_writable = false;
    if (binding.own.symbols && binding.own.strings && nd_symbols_find_libc())
        bind_all(&binding);
}

void *nd_own_calls_find(const char *name) {
    return ND_SANITIZED ? NULL : (void *)find_own(name, NULL); // NOLINT(performance-no-int-to-ptr)
}
