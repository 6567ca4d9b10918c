#include "shim/wait/signals.h"

#include <errno.h>
#include <signal.h>
#include <stddef.h>

/* Whether a thread's own faults raise this signal. Crash handlers (ruby's, the sanitizers') have no SA_RESTART, and
 * none of these signals ends a wait: their handlers do not count. */
static bool is_fault(int number) {
    return number == SIGSEGV || number == SIGBUS || number == SIGFPE || number == SIGILL || number == SIGABRT ||
           number == SIGTRAP || number == SIGSYS;
}

bool nd_signals_restart(void) {
    int saved = errno;
    bool restart = true;
    sigset_t blocked;
    sigemptyset(&blocked);
    sigprocmask(SIG_BLOCK, NULL, &blocked); /* this thread's: pthread_sigmask is not in libc itself before glibc 2.32 */
    for (int number = 1; number < NSIG && restart; number++) {
        struct sigaction action;
        if (is_fault(number) || sigismember(&blocked, number) == 1 || sigaction(number, NULL, &action) != 0)
            continue; /* EINVAL for libc's own two signals */
        bool handler = action.sa_handler != SIG_DFL && action.sa_handler != SIG_IGN;
        /* The kernel keeps the flags of a one-shot handler that has run. */
        bool was_handler = ((unsigned)action.sa_flags & SA_RESETHAND) != 0;
        if ((handler || was_handler) && !(action.sa_flags & SA_RESTART))
            restart = false;
    }
    errno = saved;
    return restart;
}

void nd_signals_hold(struct nd_signals_held *held) {
    sigset_t all;
    if (held->any)
        return;
    sigfillset(&all);
    for (int number = 1; number < NSIG; number++)
        if (is_fault(number))
            sigdelset(&all, number);
    held->any = sigprocmask(SIG_BLOCK, &all, &held->mask) == 0; /* the mask of this thread, on Linux */
}

void nd_signals_let_go(const struct nd_signals_held *held) {
    if (held->any)
        sigprocmask(SIG_SETMASK, &held->mask, NULL);
}
