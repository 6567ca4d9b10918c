#include "resolver/helper.h"

#include <errno.h>
#include <linux/futex.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "resolver/lock.h"

/* NULL where the program, with a glibc before 2.34, has no libpthread; it is not forced on it. */
#pragma weak pthread_create
#pragma weak pthread_attr_init
#pragma weak pthread_attr_destroy
#pragma weak pthread_attr_setdetachstate
#pragma weak pthread_attr_setstacksize
#pragma weak pthread_setcancelstate

/* Address space, not memory. NSS modules are written for the default 8 MB; half a megabyte is what musl's users and
 * systemd's own tests live with. */
#define STACK_SIZE (512 << 10)

/* All of it belongs to one process: a forked child starts afresh, without the threads that it does not have. */
static struct {
    int lock;
    pid_t owner;
    struct nd_job *running;
    int alive;
    int ended; /* counts up when a thread ends; a futex for those who wait for a free place */
} helpers;

static void futex_wait(int *word, int value, nd_time deadline) {
    struct timespec ts, *timeout = NULL;
    if (deadline != ND_NEVER) {
        nd_time left = deadline - nd_now();
        if (left <= 0)
            return;
        ts = (struct timespec){(time_t)(left / ND_SEC), (long)(left % ND_SEC)};
        timeout = &ts;
    }
    syscall(SYS_futex, word, FUTEX_WAIT_PRIVATE, value, timeout, NULL, 0);
}

static void futex_wake(int *word) {
    syscall(SYS_futex, word, FUTEX_WAKE_PRIVATE, INT32_MAX, NULL, NULL, 0);
}

static void enter(void) {
    nd_lock(&helpers.lock);
    pid_t self = getpid();
    if (helpers.owner != self) {
        helpers.owner = self;
        helpers.running = NULL;
        helpers.alive = 0;
    }
}

static void leave(void) {
    nd_unlock(&helpers.lock);
}

void nd_job_put(struct nd_job *job) {
    if (job && __atomic_sub_fetch(&job->references, 1, __ATOMIC_ACQ_REL) == 0)
        job->free(job);
}

static void unlink_job(struct nd_job *job) {
    for (struct nd_job **p = &helpers.running; *p; p = &(*p)->next)
        if (*p == job) {
            *p = job->next;
            return;
        }
}

static void *thread_main(void *arg) {
    struct nd_job *job = arg;
    if (pthread_setcancelstate)
        pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, NULL);
    job->run(job);
    enter();
    unlink_job(job);
    helpers.alive--;
    __atomic_add_fetch(&helpers.ended, 1, __ATOMIC_RELEASE);
    leave();
    __atomic_store_n(&job->done, 1, __ATOMIC_RELEASE);
    futex_wake(&job->done);
    futex_wake(&helpers.ended);
    nd_job_put(job);
    return NULL;
}

static bool start_thread(struct nd_job *job) {
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
    bool started = pthread_create(&thread, &attr, thread_main, job) == 0;
    sigprocmask(SIG_SETMASK, &old, NULL);
    pthread_attr_destroy(&attr);
    return started;
}

enum outcome { STARTED, JOINED, FULL };

static enum outcome start_or_join(struct nd_job **job) {
    struct nd_job *mine = *job, *other;
    enter();
    for (other = helpers.running; other; other = other->next)
        if (other->key_size == mine->key_size && memcmp(other->key, mine->key, mine->key_size) == 0)
            break;
    enum outcome outcome = other ? JOINED : helpers.alive >= ND_MAX_HELPERS ? FULL : STARTED;
    if (outcome == JOINED)
        __atomic_add_fetch(&other->references, 1, __ATOMIC_RELAXED);
    if (outcome == STARTED) {
        helpers.alive++;
        mine->next = helpers.running;
        helpers.running = mine;
    }
    leave();
    if (outcome == JOINED) {
        mine->free(mine);
        *job = other;
    }
    return outcome;
}

/* No thread to be had: fail open, without a bound. Others may have joined meanwhile. */
static struct nd_job *run_here(struct nd_job *job) {
    job->run(job);
    enter();
    unlink_job(job);
    helpers.alive--;
    leave();
    __atomic_store_n(&job->done, 1, __ATOMIC_RELEASE);
    futex_wake(&job->done);
    nd_job_put(job); /* the thread's share */
    return job;
}

static bool past(struct nd_lookup *lookup) {
    return nd_lookup_deadline(lookup) != ND_NEVER && nd_now() >= lookup->deadline;
}

struct nd_job *nd_job_run(struct nd_job *job, struct nd_lookup *lookup) {
    enum outcome outcome;
    int old_state = 0;
    nd_lookup_deadline(lookup);
    job->references = 2; /* ours and the thread's */
    job->done = 0;
    for (;;) {
        int ended = __atomic_load_n(&helpers.ended, __ATOMIC_ACQUIRE);
        outcome = start_or_join(&job);
        if (outcome != FULL)
            break;
        if (past(lookup)) {
            lookup->expired = true;
            job->free(job);
            return NULL;
        }
        futex_wait(&helpers.ended, ended, lookup->deadline);
    }
    if (pthread_setcancelstate)
        pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &old_state);
    if (outcome == STARTED && !start_thread(job))
        run_here(job);
    while (!__atomic_load_n(&job->done, __ATOMIC_ACQUIRE)) {
        if (past(lookup)) {
            lookup->expired = true;
            nd_job_put(job);
            job = NULL;
            break;
        }
        futex_wait(&job->done, 0, lookup->deadline);
    }
    if (pthread_setcancelstate)
        pthread_setcancelstate(old_state, NULL);
    return job;
}

int nd_helper_count(void) {
    enter();
    int alive = helpers.alive;
    leave();
    return alive;
}
