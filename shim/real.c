#include "shim/real.h"

#include <dlfcn.h>
#include <errno.h>
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

#define ND_HOOK(name, type, params, args, raw)                                                                         \
    static type unbound_##name params {                                                                                \
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

/* The files that were loaded behind this one, at most so many, by their DT_GNU_HASH; libc apart from the others. */
struct files {
    struct nd_symbols libc;
    const uint32_t *others[MOST_FILES];
    int count;
};

/* Returns false where not all of them can be told. All that are loaded behind this one are taken, whether dlsym would
 * search them or not. */
static bool find_files(struct files *files) {
    const struct link_map *map = nd_symbols_own_map();
    struct nd_symbols file;
    files->libc.hash = NULL;
    files->count = 0;
    for (map = map ? map->l_next : NULL; map; map = map->l_next) {
        nd_symbols_read(map, &file);
        if (nd_symbols_are_kernels(&file))
            continue;
        if (!file.hash || files->count == MOST_FILES)
            return false;
        if (nd_symbols_are_libcs(&file))
            files->libc = file;
        else
            files->others[files->count++] = file.hash;
    }
    return files->libc.hash && files->libc.symbols && files->libc.strings;
}

/* As dlsym(RTLD_NEXT), which has the word wherever more than one file may define the name. Where only libc does, that
 * one is found without the loader's help: most of what a short-lived program would pay for this library is its
 * hundred-odd searches. `files` is NULL where they are not known. */
static void *find_next(const struct files *files, const char *name) {
    const uint32_t hash = nd_symbols_hash(name);
    bool is_libcs = files != NULL;
    for (int i = 0; is_libcs && i < files->count; i++)
        is_libcs = !nd_symbols_may_have(files->others[i], hash);
    const uintptr_t found = is_libcs ? nd_symbols_function(&files->libc, name, hash, NULL) : 0;
    return found ? (void *)found : dlsym(RTLD_NEXT, name); // NOLINT(performance-no-int-to-ptr)
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
    *(void **)&nd_next_freeaddrinfo = find_next(files, "freeaddrinfo");
    /* A function that the host's libc lacks keeps its raw system call. One that libc has under an older name only
     * (__res_nquery in the libresolv of glibc before 2.34) is found by that name. */
    void *found;
#define ND_ALIAS(name, of)                                                                                             \
    if (nd_real.of == unbound_##of && (found = find_next(files, #name)) != NULL)                                       \
        *(void **)&nd_real.of = found;
#include "shim/hooks.def"
}

void nd_find_real(void) {
    struct files files;
    find_all(find_files(&files) ? &files : NULL);
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
                nd_symbols_function(&files.libc, calls[i].name, nd_symbols_hash(calls[i].name), NULL);
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
