#include "shim/tls/functions.h"

#include <dlfcn.h>
#include <errno.h>
#include <link.h>
#include <stdatomic.h>
#include <stddef.h>
#include <string.h>

#include "shim/report/module.h"
#include "shim/tls/loaded_file.h"

static const char *const names[] = {
#define ND_HOOK(name, type, params, args, raw)
#define ND_ALIAS(name, of)
#define ND_TLS(name, type, params, args) #name,
#include "shim/hooks.def"
#undef ND_HOOK
#undef ND_ALIAS
#undef ND_TLS
#define ND_TLS_HELPER(name, type, params) #name,
    ND_TLS_HELPERS(ND_TLS_HELPER)
#undef ND_TLS_HELPER
};
#define NAMES (sizeof names / sizeof *names)

/* Those of hooks stand first. */
#define COUNT_HELPER(name, type, params) +1
#define HOOKED (NAMES - (0 ND_TLS_HELPERS(COUNT_HELPER)))

_Static_assert(sizeof(struct nd_tls) == NAMES * sizeof(void *) + 5 * sizeof(uintptr_t) + 16, "a pointer for each name");

/* By kind: a function that no version lacks, and how the files are called. */
static const struct {
    const char *proof, *file;
} kinds[] = {[ND_OPENSSL] = {"SSL_read", "/libssl"}, [ND_GNUTLS] = {"gnutls_record_recv", "/libgnutls"}};

/* Found once, used by every later call of the same module. Entries are written once and then published by the count; a
 * process with more modules that speak TLS looks the rest up at each call. */
struct entry {
    enum nd_tls_kind kind;
    bool by_object; /* the object alone says which functions they are: all stand in the library that made it */
    bool begun;     /* tls.proof and tls.begin are set */
    struct nd_loaded_file library, caller;
    struct nd_loaded_file front; /* a library that stands in front of it with functions of the same names; else empty */
    struct nd_tls tls;
};

#define ENTRIES 32
static struct entry entries[ENTRIES];
static _Atomic int entry_count;
static atomic_flag writing = ATOMIC_FLAG_INIT;

extern const char nd_image_start[] __asm__("__ehdr_start") __attribute__((visibility("hidden")));
extern const char nd_image_end[] __asm__("_end") __attribute__((visibility("hidden")));

static bool ours(const void *address) {
    return (uintptr_t)address >= (uintptr_t)nd_image_start && (uintptr_t)address < (uintptr_t)nd_image_end;
}

/* A function that `handle` sees, not our hook of the same name. */
static void *symbol_of(void *handle, const char *name) {
    void *found = dlsym(handle, name);
    return found && !ours(found) ? found : NULL;
}

static void take_text(uintptr_t range[2], const void *function) {
    struct nd_module module;
    if (function && nd_module_find((uintptr_t)function, &module)) {
        range[0] = module.start;
        range[1] = module.end;
    }
}

/* A function of the library itself. Those that we hook others may hook, too (Wireshark's key log does), and stand in front. */
static const void *home_of(enum nd_tls_kind kind, const struct nd_tls *tls) {
    const void *home =
        kind == ND_OPENSSL ? (const void *)tls->SSL_get_rfd : (const void *)tls->gnutls_transport_get_ptr;
    const void *other = kind == ND_OPENSSL ? (const void *)tls->SSL_read : (const void *)tls->gnutls_record_recv;
    return home ? home : other;
}

static bool fill(enum nd_tls_kind kind, struct nd_tls *tls, void *handle) {
    if (!symbol_of(handle, kinds[kind].proof))
        return false;
    memset(tls, 0, sizeof *tls);
    for (size_t i = 0; i < NAMES; i++) {
        bool gnutls = strncmp(names[i], "gnutls_", 7) == 0;
        void *found = gnutls == (kind == ND_GNUTLS) ? symbol_of(handle, names[i]) : NULL;
        memcpy((char *)tls + i * sizeof found, &found, sizeof found);
    }
    tls->proof = symbol_of(handle, kinds[kind].proof);
    take_text(tls->text[0], home_of(kind, tls));
    take_text(tls->text[1], (void *)tls->ERR_peek_error);
    return true;
}

