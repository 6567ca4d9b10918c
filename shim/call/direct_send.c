#include "shim/call/direct_send.h"

#include <dlfcn.h>

#include "shim/next.h"
#include "shim/real.h"

void nd_direct_send_start(void) {
    const char *single = dlsym(RTLD_DEFAULT, "__libc_single_threaded");
    if (single && nd_next_is_libc(*(void **)&nd_real.send))
        nd_one_thread = single;
}
