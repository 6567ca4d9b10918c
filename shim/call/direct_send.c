#include "shim/call/direct_send.h"

#include <dlfcn.h>
#include <gnu/libc-version.h>

#include "shim/real.h"

/* Missing in musl, where the library does nothing (start.c). */
#pragma weak gnu_get_libc_version

void nd_direct_send_start(void) {
    Dl_info of_send, of_libc;
    const char *single = dlsym(RTLD_DEFAULT, "__libc_single_threaded");
    if (single && dladdr(*(void **)&nd_real.send, &of_send) &&
        dladdr((void *)(uintptr_t)gnu_get_libc_version, &of_libc) && of_send.dli_fbase == of_libc.dli_fbase)
        nd_one_thread = single;
}
