/* prctl: where the program puts itself under a seccomp filter. From there on no system call is added to its own, since
 * the filter may kill for it: nothing is bounded any more but by the kernel timers that stand already. */
#include <linux/prctl.h>
#include <linux/seccomp.h>
#include <sys/syscall.h>

#include "shim/hook/hook.h"
#include "shim/hook/prctl.h"
#include "shim/mode.h"
#include "shim/socket/record.h"

ND_COLD static void stand_back(void) {
    nd_active = false;
    nd_sock_clear_all();
}

static bool begins_filter(long number, long first, long second) {
    if (number == SYS_prctl)
        return first == PR_SET_SECCOMP && second != SECCOMP_MODE_DISABLED;
    return first == SECCOMP_SET_MODE_STRICT || first == SECCOMP_SET_MODE_FILTER;
}

int nd_hook_prctl(int option, unsigned long a, unsigned long b, unsigned long c, unsigned long d) {
    int result = nd_real.prctl(option, a, b, c, d);
    if (nd_unlikely(result == 0 && begins_filter(SYS_prctl, option, (long)a)))
        stand_back();
    return result;
}
#ifdef __i386__
ND_ALIAS_OF(__prctl_time64, prctl);
#endif

/* prctl and seccomp, made by number. */
void nd_prctl_noted(long number, long first, long second) {
    if (begins_filter(number, first, second))
        stand_back();
}
