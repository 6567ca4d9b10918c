#include "resolver/thread.h"

#include <dlfcn.h>
#include <errno.h>
#include <linux/futex.h>
#include <pthread.h>
#include <sched.h>
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
#pragma weak pthread_attr_getstacksize

/* The functions with which all threads are created. */
struct calls {
    int (*create)(pthread_t *, const pthread_attr_t *, void *(*)(void *), void *);
    int (*init)(pthread_attr_t *);
    int (*destroy)(pthread_attr_t *);
    int (*set_detached)(pthread_attr_t *, int);
    int (*set_stack)(pthread_attr_t *, size_t);
    int (*get_stack)(const pthread_attr_t *, size_t *);
};

/* A plugin may have loaded libpthread since the program started, when these symbols were bound to NULL. libc has stubs
 * of some of the functions, so all are taken from libpthread. */
static bool find_calls(struct calls *calls) {
    if (pthread_create) {
        *calls = (struct calls){pthread_create,
                                pthread_attr_init,
                                pthread_attr_destroy,
                                pthread_attr_setdetachstate,
                                pthread_attr_setstacksize,
                                pthread_attr_getstacksize};
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
    *(void **)&calls->get_stack = dlsym(library, "pthread_attr_getstacksize");
    dlclose(library); /* it is linked so that it is never unloaded */
    return calls->create && calls->init && calls->destroy && calls->set_detached && calls->set_stack &&
           calls->get_stack;
}

/* NSS modules are written for the main thread, which has 8 MB nearly everywhere. */
#define STACK_EXPECTED ((size_t)8 << 20)

size_t nd_thread_default_stack(void) {
    pthread_attr_t attr;
    struct calls calls;
    size_t size = 0;
    if (find_calls(&calls) && calls.init(&attr) == 0) {
        if (calls.get_stack(&attr, &size) != 0)
            size = 0;
        calls.destroy(&attr);
    }
    return size > STACK_EXPECTED ? size : STACK_EXPECTED;
}

/* Returns an error number. */
static int start(const struct calls *calls, void *(*run)(void *), void *arg, size_t stack) {
    pthread_attr_t attr;
    pthread_t thread;
    int error = calls->init(&attr);
    if (error)
        return error;
    calls->set_detached(&attr, PTHREAD_CREATE_DETACHED);
    calls->set_stack(&attr, stack);
    error = calls->create(&thread, &attr, run, arg);
    calls->destroy(&attr);
    return error;
}

const char *nd_thread_start(void *(*run)(void *), void *arg, size_t stack) {
    sigset_t all, old;
    struct calls calls;
    if (!find_calls(&calls))
        return "libpthread is not loaded";
    /* Signals are blocked before the thread is created: no signal of the program may be delivered to a thread that it
     * does not know. */
    sigfillset(&all);
    sigprocmask(SIG_SETMASK, &all, &old);
    int error = start(&calls, run, arg, stack);
    if (error && stack > ND_STACK_SMALL)
        error = start(&calls, run, arg, ND_STACK_SMALL);
    sigprocmask(SIG_SETMASK, &old, NULL);
    if (error == EAGAIN)
        return "no thread can be created (EAGAIN: a limit of threads or processes is reached, or memory is short)";
    return error ? "no thread can be created" : NULL;
}

bool nd_thread_pause(int turn) {
    int saved = errno;
    if (turn < 20)
        sched_yield();
    else
        syscall(SYS_futex, &(int){0}, FUTEX_WAIT_PRIVATE, 0, &(struct timespec){.tv_nsec = 100000}, NULL, 0);
    errno = saved;
    return turn < 1000;
}

void nd_thread_wait_gone(pid_t tid) {
    int saved = errno;
    pid_t process = getpid();
    for (int turn = 0; syscall(SYS_tgkill, process, tid, 0) == 0 && (nd_thread_pause(turn) || turn < 10000); turn++)
        continue;
    errno = saved;
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

int nd_poll(struct pollfd *fds, nfds_t count, int timeout_ms) {
    struct timespec ts = {timeout_ms / 1000, timeout_ms % 1000 * 1000000L};
    return (int)syscall(SYS_ppoll, fds, count, timeout_ms < 0 ? NULL : &ts, NULL, 0);
}