static bool fill_from_file(enum nd_tls_kind kind, struct nd_tls *tls, const char *file) {
    if (!file || !*file)
        return false;
    void *handle = dlopen(file, RTLD_LAZY | RTLD_NOLOAD);
    if (!handle)
        return false;
    bool found = fill(kind, tls, handle);
    dlclose(handle); /* only our own reference: the caller keeps its libraries loaded */
    return found;
}

/* Whether an SSL object was made by the library that is loaded at `library`: each version keeps a pointer to its method, a
 * constant of its own, among the first words. */
#define WORDS 8
#define UNCHECKED __attribute__((no_sanitize("address", "thread")))
UNCHECKED static const void *const *method_of(const void *object, const struct nd_loaded_file *library) {
    const uintptr_t *words = object;
    if ((uintptr_t)object < 65536 || (uintptr_t)object % sizeof *words)
        return NULL; /* no object at all */
    for (int i = 0; i < WORDS; i++)
        if (words[i] >= library->low && words[i] < library->high)
            return (const void *const *)object + i;
    return NULL;
}

static bool made_by(const void *object, const struct nd_loaded_file *library) {
    return method_of(object, library) != NULL;
}

/* Every loaded file whose name begins as the library's does. Gathered first: the loader must not be asked for more while it
 * goes through its list. */
#define FILES 8
struct files {
    const char *prefix;
    int count;
    char path[FILES][256];
};

static int gather(struct dl_phdr_info *info, size_t size, void *arg) {
    struct files *files = arg;
    const char *base = info->dlpi_name ? strrchr(info->dlpi_name, '/') : NULL;
    (void)size;
    if (base && strncmp(base, files->prefix, strlen(files->prefix)) == 0 && strlen(info->dlpi_name) < 256)
        strcpy(files->path[files->count++], info->dlpi_name);
    return files->count == FILES;
}

/* The library that made `object`; where none can be told by it, the first one. */
static bool fill_from_any(enum nd_tls_kind kind, struct nd_tls *tls, const void *object, bool surely) {
    struct files files = {.prefix = kinds[kind].file};
    struct nd_tls found;
    bool any = false;
    dl_iterate_phdr(gather, &files);
    for (int i = 0; i < files.count; i++) {
        struct nd_loaded_file library;
        if (!fill_from_file(kind, &found, files.path[i]))
            continue;
        bool made = nd_loaded_file_find(home_of(kind, &found), &library) && made_by(object, &library);
        if (made || (!any && !surely))
            *tls = found;
        any = any || !surely;
        if (made)
            return true;
    }
    return any;
}

#pragma weak dladdr1 /* not in musl (start.c) */

static bool fill_from_caller(enum nd_tls_kind kind, struct nd_tls *tls, const void *return_address) {
    Dl_info info;
    struct link_map *map = NULL;
    return dladdr1 && !ours(return_address) && dladdr1(return_address, &info, (void **)&map, RTLD_DL_LINKMAP) && map &&
           fill_from_file(kind, tls, map->l_name); /* the program itself has no name, and what it sees comes after us */
}

static bool made_by_found(const void *object, const struct nd_tls *tls) {
    struct nd_loaded_file library;
    return nd_loaded_file_find(home_of(ND_OPENSSL, tls), &library) && made_by(object, &library);
}

/* What comes after us in the order of the loader is what the caller would have had, if it is of the library that made the
 * object; else the caller's own libraries are asked; then any that is loaded. A tail call hides the caller: what was found may
 * be another version than the one that made the object. */
static bool search(enum nd_tls_kind kind, struct nd_tls *tls, const void *return_address, const void *object) {
    if (kind == ND_OPENSSL && fill(kind, tls, RTLD_NEXT) && made_by_found(object, tls))
        return true;
    if (!fill_from_caller(kind, tls, return_address) && !fill(kind, tls, RTLD_NEXT))
        return fill_from_any(kind, tls, object, false);
    if (kind == ND_OPENSSL && !made_by_found(object, tls))
        fill_from_any(kind, tls, object, true);
    return true;
}

