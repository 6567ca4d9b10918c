/* getaddrinfo: c-ares under one absolute deadline, in libc's place; libc's own where the host's configuration asks for a
 * source that only libc can serve. */
#include <errno.h>
#include <stdatomic.h>
#include <stdio.h>

#include "resolver/resolver.h"
#include "shim/hook.h"
#include "shim/report.h"
#include "shim/settings.h"
#include "shim/start.h"

static void tell_libc_once(const char *why) {
    static atomic_flag told = ATOMIC_FLAG_INIT;
    if (nd_settings.log == ND_LOG_OFF || atomic_flag_test_and_set(&told))
        return;
    char line[200];
    snprintf(line, sizeof line, "netdeadline: lookups without a deadline, left to libc: %s", why);
    nd_report_notice(line);
}

static void tell_expiry(const char *node, nd_time began) {
    struct nd_event event = {.operation = "getaddrinfo",
                             .limit = "RESOLVE",
                             .timeout = nd_settings.resolve,
                             .elapsed = nd_now() - began,
                             .fd = -1,
                             .name = node,
                             .observed = nd_observing};
    nd_report_expiry(&event);
}

static int observe(const char *node, const char *service, const struct addrinfo *hints, struct addrinfo **res) {
    nd_time began = nd_now();
    int result = nd_real.getaddrinfo(node, service, hints, res);
    int saved = errno;
    if (nd_now() - began >= nd_settings.resolve)
        tell_expiry(node, began);
    errno = saved;
    return result;
}

ND_COLD static int lookup(const char *node, const char *service, const struct addrinfo *hints, struct addrinfo **res) {
    if (nd_observing)
        return observe(node, service, hints, res);
    nd_time began = nd_now();
    struct nd_lookup lookup = {.deadline = nd_time_after(began, nd_settings.resolve)};
    int result = nd_getaddrinfo(node, service, hints, res, &lookup);
    if (result == ND_LOOKUP_LIBC) {
        tell_libc_once(lookup.libc_why);
        return nd_real.getaddrinfo(node, service, hints, res);
    }
    if (lookup.expired)
        tell_expiry(node, began);
    return result;
}

int nd_hook_getaddrinfo(const char *node, const char *service, const struct addrinfo *hints, struct addrinfo **res) {
    if (nd_active && nd_settings.resolve)
        return lookup(node, service, hints, res);
    return nd_real.getaddrinfo(node, service, hints, res);
}
