#include "shim/real.h"

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>

#include "shim/raw.h"

static int nd_bind_late_getaddrinfo(const char *node, const char *service, const struct addrinfo *hints,
                                    struct addrinfo **res);

#define ND_HOOK(name, type, params, args, raw)                                                                         \
    static type unbound_##name params {                                                                                \
        return (type)(raw);                                                                                            \
    }
#define ND_ALIAS(name, of)
#define ND_TLS(name, type, params, args)
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

/* A symbol that the host's libc lacks keeps its raw system call. */
void nd_find_real(void) {
    void *found;
#define ND_HOOK(name, type, params, args, raw)                                                                         \
    found = dlsym(RTLD_NEXT, #name);                                                                                   \
    if (found)                                                                                                         \
        *(void **)&nd_real.name = found;
#include "shim/hooks.def"
#undef ND_HOOK
}

static int nd_bind_late_getaddrinfo(const char *node, const char *service, const struct addrinfo *hints,
                                    struct addrinfo **res) {
    nd_find_real();
    if (nd_real.getaddrinfo != unbound_getaddrinfo)
        return nd_real.getaddrinfo(node, service, hints, res);
    errno = ENOSYS;
    return EAI_SYSTEM;
}
