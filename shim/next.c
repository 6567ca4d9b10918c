#include "shim/next.h"

#include <link.h>
#include <stddef.h>
#include <string.h>

#include "base/compiler.h"
#include "base/libc.h"
#include "shim/real.h"

enum { MOST_LIBRARIES = 8 };

bool nd_next_any ND_WRITTEN_AT_START;

static struct range { uintptr_t start, end; } libraries[MOST_LIBRARIES];
static int library_count ND_WRITTEN_AT_START;
static struct range libc ND_WRITTEN_AT_START;

/* Whether a file is one of those that glibc consists of, or the runtime of a sanitizer, which looks at the calls and
 * leaves them to libc. */
static bool is_libcs(const char *path) {
    static const char *const names[] = {"libc",    "libpthread", "libresolv", "libanl",   "libdl",     "librt",
                                        "libasan", "libtsan",    "liblsan",   "libubsan", "libhwasan", "libclang_rt"};
    const char *slash = strrchr(path, '/');
    const char *file = slash ? slash + 1 : path;
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        size_t length = strlen(names[i]);
        if (strncmp(file, names[i], length) == 0 && strchr(".-", file[length]))
            return true;
    }
    return false;
}

static struct range range_of(const struct dl_phdr_info *info) {
    struct range range = {UINTPTR_MAX, 0};
    for (int i = 0; i < info->dlpi_phnum; i++) {
        const ElfW(Phdr) *header = &info->dlpi_phdr[i];
        uintptr_t start = info->dlpi_addr + header->p_vaddr;
        if (header->p_type != PT_LOAD)
            continue;
        if (start < range.start)
            range.start = start;
        if (start + header->p_memsz > range.end)
            range.end = start + header->p_memsz;
    }
    return range;
}

static bool is_in(const struct range *range, const void *code) {
    return (uintptr_t)code >= range->start && (uintptr_t)code < range->end;
}

/* Whether a hook's real call goes into the range. */
static bool is_called(const struct range *range) {
#define ND_HOOK(name, type, params, args, raw)                                                                         \
    if (is_in(range, *(void **)&nd_real.name))                                                                         \
        return true;
#include "shim/hooks.def"
    return false;
}

/* For dl_iterate_phdr. What no libc has is still the function in this library itself that stands for it. */
static int note_library(struct dl_phdr_info *info, size_t size, void *unused) {
    (void)size;
    (void)unused;
    struct range range = range_of(info);
    if (is_in(&range, nd_libc_address())) {
        libc = range;
        return 0;
    }
    if (is_libcs(info->dlpi_name ? info->dlpi_name : "") || is_in(&range, &nd_next_any) || !is_called(&range))
        return 0;
    libraries[library_count++] = range;
    return library_count == MOST_LIBRARIES;
}

void nd_next_start(void) {
    library_count = 0;
    if (nd_real_is_libcs)
        return;
    dl_iterate_phdr(note_library, NULL);
    nd_next_any = library_count > 0;
    if (nd_next_any)
        nd_find_libcs_own(nd_next_has);
}

bool nd_next_is_libc(const void *code) {
    return nd_real_is_libcs || is_in(&libc, code);
}

bool nd_next_has(const void *code) {
    for (int i = 0; i < library_count; i++)
        if (is_in(&libraries[i], code))
            return true;
    return false;
}
