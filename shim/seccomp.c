/* prctl, syscall: where the program puts itself under a seccomp filter. From there on no system call is added to its own, since
 * the filter may kill for it: nothing is bounded any more but by the kernel timers that stand already. */
#include <linux/prctl.h>
#include <linux/seccomp.h>
#include <sys/syscall.h>

#include "shim/hook.h"
#include "shim/sockets.h"
#include "shim/start.h"

ND_COLD static void stand_back(void) {
    nd_active = false;
    nd_sock_forget_all();
}

static bool is_seccomp(long number) {
#ifdef SYS_seccomp
    if (number == SYS_seccomp)
        return true;
#endif
    return number == SYS_prctl;
}

static bool is_filter(long number, long first, long second) {
    if (number == SYS_prctl)
        return first == PR_SET_SECCOMP && second != SECCOMP_MODE_DISABLED;
    return first == SECCOMP_SET_MODE_STRICT || first == SECCOMP_SET_MODE_FILTER;
}

int nd_hook_prctl(int option, unsigned long a, unsigned long b, unsigned long c, unsigned long d) {
    int result = nd_real.prctl(option, a, b, c, d);
    if (nd_unlikely(result == 0 && is_filter(SYS_prctl, option, (long)a)))
        stand_back();
    return result;
}

ND_COLD static long seccomp_watched(long number, long a, long b, long c, long d, long e, long f) {
    long result = nd_real.syscall(number, a, b, c, d, e, f);
    if (result >= 0 && is_filter(number, a, b))
        stand_back();
    return result;
}

/* Everything else leaves by a jump: no frame of ours stands on the stack of a clone or vfork made this way. */
long nd_hook_syscall(long number, long a, long b, long c, long d, long e, long f) {
    if (nd_unlikely(is_seccomp(number)))
        return seccomp_watched(number, a, b, c, d, e, f);
    return nd_real.syscall(number, a, b, c, d, e, f);
}
