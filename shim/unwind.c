#include "shim/unwind.h"

#ifdef ND_STATIC_UNWIND

bool nd_unwind_load(void) {
    return true;
}

#else

#include <dlfcn.h>
#include <stddef.h>

#define TEXT_OF(name) #name
#define TEXT(name) TEXT_OF(name)

struct nd_unwind nd_unwind;

bool nd_unwind_load(void) {
    if (nd_unwind.step)
        return true;
    struct nd_unwind found = {0};
    void *handle = dlopen("libunwind.so.8", RTLD_NOW | RTLD_LOCAL);
    if (!handle)
        return false;
    bool complete = true;
    /* libunwind.h makes these names from the target: _ULx86_64_step. getcontext has no local-only form. */
#if defined(__x86_64__)
    *(void **)&found.getcontext = dlsym(handle, "_Ux86_64_getcontext");
#elif defined(__aarch64__)
    found.getcontext = NULL; /* an inline there: see release builds */
#else
    *(void **)&found.getcontext = dlsym(handle, "_Ux86_getcontext");
#endif
    complete = found.getcontext != NULL;
#define ND_UNWIND(name, type, params)                                                                                  \
    *(void **)&found.name = dlsym(handle, TEXT(UNW_OBJ(name)));                                                        \
    complete = complete && found.name;
    ND_UNWIND_FUNCTIONS
#undef ND_UNWIND
    if (complete)
        nd_unwind = found;
    return complete;
}

#endif
