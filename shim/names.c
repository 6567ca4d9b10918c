#include "shim/names.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdio.h>

#include "shim/report.h"
#include "shim/settings.h"
#include "shim/start.h"

bool nd_names_bounded(void) {
    return nd_active && !nd_observing && nd_settings.resolve;
}

struct nd_lookup nd_names_begin(void) {
    return (struct nd_lookup){.limit = nd_settings.resolve};
}

static void tell(const char *operation, const char *name, nd_time elapsed) {
    struct nd_event event = {.operation = operation,
                             .limit = "RESOLVE",
                             .timeout = nd_settings.resolve,
                             .elapsed = elapsed,
                             .fd = -1,
                             .name = name,
                             .observed = nd_observing};
    nd_report_expiry(&event);
}

static void tell_libc_once(const char *why) {
    static atomic_flag told = ATOMIC_FLAG_INIT;
    if (nd_settings.log == ND_LOG_OFF || atomic_flag_test_and_set(&told))
        return;
    char line[200];
    snprintf(line, sizeof line, "netdeadline: lookups left to libc: %s", why);
    nd_report_notice(line);
}

void nd_names_end(const char *operation, const char *name, const struct nd_lookup *lookup) {
    int saved = errno;
    if (lookup->libc_why)
        tell_libc_once(lookup->libc_why);
    if (lookup->expired)
        tell(operation, name, nd_now() - (lookup->deadline - lookup->limit));
    errno = saved;
}

void nd_names_observe(const char *operation, const char *name, nd_time began) {
    int saved = errno;
    nd_time elapsed = nd_now() - began;
    if (nd_settings.resolve && elapsed >= nd_settings.resolve)
        tell(operation, name, elapsed);
    errno = saved;
}
