/* Stands between lookups and the functions of libc that nothing else calls (later_calls.def): when the library is linked,
 * the calls in the resolver and in c-ares are renamed to these. */
#include <arpa/inet.h>
#include <dlfcn.h>
#include <locale.h>
#include <netdb.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/select.h>
#include <sys/time.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "base/compiler.h"
#include "base/libc.h"
#include "shim/symbols.h"

static struct {
#define ND_LATER(name, type, params, args) type(*name) params;
#include "shim/later_calls.def"
#undef ND_LATER
} later;

static _Atomic bool is_bound;

static const char function_names[] =
#define ND_LATER(name, type, params, args) #name "\0"
#include "shim/later_calls.def"
    ;
#undef ND_LATER

/* What stands before libc in the list was loaded at the start, and stays. */
static bool find_libc(struct nd_symbols *libc) {
    for (const struct link_map *map = nd_symbols_first_map(); map; map = map->l_next) {
        nd_symbols_read(map, libc);
        if (nd_symbols_are_libcs(libc))
            return libc->hash && libc->symbols && libc->strings;
    }
    return false;
}

static void *find(const struct nd_symbols *libc, const char *name) {
    uintptr_t found = libc ? nd_symbols_function(libc, name, nd_symbols_hash(name), NULL) : 0;
    void *address = found ? (void *)found : nd_libc_musl_function(name); // NOLINT(performance-no-int-to-ptr)
    return address ? address : dlsym(RTLD_DEFAULT, name);
}

/* Threads that are here at once write the same. */
static ND_COLD void bind_all(void) {
    struct nd_symbols libc;
    const bool is_known = !ND_SANITIZED && !nd_libc_is_musl() && find_libc(&libc);
    void **function = (void **)&later;
    for (const char *name = function_names; *name; name += strlen(name) + 1)
        __atomic_store_n(function++, find(is_known ? &libc : NULL, name), __ATOMIC_RELAXED);
    atomic_store_explicit(&is_bound, true, memory_order_release);
}

#define ND_LATER(name, type, params, args)                                                                             \
    type nd_later_##name params;                                                                                       \
    type nd_later_##name params {                                                                                      \
        if (nd_unlikely(!atomic_load_explicit(&is_bound, memory_order_acquire)))                                       \
            bind_all();                                                                                                \
        return later.name args;                                                                                        \
    }
#include "shim/later_calls.def"
#undef ND_LATER

void *nd_later___memcpy_chk(void *to, const void *from, size_t size, size_t room);
void *nd_later___memcpy_chk(void *to, const void *from, size_t size, size_t room) {
    if (size > room)
        abort();
    return memcpy(to, from, size);
}

long nd_later___fdelt_chk(long fd);
long nd_later___fdelt_chk(long fd) {
    if (fd < 0 || fd >= FD_SETSIZE)
        abort();
    return fd / NFDBITS;
}
