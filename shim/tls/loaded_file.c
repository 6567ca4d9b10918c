#include "shim/tls/loaded_file.h"

#include <link.h>
#include <stddef.h>
#include <string.h>

#include "base/compiler.h"
#include "shim/symbols.h"

/* glibc's struct dl_find_object, with the words it reserves. The headers of the build host may not have it. */
struct found {
    unsigned long long flags;
    void *start, *end;
    struct link_map *map;
    void *rest[16];
};

/* Found when the library starts, since dlsym cannot be called where a hook may be: in a signal handler, or right after
 * fork. */
static int (*find_object)(void *address, struct found *found) ND_WRITTEN_AT_START;

__attribute__((constructor(101))) static void start(void) {
    *(void **)&find_object = nd_symbols_default("_dl_find_object");
}

static const char *end_of(const char *name) {
    const size_t size = sizeof((struct nd_loaded_file *)0)->name;
    size_t length = name ? strlen(name) : 0;
    return length < size ? name : name + length - size + 1;
}

#define PAGE ((uintptr_t)4096)

/* The bytes from `start` on, if they are in the file's first page, which is mapped as long as the file is; or NULL. */
static const void *in_first_page(const struct nd_loaded_file *loaded, uintptr_t start, uintptr_t size) {
    uintptr_t offset = start - loaded->low;
    return offset <= PAGE && size <= PAGE - offset ? (const void *)start : NULL; // NOLINT(performance-no-int-to-ptr)
}

static const char *build_id_in(const char *note, uintptr_t size) {
    while (size >= sizeof(ElfW(Nhdr))) {
        const ElfW(Nhdr) *header = (const void *)note;
        const char *name = note + sizeof *header, *id = name + ((header->n_namesz + 3U) & ~3U);
        uintptr_t length = (uintptr_t)(id - note) + ((header->n_descsz + 3U) & ~3U);
        if (length > size || header->n_namesz > size || header->n_descsz > size)
            return NULL;
        if (header->n_type == NT_GNU_BUILD_ID && header->n_namesz == 4 && memcmp(name, "GNU", 4) == 0)
            return header->n_descsz >= sizeof((struct nd_loaded_file *)0)->id ? id : NULL;
        note += length;
        size -= length;
    }
    return NULL;
}

/* The address of the build id of the file, or NULL. The linker places it right behind the headers. */
static const char *find_build_id(const struct nd_loaded_file *loaded, uintptr_t base) {
    const ElfW(Ehdr) *header = in_first_page(loaded, loaded->low, sizeof *header);
    if (!header || memcmp(header->e_ident, ELFMAG, SELFMAG) != 0 || header->e_phentsize != sizeof(ElfW(Phdr)) ||
        header->e_phoff >= PAGE)
        return NULL;
    const ElfW(Phdr) *part = in_first_page(loaded, loaded->low + header->e_phoff, header->e_phnum * sizeof(ElfW(Phdr)));
    for (int i = 0; part && i < header->e_phnum; i++) {
        const char *note =
            part[i].p_type == PT_NOTE ? in_first_page(loaded, base + part[i].p_vaddr, part[i].p_memsz) : NULL;
        const char *id = note ? build_id_in(note, part[i].p_memsz) : NULL;
        if (id)
            return id;
    }
    return NULL;
}

static bool find_by_libc(const void *address, struct found *found) {
    return find_object((void *)(uintptr_t)address, found) == 0 && found->map;
}

struct search {
    uintptr_t address;
    struct nd_loaded_file *loaded;
    bool found;
};

static int find_in_headers(struct dl_phdr_info *info, size_t size, void *arg) {
    struct search *search = arg;
    uintptr_t low = UINTPTR_MAX, high = 0;
    bool inside = false;
    for (int i = 0; i < info->dlpi_phnum; i++) {
        const ElfW(Phdr) *header = &info->dlpi_phdr[i];
        uintptr_t start_of = (uintptr_t)info->dlpi_addr + header->p_vaddr, end = start_of + header->p_memsz;
        if (header->p_type != PT_LOAD)
            continue;
        low = start_of < low ? start_of : low;
        high = end > high ? end : high;
        inside = inside || (search->address >= start_of && search->address < end);
    }
    if (!inside)
        return 0;
    search->loaded->low = low;
    search->loaded->high = high;
    if (size >= offsetof(struct dl_phdr_info, dlpi_subs) + sizeof info->dlpi_subs)
        search->loaded->unloads = info->dlpi_subs;
    search->found = true;
    return 1;
}

static int count_unloads(struct dl_phdr_info *info, size_t size, void *arg) {
    if (size >= offsetof(struct dl_phdr_info, dlpi_subs) + sizeof info->dlpi_subs)
        *(unsigned long long *)arg = info->dlpi_subs;
    return 1;
}

bool nd_loaded_file_find(const void *address, struct nd_loaded_file *loaded) {
    struct found found;
    memset(loaded, 0, sizeof *loaded);
    if (!find_object) {
        struct search search = {(uintptr_t)address, loaded, false};
        dl_iterate_phdr(find_in_headers, &search);
        return search.found;
    }
    if (!find_by_libc(address, &found))
        return false;
    loaded->low = (uintptr_t)found.start;
    loaded->high = (uintptr_t)found.end;
    loaded->map = found.map;
    loaded->dynamic = found.map->l_ld;
    loaded->build = find_build_id(loaded, found.map->l_addr);
    if (loaded->build)
        memcpy(loaded->id, loaded->build, sizeof loaded->id);
    strncpy(loaded->name, end_of(found.map->l_name), sizeof loaded->name - 1);
    return true;
}

bool nd_loaded_file_still(const struct nd_loaded_file *loaded) {
    struct found found;
    if (!find_object) {
        unsigned long long unloads = 0;
        dl_iterate_phdr(count_unloads, &unloads);
        return unloads == loaded->unloads;
    }
    if (!find_by_libc((const void *)loaded->low, &found) || found.map != loaded->map ||
        (uintptr_t)found.start != loaded->low || (uintptr_t)found.end != loaded->high ||
        found.map->l_ld != loaded->dynamic)
        return false;
    return loaded->build ? memcmp(loaded->build, loaded->id, sizeof loaded->id) == 0
                         : strcmp(end_of(found.map->l_name), loaded->name) == 0;
}
