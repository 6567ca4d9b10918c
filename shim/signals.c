#include "shim/signals.h"

#include <errno.h>
#include <signal.h>
#include <stddef.h>

/* What a thread's own faults raise. Crash handlers (ruby's, the sanitizers') have no SA_RESTART, and none of these ends a
 * wait: they do not count. */
static bool is_fault(int number) {
    return number == SIGSEGV || number == SIGBUS || number == SIGFPE || number == SIGILL || number == SIGABRT ||
           number == SIGTRAP || number == SIGSYS;
}

bool nd_signals_restart(void) {
    int saved = errno;
    bool restart = true;
    sigset_t blocked;
    sigemptyset(&blocked);
    pthread_sigmask(SIG_BLOCK, NULL, &blocked);
    for (int number = 1; number < NSIG && restart; number++) {
        struct sigaction action;
        if (is_fault(number) || sigismember(&blocked, number) == 1 || sigaction(number, NULL, &action) != 0)
            continue; /* libc hides its own two signals: EINVAL */
        bool handler = action.sa_handler != SIG_DFL && action.sa_handler != SIG_IGN;
        bool was_handler = ((unsigned)action.sa_flags & SA_RESETHAND) !=
                           0; /* the kernel leaves the flags of a one-shot that has run */
        if ((handler || was_handler) && !(action.sa_flags & SA_RESTART))
            restart = false;
    }
    errno = saved;
    return restart;
}
