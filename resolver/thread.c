#include "resolver/thread.h"

#include <dlfcn.h>
#include <errno.h>
#include <linux/futex.h>
#include <pthread.h>
#include <signal.h>
#include <stddef.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

/* NULL in a program without libpthread (glibc < 2.34), which is not loaded for it. */
#pragma weak pthread_create
#pragma weak pthread_attr_init
#pragma weak pthread_attr_destroy
#pragma weak pthread_attr_setdetachstate
#pragma weak pthread_attr_setstacksize

/* The functions with which all threads are created. */
struct calls {
    int (*create)(pthread_t *, const pthread_attr_t *, void *(*)(void *), void *);
    int (*init)(pthread_attr_t *);
    int (*destroy)(pthread_attr_t *);
    int (*set_detached)(pthread_attr_t *, int);
    int (*set_stack)(pthread_attr_t *, size_t);
};

/* A plugin may have loaded libpthread since the program started, when these symbols were bound to NULL. libc has stubs
 * of some of the functions, so all are taken from libpthread. */
static bool find_calls(struct calls *calls) {
    if (pthread_create) {
        *calls = (struct calls){pthread_create, pthread_attr_init, pthread_attr_destroy, pthread_attr_setdetachstate,
                                pthread_attr_setstacksize};
        return true;
    }
    void *library = dlopen("libpthread.so.0", RTLD_LAZY | RTLD_NOLOAD);
    if (!library)
        return false;
    *(void **)&calls->create = dlsym(library, "pthread_create");
    *(void **)&calls->init = dlsym(library, "pthread_attr_init");
    *(void **)&calls->destroy = dlsym(library, "pthread_attr_destroy");
    *(void **)&calls->set_detached = dlsym(library, "pthread_attr_setdetachstate");
    *(void **)&calls->set_stack = dlsym(library, "pthread_attr_setstacksize");
    dlclose(library); /* it is linked so that it is never unloaded */
    return calls->create && calls->init && calls->destroy && calls->set_detached && calls->set_stack;
}

/* This is address space, not memory. NSS modules are written for the default of 8 MB; half a megabyte is enough for the
 * users of musl and for systemd's own tests. */
#define STACK_SIZE (512 << 10)

bool nd_thread_start(void *(*run)(void *), void *arg) {
    pthread_attr_t attr;
    pthread_t thread;
    sigset_t all, old;
    struct calls calls;
    if (!find_calls(&calls) || calls.init(&attr) != 0)
        return false;
    calls.set_detached(&attr, PTHREAD_CREATE_DETACHED);
    calls.set_stack(&attr, STACK_SIZE);
    /* Signals are blocked before the thread is created: no signal of the program may be delivered to a thread that it
     * does not know. */
    sigfillset(&all);
    sigprocmask(SIG_SETMASK, &all, &old);
    bool started = calls.create(&thread, &attr, run, arg) == 0;
    sigprocmask(SIG_SETMASK, &old, NULL);
    calls.destroy(&attr);
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
    const bool woken = syscall(SYS_futex, word, FUTEX_WAIT_PRIVATE, value, timeout, NULL, 0) == 0;
    const bool interrupted = !woken && errno == EINTR;
    if (!woken && errno != EINTR && errno != EAGAIN && errno != ETIMEDOUT) { /* a filter: the caller looks again soon */
        const struct timespec pause = {0, 10 * ND_MSEC};
        nanosleep(&pause, NULL);
    }
    errno = saved;
    return !interrupted;
}

void nd_futex_wake(int *word) {
    syscall(SYS_futex, word, FUTEX_WAKE_PRIVATE, INT32_MAX, NULL, NULL, 0);
}
