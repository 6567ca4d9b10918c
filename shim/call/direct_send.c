#include "shim/call/direct_send.h"

#include "shim/next.h"
#include "shim/real.h"
#include "shim/symbols.h"

void nd_direct_send_start(void) {
    const char *single = nd_symbols_default("__libc_single_threaded");
    if (single && nd_next_is_libc(*(void **)&nd_real.send))
        nd_one_thread = single;
}
