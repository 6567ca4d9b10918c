#include "shim/real.h"

#include <dlfcn.h>
#include <errno.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "base/compiler.h"
#include "shim/mode.h"
#include "shim/raw.h"
#include "shim/symbols.h"

/* Before the first socket of all, so that it is known. */
static void start_early(void) {
    if (nd_start_early)
        nd_start_early();
}

/* Stands for a function that no system call can replace: finds libc's, or fails. */
#define ND_BIND_LATE(name, failure, args)                                                                              \
    (find_late(), nd_real.name == unbound_##name ? (errno = ENOSYS, failure) : nd_real.name args)

static void find_late(void);

/* Each is declared before its definition, in which ND_BIND_LATE compares with it. */
#define ND_HOOK(name, type, params, args, raw) static type unbound_##name params;
#include "shim/hooks.def"

static ND_COLD bool bind_now(void *real, const char *name, atomic_bool *is_missing);

#define ND_HOOK(name, type, params, args, raw)                                                                         \
    static type unbound_##name params {                                                                                \
        static atomic_bool is_missing;                                                                                 \
        if (bind_now(&nd_real.name, #name, &is_missing))                                                               \
            return nd_real.name args;                                                                                  \
        return (type)(raw);                                                                                            \
    }
#include "shim/hooks.def"

struct nd_real nd_real = {
#define ND_HOOK(name, type, params, args, raw) .name = unbound_##name,
#include "shim/hooks.def"
};

/* Libc's own functions, where the next one is another library's. */
static struct nd_real libcs;

#define ND_HOOK(name, type, params, args, raw)                                                                         \
    type nd_real_##name params {                                                                                       \
        if (nd_unlikely(libcs.name != NULL))                                                                           \
            return libcs.name args;                                                                                    \
        return nd_real.name args;                                                                                      \
    }
#include "shim/hooks.def"

void (*nd_next_freeaddrinfo)(struct addrinfo *) ND_WRITTEN_AT_START;

enum { MOST_FILES = 128 };

/* The files that were loaded behind this one, at most so many, but for libc and the loader, which defines none of the
 * functions. */
struct files {
    struct {
        const struct link_map *map;
        const uint32_t *hash;
    } others[MOST_FILES];
    int count;
};

/* Returns false where not all of them can be told. All that are loaded behind this one are taken, whether dlsym would
 * search them or not. */
static bool find_files(struct files *files) {
    const struct link_map *map = nd_symbols_own_map();
    struct nd_symbols file;
    bool has_libc = false;
    files->count = 0;
    for (map = map ? map->l_next : NULL; map; map = map->l_next) {
        nd_symbols_read(map, &file);
        if (nd_symbols_are_kernels(&file) || nd_symbols_are_glibcs_loaders(&file))
            continue;
        if (!file.hash || !file.symbols || !file.strings || files->count == MOST_FILES)
            return false;
        if (nd_symbols_are_libcs(&file)) {
            has_libc = true;
        } else {
            files->others[files->count].map = map;
            files->others[files->count++].hash = file.hash;
        }
    }
    return has_libc && nd_symbols_find_libc();
}

/* Whether another file than libc defines the name. */
static bool is_in_others(const struct files *files, const char *name, uint32_t hash) {
    struct nd_symbols file;
    for (int i = 0; i < files->count; i++) {
        if (!nd_symbols_may_have(files->others[i].hash, hash))
            continue;
        nd_symbols_read(files->others[i].map, &file);
        if (nd_symbols_have(&file, name, hash))
            return true;
    }
    return false;
}

/* As dlsym(RTLD_NEXT), which has the word wherever another file than libc defines the name. What libc alone has is found
 * without the loader's help, which costs several times as much. `files` is NULL where they are not known. */
static void *find_next(const struct files *files, const char *name) {
    const uint32_t hash = nd_symbols_hash(name);
    if (!files || is_in_others(files, name, hash))
        return dlsym(RTLD_NEXT, name);
    const uintptr_t found = nd_symbols_function(nd_symbols_libc, name, hash, NULL);
    if (found || !nd_symbols_have(nd_symbols_libc, name, hash))
        return (void *)found; // NOLINT(performance-no-int-to-ptr)
    return dlsym(RTLD_NEXT, name);
}

/* The names of the functions in the order of struct nd_real: a table, since the code of a hundred-odd calls would have
 * to be read from memory at each start. */
static const char names[] =
#define ND_HOOK(name, type, params, args, raw) #name "\0"
#include "shim/hooks.def"
    ;

static void find_all(const struct files *files) {
    void **real = (void **)&nd_real;
    for (const char *name = names; *name; name += strlen(name) + 1, real++) {
        void *found = find_next(files, name);
        if (found)
            *real = found;
    }
    /* A function that the host's libc lacks keeps its raw system call. One that libc has under an older name only
     * (__res_nquery in the libresolv of glibc before 2.34) is found by that name. */
    void *found;
#define ND_ALIAS(name, of)                                                                                             \
    if (nd_real.of == unbound_##of && (found = find_next(files, #name)) != NULL)                                       \
        *(void **)&nd_real.of = found;
#include "shim/hooks.def"
}

enum { FUNCTIONS = sizeof(struct nd_real) / sizeof(void *) };

struct searched {
    const char *name;
    uint32_t hash;
};

static bool has_any(const struct link_map *map, const uint32_t *table, const struct searched *all) {
    struct nd_symbols file = {.hash = NULL};
    for (int i = 0; i < FUNCTIONS; i++) {
        if (!nd_symbols_may_have(table, all[i].hash))
            continue;
        if (!file.hash)
            nd_symbols_read(map, &file);
        if (nd_symbols_have(&file, all[i].name, all[i].hash))
            return true;
    }
    return false;
}

/* Whether every function is libc's own, or missing. */
static bool all_are_libcs(const struct files *files) {
    struct searched all[FUNCTIONS];
    const char *name = names;
    for (int i = 0; i < FUNCTIONS && files->count > 0; i++, name += strlen(name) + 1)
        all[i] = (struct searched){name, nd_symbols_hash(name)};
    for (int i = 0; i < files->count; i++)
        if (has_any(files->others[i].map, files->others[i].hash, all))
            return false;
    return true;
}

bool nd_real_is_libcs ND_WRITTEN_AT_START;

/* Most of what a short-lived program would pay for this library is the search for a hundred-odd functions, of which it
 * calls a few: where each is libc's, or nobody's, it is found when it is called. */
void nd_find_real(void) {
    struct files files;
    const bool are_known = find_files(&files);
    if (!ND_SANITIZED && are_known && all_are_libcs(&files)) {
        nd_real_is_libcs = true;
    } else {
        find_all(are_known ? &files : NULL);
    }
    *(void **)&nd_next_freeaddrinfo = find_next(are_known ? &files : NULL, "freeaddrinfo");
}

static void *find_libcs(const char *name) {
    const uintptr_t found = nd_symbols_function(nd_symbols_libc, name, nd_symbols_hash(name), NULL);
    return (void *)found; // NOLINT(performance-no-int-to-ptr)
}

void *nd_real_find(const void *real, const char *name) {
    void *found = find_libcs(name);
#define ND_ALIAS(alias, of)                                                                                            \
    if (!found && real == &nd_real.of)                                                                                 \
        found = find_libcs(#alias);
#include "shim/hooks.def"
    return found;
}

/* Called in hooks; threads that are here at once write the same. Returns false where libc lacks the function, which keeps
 * its raw system call, or the constructor has not run. */
static bool bind_now(void *real, const char *name, atomic_bool *is_missing) {
    if (!nd_real_is_libcs || atomic_load_explicit(is_missing, memory_order_relaxed))
        return false;
    void *found = nd_real_find(real, name);
    if (found)
        __atomic_store_n((void **)real, found, __ATOMIC_RELAXED);
    else
        atomic_store_explicit(is_missing, true, memory_order_relaxed);
    return found != NULL;
}

void nd_find_libcs_own(bool (*is_others)(const void *code)) {
    struct files files;
    if (!find_files(&files))
        return;
    static const struct {
        char name[12]; /* no pointer, which every start would relocate */
        uint16_t place;
    } calls[] = {
#define OWN(name) {#name, offsetof(struct nd_real, name)}
        OWN(socket), OWN(bind),    OWN(connect), OWN(getsockopt), OWN(setsockopt), OWN(fcntl),
        OWN(poll),   OWN(read),    OWN(recv),    OWN(recvfrom),   OWN(recvmsg),    OWN(send),
        OWN(sendto), OWN(sendmsg), OWN(writev),  OWN(close),      OWN(fclose),     OWN(syscall),
#undef OWN
    };
    for (size_t i = 0; i < sizeof calls / sizeof calls[0]; i++) {
        void *real = *(void **)((char *)&nd_real + calls[i].place);
        if (is_others(real))
            *(uintptr_t *)((char *)&libcs + calls[i].place) =
                nd_symbols_function(nd_symbols_libc, calls[i].name, nd_symbols_hash(calls[i].name), NULL);
    }
}

static void find_in(void *library) {
    void *found;
#define ND_HOOK(name, type, params, args, raw)                                                                         \
    if (nd_real.name == unbound_##name && (found = dlsym(library, #name)) != NULL)                                     \
        *(void **)&nd_real.name = found;
#define ND_ALIAS(name, of)                                                                                             \
    if (nd_real.of == unbound_##of && (found = dlsym(library, #name)) != NULL)                                         \
        *(void **)&nd_real.of = found;
#include "shim/hooks.def"
}

/* Before 2.34 glibc kept some functions in other libraries. RTLD_NEXT does not find one that a plugin has loaded
 * (RTLD_LOCAL), although the plugin's calls reach the hooks: the preloaded library comes first in the search order. */
static void find_late(void) {
    static const char *const libraries[] = {"libresolv.so.2", "libanl.so.1"};
    find_all(NULL); /* other threads may be loading files */
    for (int i = 0; i < 2; i++) {
        void *library = dlopen(libraries[i], RTLD_LAZY | RTLD_NOLOAD);
        if (library)
            find_in(library); /* the library stays loaded, since its functions are called from now on */
    }
}
