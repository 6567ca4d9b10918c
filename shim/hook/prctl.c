/* prctl: notices when the program installs a seccomp filter. From then on the library adds no system call to the
 * program's own, since the filter may kill the process for it: calls are bounded only by kernel timers that have been
 * set before. */
#include <linux/prctl.h>
#include <linux/seccomp.h>
#include <sys/syscall.h>

#include "shim/hook/hook.h"
#include "shim/hook/prctl.h"
#include "shim/mode.h"
#include "shim/socket/record.h"

ND_COLD static void stop_bounding(void) {
    nd_active = false;
    nd_sock_clear_all();
}

static bool installs_filter(long number, long first, long second) {
    if (number == SYS_prctl)
        return first == PR_SET_SECCOMP && second != SECCOMP_MODE_DISABLED;
    return first == SECCOMP_SET_MODE_STRICT || first == SECCOMP_SET_MODE_FILTER;
}

int nd_hook_prctl(int option, unsigned long a, unsigned long b, unsigned long c, unsigned long d) {
    int result = nd_real.prctl(option, a, b, c, d);
    if (nd_unlikely(result == 0 && installs_filter(SYS_prctl, option, (long)a)))
        stop_bounding();
    return result;
}
#ifdef __i386__
ND_ALIAS_OF(__prctl_time64, prctl);
#endif

/* prctl and seccomp, made with syscall(2). */
void nd_prctl_noted(long number, long first, long second) {
    if (installs_filter(number, first, second))
        stop_bounding();
}
