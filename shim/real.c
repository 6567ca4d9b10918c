#include "shim/real.h"

#include <dlfcn.h>
#include <errno.h>

#include "shim/mode.h"
#include "shim/raw.h"

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
#define ND_ALIAS(name, of)
#define ND_TLS(name, type, params, args)
#include "shim/hooks.def"
#undef ND_HOOK

#define ND_HOOK(name, type, params, args, raw)                                                                         \
    static type unbound_##name params {                                                                                \
        return (type)(raw);                                                                                            \
    }
#include "shim/hooks.def"
#undef ND_HOOK

struct nd_real nd_real = {
#define ND_HOOK(name, type, params, args, raw) .name = unbound_##name,
#include "shim/hooks.def"
#undef ND_HOOK
};

#define ND_HOOK(name, type, params, args, raw)                                                                         \
    type nd_real_##name params {                                                                                       \
        return nd_real.name args;                                                                                      \
    }
#include "shim/hooks.def"
#undef ND_HOOK

/* A function that the host's libc lacks keeps its raw system call. One that libc has under an older name only
 * (__res_nquery in the libresolv of glibc before 2.34) is found by that name. */
void nd_find_real(void) {
    void *found;
#define ND_HOOK(name, type, params, args, raw)                                                                         \
    found = dlsym(RTLD_NEXT, #name);                                                                                   \
    if (found)                                                                                                         \
        *(void **)&nd_real.name = found;
#undef ND_ALIAS
#define ND_ALIAS(name, of)                                                                                             \
    if (nd_real.of == unbound_##of && (found = dlsym(RTLD_NEXT, #name)) != NULL)                                       \
        *(void **)&nd_real.of = found;
#include "shim/hooks.def"
#undef ND_HOOK
}

static void find_in(void *library) {
    void *found;
#define ND_HOOK(name, type, params, args, raw)                                                                         \
    if (nd_real.name == unbound_##name && (found = dlsym(library, #name)) != NULL)                                     \
        *(void **)&nd_real.name = found;
#undef ND_ALIAS
#define ND_ALIAS(name, of)                                                                                             \
    if (nd_real.of == unbound_##of && (found = dlsym(library, #name)) != NULL)                                         \
        *(void **)&nd_real.of = found;
#include "shim/hooks.def"
#undef ND_HOOK
}

/* Before 2.34 glibc kept some functions in other libraries. RTLD_NEXT does not find one that a plugin has loaded
 * (RTLD_LOCAL), although the plugin's calls reach the hooks: the preloaded library comes first in the search order. */
static void find_late(void) {
    static const char *const libraries[] = {"libresolv.so.2", "libanl.so.1"};
    nd_find_real();
    for (int i = 0; i < 2; i++) {
        void *library = dlopen(libraries[i], RTLD_LAZY | RTLD_NOLOAD);
        if (library)
            find_in(library); /* the library stays loaded, since its functions are called from now on */
    }
}
