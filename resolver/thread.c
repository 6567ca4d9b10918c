#include "resolver/thread.h"

#include <errno.h>
#include <linux/futex.h>
#include <pthread.h>
#include <signal.h>
#include <stddef.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

/* NULL where the program, with a glibc before 2.34, has no libpthread; it is not forced on it. */
#pragma weak pthread_create
#pragma weak pthread_attr_init
#pragma weak pthread_attr_destroy
#pragma weak pthread_attr_setdetachstate
#pragma weak pthread_attr_setstacksize

/* Address space, not memory. NSS modules are written for the default 8 MB; half a megabyte is what musl's users and
 * systemd's own tests live with. */
#define STACK_SIZE (512 << 10)

bool nd_thread_start(void *(*run)(void *), void *arg) {
    pthread_attr_t attr;
    pthread_t thread;
    sigset_t all, old;
    if (!pthread_create || pthread_attr_init(&attr) != 0)
        return false;
    pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
    pthread_attr_setstacksize(&attr, STACK_SIZE);
    /* blocked before it is born: not one of the program's signals may ever be delivered to a thread it does not know */
    sigfillset(&all);
    sigprocmask(SIG_SETMASK, &all, &old);
    bool started = pthread_create(&thread, &attr, run, arg) == 0;
    sigprocmask(SIG_SETMASK, &old, NULL);
    pthread_attr_destroy(&attr);
    return started;
}

bool nd_futex_wait(int *word, int value, nd_time deadline) {
    struct timespec ts, *timeout = NULL;
    int saved = errno;
    if (deadline != ND_NEVER) {
        nd_time left = deadline - nd_now();
        if (left <= 0)
            return true;
        ts = (struct timespec){(time_t)(left / ND_SEC), (long)(left % ND_SEC)};
        timeout = &ts;
    }
    bool interrupted = syscall(SYS_futex, word, FUTEX_WAIT_PRIVATE, value, timeout, NULL, 0) != 0 && errno == EINTR;
    errno = saved;
    return !interrupted;
}

void nd_futex_wake(int *word) {
    syscall(SYS_futex, word, FUTEX_WAKE_PRIVATE, INT32_MAX, NULL, NULL, 0);
}
