/* prctl: notices when the program installs a seccomp filter. From then on the library adds no system call to the
 * program's own, since the filter may kill the process for it: calls are bounded only by kernel timers that have been
 * set before. */
#include <linux/prctl.h>
#include <linux/seccomp.h>
#include <sys/syscall.h>

#include "shim/hook/by_number.h"
#include "shim/hook/hook.h"
#include "shim/mode.h"
#include "shim/socket/owner.h"
#include "shim/socket/record.h"

#ifndef SECCOMP_FILTER_FLAG_TSYNC
#define SECCOMP_FILTER_FLAG_TSYNC 1 /* Linux 3.17 */
#endif

/* Calls that are under way in other threads notice that before they make another system call. */
ND_COLD static void stop_bounding(bool in_all_threads) {
    if (in_all_threads)
        nd_filter_everywhere = true;
    nd_active = false;
    nd_sock_clear_all();
}

static bool installs_filter(long number, long first, long second) {
    if (number == SYS_prctl)
        return first == PR_SET_SECCOMP && second != SECCOMP_MODE_DISABLED;
    return first == SECCOMP_SET_MODE_STRICT || first == SECCOMP_SET_MODE_FILTER;
}

/* A child of vfork that installs one (and is executed under it) leaves its parent alone. Asked before the filter can
 * refuse the question. */
static bool concerns_us(long number, long first, long second) {
    return installs_filter(number, first, second) && (!nd_active || nd_owner_is_caller());
}

int nd_hook_prctl(int option, unsigned long a, unsigned long b, unsigned long c, unsigned long d) {
    const bool ours = nd_unlikely(option == PR_SET_SECCOMP) && concerns_us(SYS_prctl, option, (long)a);
    int result = nd_real.prctl(option, a, b, c, d);
    if (ours && result == 0)
        stop_bounding(false);
    return result;
}
#ifdef __i386__
ND_ALIAS_OF(__prctl_time64, prctl);
#endif

long nd_prctl_by_number(long number, long a, long b, long c, long d, long e, long f) {
    const bool ours = concerns_us(number, a, b);
    long result = nd_real.syscall(number, a, b, c, d, e, f);
    if (ours && result >= 0)
        stop_bounding((unsigned long)number != SYS_prctl && ((unsigned long)b & SECCOMP_FILTER_FLAG_TSYNC));
    return result;
}
