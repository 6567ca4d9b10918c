#include "base/libc.h"

#include <dlfcn.h>
#include <gnu/libc-version.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

#pragma weak gnu_get_libc_version /* musl has none */

const void *nd_libc_address(void) {
    return nd_libc_is_musl() ? (const void *)&_dl_debug_addr : (const void *)(uintptr_t)gnu_get_libc_version;
}

/* The first version with each, the newest first. */
static const struct {
    int version;
    const char *name;
} firsts[] = {{10205, "statx"}, {10203, "qsort_r"}, {10202, "reallocarray"}};

void *nd_libc_musl_function(const char *name) {
    /* musl knows itself by this name, and searches no other file then. */
    void *libc = nd_libc_is_musl() ? dlopen("libc.so", RTLD_LAZY | RTLD_NOLOAD) : NULL;
    return libc ? dlsym(libc, name) : NULL;
}

static int find_version(void) {
    int version = 10124;
    for (size_t i = 0; i < sizeof firsts / sizeof firsts[0] && version == 10124; i++)
        if (nd_libc_musl_function(firsts[i].name))
            version = firsts[i].version;
    /* From 1.2.4 on the names of the 64-bit forms (open64) are for the loader alone. */
    if (version == 10203 && !nd_libc_musl_function("open64"))
        version = 10204;
    return version;
}

int nd_libc_musl_version(void) {
    static _Atomic int known;
    int version = atomic_load_explicit(&known, memory_order_relaxed);
    if (version == 0 && nd_libc_is_musl()) {
        version = find_version();
        atomic_store_explicit(&known, version, memory_order_relaxed);
    }
    return version;
}
