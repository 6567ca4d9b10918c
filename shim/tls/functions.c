#include "shim/tls/functions.h"

#include <dlfcn.h>
#include <errno.h>
#include <link.h>
#include <stdatomic.h>

#include "base/libc.h"
#include "shim/report/module.h"
#include "shim/tls/loaded_file.h"

static const char *const names[] = {
#define ND_TLS(name, type, params, args) #name,
#include "shim/hooks.def"
#define ND_TLS_HELPER(name, type, params) #name,
    ND_TLS_HELPERS(ND_TLS_HELPER)
#undef ND_TLS_HELPER
};
#define NAMES (sizeof names / sizeof *names)

/* The functions with hooks come first. */
#define COUNT_HELPER(name, type, params) +1
#define HOOKED (NAMES - (0 ND_TLS_HELPERS(COUNT_HELPER)))

_Static_assert(sizeof(struct nd_tls) == NAMES * sizeof(void *) + 5 * sizeof(uintptr_t) + 16, "a pointer for each name");

/* By kind: a function that every version has, and how the names of the files begin. */
static const struct {
    const char *proof, *file;
} kinds[] = {[ND_OPENSSL] = {"SSL_read", "/libssl"}, [ND_GNUTLS] = {"gnutls_record_recv", "/libgnutls"}};

/* The functions for one module: found in its first call, used by every later one. An entry is written once, then
 * published by the count. Where a process has more modules that use TLS, their calls search each time. */
struct entry {
    enum nd_tls_kind kind;
    bool by_object; /* all functions are in the library that made the object: the caller does not matter */
    bool begun;     /* tls.proof and tls.begin are set */
    struct nd_loaded_file library, caller;
    struct nd_loaded_file
        front; /* a library that exports functions of the same names and precedes it in the search order; or empty */
    struct nd_tls tls;
};

#define ENTRIES 32
static struct entry entries[ENTRIES];
static _Atomic int entry_count;
static atomic_flag writing = ATOMIC_FLAG_INIT;

extern const char nd_image_start[] __asm__("__ehdr_start") __attribute__((visibility("hidden")));
extern const char nd_image_end[] __asm__("_end") __attribute__((visibility("hidden")));

static bool is_own(const void *address) {
    return (uintptr_t)address >= (uintptr_t)nd_image_start && (uintptr_t)address < (uintptr_t)nd_image_end;
}

/* A function that dlsym finds with `handle`, unless that is the hook of the same name. */
static void *symbol_of(void *handle, const char *name) {
    void *found = dlsym(handle, name);
    return found && !is_own(found) ? found : NULL;
}

static void find_text(uintptr_t range[2], const void *function) {
    struct nd_module module;
    if (function && nd_module_find((uintptr_t)function, &module)) {
        range[0] = module.start;
        range[1] = module.end;
    }
}

/* A function of the library itself. Those with hooks may be hooked by other libraries, too (by Wireshark's key log),
 * which then come first. */
static const void *own_function(enum nd_tls_kind kind, const struct nd_tls *tls) {
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
    find_text(tls->text[0], own_function(kind, tls));
    find_text(tls->text[1], (void *)tls->ERR_peek_error);
    return true;
}

static bool fill_from_file(enum nd_tls_kind kind, struct nd_tls *tls, const char *file) {
    if (!file || !*file)
        return false;
    void *handle = dlopen(file, RTLD_LAZY | RTLD_NOLOAD);
    if (!handle)
        return false;
    bool found = fill(kind, tls, handle);
    dlclose(handle); /* the caller still keeps its libraries loaded */
    return found;
}

/* Where an SSL object keeps the pointer to its method, if the library at `library` made it; or NULL. The method is a
 * constant of the library, and each version keeps the pointer among the first words of the object. */
#define WORDS 8
#define UNCHECKED __attribute__((no_sanitize("address", "thread")))
UNCHECKED static const void *const *method_of(const void *object, const struct nd_loaded_file *library) {
    const uintptr_t *words = object;
    if ((uintptr_t)object < 65536 || (uintptr_t)object % sizeof *words)
        return NULL; /* not an object */
    for (int i = 0; i < WORDS; i++)
        if (words[i] >= library->low && words[i] < library->high)
            return (const void *const *)object + i;
    return NULL;
}

static bool made_by(const void *object, const struct nd_loaded_file *library) {
    return method_of(object, library) != NULL;
}

/* The loaded files whose names begin as the library's does. They are listed first, since dlopen must not be called
 * while dl_iterate_phdr holds the loader's lock. */
#define FILES 8
struct files {
    const char *prefix;
    int count;
    char path[FILES][256];
};

static int list_file(struct dl_phdr_info *info, size_t size, void *arg) {
    struct files *files = arg;
    const char *base = info->dlpi_name ? strrchr(info->dlpi_name, '/') : NULL;
    (void)size;
    if (base && strncmp(base, files->prefix, strlen(files->prefix)) == 0 && strlen(info->dlpi_name) < 256)
        strcpy(files->path[files->count++], info->dlpi_name);
    return files->count == FILES;
}

/* Takes the functions of the library that made `object`; unless `surely`, those of the first library where it cannot be
 * identified. */
