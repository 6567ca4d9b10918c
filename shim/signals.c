#include "shim/signals.h"

#include <errno.h>
#include <signal.h>
#include <stddef.h>

bool nd_signals_restart(void) {
    int saved = errno;
    bool restart = true;
    sigset_t blocked;
    sigemptyset(&blocked);
    pthread_sigmask(SIG_BLOCK, NULL, &blocked);
    for (int number = 1; number < NSIG && restart; number++) {
        struct sigaction action;
        if (sigismember(&blocked, number) == 1 || sigaction(number, NULL, &action) != 0)
            continue; /* libc hides its own two signals: EINVAL */
        bool handled = (action.sa_flags & SA_SIGINFO) || (action.sa_handler != SIG_DFL && action.sa_handler != SIG_IGN);
        if (handled && !(action.sa_flags & SA_RESTART))
            restart = false;
    }
    errno = saved;
    return restart;
}