/* Whether what an entry was made from is there still. */
static bool stands(const struct entry *entry) {
    return nd_loaded_file_still(&entry->library) && (entry->by_object || nd_loaded_file_still(&entry->caller)) &&
           (!entry->front.high || nd_loaded_file_still(&entry->front));
}

static const struct nd_tls *lookup(enum nd_tls_kind kind, const void *return_address, const void *object) {
    int count = atomic_load_explicit(&entry_count, memory_order_acquire);
    for (int i = 0; i < count; i++) {
        const struct entry *entry = &entries[i];
        if (entry->kind == kind && nd_loaded_file_contains(&entry->caller, return_address) &&
            (kind != ND_OPENSSL || made_by(object, &entry->library)) && stands(entry))
            return &entry->tls;
    }
    return NULL;
}

/* Says where the functions stand. False where they are of more than two libraries. */
static bool place_functions(struct entry *entry) {
    for (size_t i = 0; i < HOOKED; i++) {
        const void *function;
        memcpy(&function, (const char *)&entry->tls + i * sizeof function, sizeof function);
        if (!function || nd_loaded_file_contains(&entry->library, function) ||
            nd_loaded_file_contains(&entry->front, function))
            continue;
        if (entry->front.high || !nd_loaded_file_find(function, &entry->front))
            return false;
    }
    entry->by_object = entry->kind == ND_OPENSSL && !entry->front.high;
    entry->begun = !entry->front.high;
    if (entry->begun)
        memcpy(entry->tls.begin, entry->tls.proof, sizeof entry->tls.begin);
    return true;
}

static void remember(enum nd_tls_kind kind, const struct nd_tls *tls, const void *return_address, const void *object) {
    struct entry entry = {.kind = kind, .tls = *tls};
    if (!nd_loaded_file_find(return_address, &entry.caller) ||
        !nd_loaded_file_find(home_of(kind, tls), &entry.library) ||
        (kind == ND_OPENSSL && !made_by(object, &entry.library)) || !place_functions(&entry))
        return;
    if (atomic_flag_test_and_set(&writing))
        return; /* another thread, or a signal handler over one, is at it: next time */
    int count = atomic_load(&entry_count);
    if (count < ENTRIES) {
        entries[count] = entry;
        atomic_store_explicit(&entry_count, count + 1, memory_order_release);
    }
    atomic_flag_clear(&writing);
}

const struct nd_tls *nd_tls_find(enum nd_tls_kind kind, const void *return_address, const void *object,
                                 struct nd_tls *room) {
    int saved = errno;
    const struct nd_tls *found = lookup(kind, return_address, object);
    if (!found && search(kind, room, return_address, object)) {
        remember(kind, room, return_address, object);
        found = room;
    }
    errno = saved;
    return found;
}

static const struct entry *entry_of(const struct nd_tls *tls) {
    for (int i = 0; i < entry_count; i++)
        if (tls == &entries[i].tls)
            return &entries[i];
    return NULL;
}

const void *const *nd_tls_method(const struct nd_tls *tls, const void *object) {
    const struct entry *entry = entry_of(tls);
    return entry && entry->begun ? method_of(object, &entry->library) : NULL;
}

#define ERR_LIB_SYS 2

void nd_tls_queue_errno(const struct nd_tls *tls) {
    int saved = errno;
    bool empty = tls->ERR_peek_error && tls->ERR_peek_error() == 0;
    if (empty && tls->ERR_new && tls->ERR_set_error) {
        tls->ERR_new();
        tls->ERR_set_error(ERR_LIB_SYS, saved, NULL);
    } else if (empty && tls->ERR_put_error) {
        tls->ERR_put_error(ERR_LIB_SYS, 0, saved, "netdeadline", 0);
    }
    errno = saved;
}
