#include "shim/report/unwind_functions.h"

#include <stddef.h>

#ifdef ND_STATIC_UNWIND

bool nd_unwind_find_functions(void) {
    return true;
}

#else

#include <dlfcn.h>

#define TEXT_OF(name) #name
#define TEXT(name) TEXT_OF(name)

struct nd_unwind nd_unwind;

/* The complete library is named after the machine; libunwind.so.8 can unwind its own process only. */
#define LIBRARY "libunwind-" TEXT(UNW_TARGET) ".so.8"

bool nd_unwind_find_functions(void) {
    struct nd_unwind found = {0};
    bool complete = true;
    void *handle = dlopen(LIBRARY, RTLD_NOW | RTLD_LOCAL);
    if (!handle)
        return false;
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