static bool fill_from_list(enum nd_tls_kind kind, struct nd_tls *tls, const void *object, bool surely) {
    struct files files = {.prefix = kinds[kind].file};
    struct nd_tls found;
    bool any = false;
    dl_iterate_phdr(list_file, &files);
    for (int i = 0; i < files.count; i++) {
        struct nd_loaded_file library;
        if (!fill_from_file(kind, &found, files.path[i]))
            continue;
        bool made = nd_loaded_file_find(own_function(kind, &found), &library) && made_by(object, &library);
        if (made || (!any && !surely))
            *tls = found;
        any = any || !surely;
        if (made)
            return true;
    }
    return any;
}

#pragma weak dladdr1 /* musl lacks it (base/libc.h) */

static bool fill_from_caller(enum nd_tls_kind kind, struct nd_tls *tls, const void *return_address) {
    Dl_info info;
    struct link_map *map = NULL;
    if (is_own(return_address))
        return false;
    if (nd_libc_is_musl())
        return dladdr(return_address, &info) && fill_from_file(kind, tls, info.dli_fname);
    return dladdr1 && dladdr1(return_address, &info, (void **)&map, RTLD_DL_LINKMAP) && map &&
           fill_from_file(kind, tls, map->l_name); /* the program itself has no name: RTLD_NEXT finds its functions */
}

static bool made_by_found(const void *object, const struct nd_tls *tls) {
    struct nd_loaded_file library;
    return nd_loaded_file_find(own_function(ND_OPENSSL, tls), &library) && made_by(object, &library);
}

/* Without the hooks the caller would have the functions that RTLD_NEXT finds, if they are of the library that made the
 * object; else those of its own dependencies; else those of any loaded library. Because a tail call hides the caller,
 * what is found may be of another version than the one that made the object: then that one is searched for. */
static bool search(enum nd_tls_kind kind, struct nd_tls *tls, const void *return_address, const void *object) {
    if (kind == ND_OPENSSL && fill(kind, tls, RTLD_NEXT) && made_by_found(object, tls))
        return true;
    if (!fill_from_caller(kind, tls, return_address) && !fill(kind, tls, RTLD_NEXT))
        return fill_from_list(kind, tls, object, false);
    if (kind == ND_OPENSSL && !made_by_found(object, tls))
        fill_from_list(kind, tls, object, true);
    return true;
}

/* Whether the files that an entry was made from are still loaded. */
static bool is_valid(const struct entry *entry) {
    return nd_loaded_file_still(&entry->library) && (entry->by_object || nd_loaded_file_still(&entry->caller)) &&
           (!entry->front.high || nd_loaded_file_still(&entry->front));
}

static const struct nd_tls *lookup(enum nd_tls_kind kind, const void *return_address, const void *object) {
    int count = atomic_load_explicit(&entry_count, memory_order_acquire);
    for (int i = 0; i < count; i++) {
        const struct entry *entry = &entries[i];
        if (entry->kind == kind && nd_loaded_file_contains(&entry->caller, return_address) &&
            (kind != ND_OPENSSL || made_by(object, &entry->library)) && is_valid(entry))
            return &entry->tls;
    }
    return NULL;
}

/* Finds the files of the functions. Returns false where there are more than two. */
static bool find_files(struct entry *entry) {
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

static void add_entry(enum nd_tls_kind kind, const struct nd_tls *tls, const void *return_address, const void *object) {
    struct entry entry = {.kind = kind, .tls = *tls};
    if (!nd_loaded_file_find(return_address, &entry.caller) ||
        !nd_loaded_file_find(own_function(kind, tls), &entry.library) ||
        (kind == ND_OPENSSL && !made_by(object, &entry.library)) || !find_files(&entry))
        return;
    if (atomic_flag_test_and_set(&writing))
        return; /* another thread adds one, or the call that a signal handler has interrupted: the next call will */
    int count = atomic_load(&entry_count);
    if (count < ENTRIES) {
        entries[count] = entry;
        atomic_store_explicit(&entry_count, count + 1, memory_order_release);
    }
    atomic_flag_clear(&writing);
}

const struct nd_tls *nd_tls_find(enum nd_tls_kind kind, const void *return_address, const void *object,
                                 struct nd_tls *buffer) {
    int saved = errno;
    const struct nd_tls *found = lookup(kind, return_address, object);
    if (!found && search(kind, buffer, return_address, object)) {
        add_entry(kind, buffer, return_address, object);
        found = buffer;
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

#define ERR_LIB_SSL 20
#define REASON_SHUTDOWN 207 /* SSL_R_PROTOCOL_IS_SHUTDOWN, of every version */

static void queue(const struct nd_tls *tls, int lib, int reason) {
    if (!tls->ERR_peek_error || tls->ERR_peek_error() != 0)
        return;
    if (tls->ERR_new && tls->ERR_set_error) {
        tls->ERR_new();
        tls->ERR_set_error(lib, reason, NULL);
    } else if (tls->ERR_put_error) {
        tls->ERR_put_error(lib, 0, reason, "netdeadline", 0);
    }
}

void nd_tls_queue_errno(const struct nd_tls *tls) {
    int saved = errno;
    queue(tls, ERR_LIB_SYS, saved);
    errno = saved;
}

/* How the errors of the system are packed: by the library's number, since 3.0 by a bit of their own. */
static bool is_of_system(unsigned long error) {
    return error >> 24 == ERR_LIB_SYS || (error & 0x80000000U);
}

void nd_tls_queue_ended(const struct nd_tls *tls) {
    int saved = errno;
    if (tls->ERR_peek_error && tls->ERR_clear_error && is_of_system(tls->ERR_peek_error()))
        tls->ERR_clear_error();
    queue(tls, ERR_LIB_SSL, REASON_SHUTDOWN);
    errno = saved;
}
