/* getaddrinfo_a, gai_suspend, gai_cancel: each lookup is bounded by RESOLVE and ESTABLISH, and made in a thread, as in libc.
 * gai_error needs no hook: it reads the program's struct gaicb only. */
#include <stdlib.h>

#include "resolver/requests.h"
#include "shim/call/lookup.h"
#include "shim/hook/hook.h"

int nd_hook_getaddrinfo_a(int mode, struct gaicb *list[], int count, struct sigevent *event) {
    if (!nd_lookup_is_bounded(NULL) && (!nd_active || nd_observing || !nd_settings.establish))
        return nd_real.getaddrinfo_a(mode, list, count, event);
    if (mode != GAI_WAIT && mode != GAI_NOWAIT) {
        errno = EINVAL;
        return EAI_SYSTEM;
    }
    int result = nd_requests_add(list, count, nd_hook_getaddrinfo, mode == GAI_NOWAIT ? event : NULL);
    if (mode == GAI_WAIT)
        nd_requests_wait((const struct gaicb *const *)list, count, true, ND_NEVER);
    return result;
}

int nd_hook_gai_suspend(const struct gaicb *const list[], int count, const struct timespec *timeout) {
    if (!nd_requests_any(list, count))
        return nd_real.gai_suspend(list, count, timeout);
    nd_time deadline = ND_NEVER;
    if (timeout)
        deadline = nd_time_after(nd_now(), (nd_time)timeout->tv_sec * ND_SEC + timeout->tv_nsec);
    return nd_requests_wait(list, count, false, deadline);
}

int nd_hook_gai_cancel(struct gaicb *request) {
    int result = nd_requests_cancel(request);
    return result == EAI_ALLDONE ? nd_real.gai_cancel(request) : result;
}
