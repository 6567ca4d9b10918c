#include "resolver/helper.h"

#include <netdb.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/valgrind.h"
#include "resolver/lock.h"
#include "resolver/same_context.h"
#include "resolver/thread.h"
#include "resolver/unfinished.h"

#pragma weak pthread_setcancelstate /* NULL in a program without libpthread (glibc < 2.34) */

/* The state of one process: a forked child, which has none of these threads, begins with an empty one. */
static struct {
    int lock;
    int owner;
    struct nd_job *running;
    int alive, allowed;
    bool progress; /* a thread has ended while its caller waited, since `allowed` was changed */
    int ended;     /* incremented when a thread ends; a futex for callers that wait for a free thread */
} helpers;

static void lock_state(void) {
    nd_lock(&helpers.lock);
    int self = nd_lock_owner();
    if (helpers.owner != self) {
        helpers.owner = self;
        helpers.running = NULL;
        helpers.alive = 0;
        helpers.allowed = ND_HELPERS;
    }
}

static void unlock_state(void) {
    nd_unlock(&helpers.lock);
}

void nd_job_put(struct nd_job *job) {
    if (job && __atomic_sub_fetch(&job->references, 1, __ATOMIC_ACQ_REL) == 0)
        job->free(job);
}

/* Removes the job and its thread. Called with the lock held. */
static void unlink_job(struct nd_job *job) {
    struct nd_job **p = &helpers.running;
    while (*p && *p != job)
        p = &(*p)->next;
    if (*p)
        *p = job->next;
    if (--helpers.alive == 0) {
        helpers.allowed = ND_HELPERS;
        helpers.progress = false;
    }
}

static void run(struct nd_job *job) {
    h_errno = job->h_err;
    job->run(job);
    job->h_err = h_errno;
}

static void *thread_main(void *arg) {
    struct nd_job *job = arg;
    nd_valgrind_hide(); /* the thread's end shows them again */
    if (pthread_setcancelstate)
        pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, NULL);
    __atomic_store_n(&job->tid, (pid_t)syscall(SYS_gettid), __ATOMIC_RELEASE);
    run(job);
    lock_state();
    helpers.progress |= __atomic_load_n(&job->references, __ATOMIC_RELAXED) > 1;
    unlink_job(job);
    __atomic_add_fetch(&helpers.ended, 1, __ATOMIC_RELEASE);
    unlock_state();
    __atomic_store_n(&job->done, 1, __ATOMIC_RELEASE);
    nd_futex_wake(&job->done);
    nd_futex_wake(&helpers.ended);
    nd_job_put(job);
    return NULL;
}

/* Whether this thread is a helper. */
static bool is_helper(void) {
    lock_state();
    struct nd_job *job = helpers.running;
    pid_t self = job ? (pid_t)syscall(SYS_gettid) : 0;
    while (job && __atomic_load_n(&job->tid, __ATOMIC_RELAXED) != self)
        job = job->next;
    unlock_state();
    return job;
}

/* A caller that comes back this long after its deadline was stopped, and so was the thread, for which an answer may have
 * come meanwhile: it gets this long to read it. */
#define STOPPED (100 * ND_MSEC)
#define GRACE (300 * ND_MSEC)

static bool deadline_passed(struct nd_lookup *lookup) {
    return nd_lookup_deadline(lookup) != ND_NEVER && nd_now() >= lookup->deadline;
}

/* Returns a running job with the same question, with a reference; NULL: there is none, or its thread sees another
 * host. */
static struct nd_job *find_equal(const struct nd_job *mine) {
    lock_state();
    struct nd_job *other = helpers.running;
    while (other && (other->key_size != mine->key_size || memcmp(other->key, mine->key, mine->key_size) != 0))
        other = other->next;
    if (other)
        __atomic_add_fetch(&other->references, 1, __ATOMIC_RELAXED);
    unlock_state();
    if (!other)
        return NULL;
    pid_t tid; /* the thread is being created, or will not be at all */
    for (int turn = 0; !(tid = __atomic_load_n(&other->tid, __ATOMIC_ACQUIRE)) && nd_thread_pause(turn); turn++)
        continue;
    if (tid && nd_same_context(tid))
        return other;
    nd_job_put(other);
    return NULL;
}

/* More threads are allowed where those that there are make progress. Called with the lock held. */
static bool take_thread(void) {
    if (helpers.alive >= helpers.allowed && helpers.progress && helpers.allowed < (int)ND_MAX_HELPERS) {
        helpers.allowed *= 2;
        helpers.progress = false;
    }
    return helpers.alive < helpers.allowed;
}

/* Starts a thread for the job. NULL: started. "": as many as are allowed are alive. Else why there is none. */
static const char *start(struct nd_job *job) {
    lock_state();
    bool free_thread = take_thread();
    size_t stack = sizeof(void *) > 4 || helpers.alive < 16 ? 0 : (size_t)2 << 20;
    if (free_thread) {
        helpers.alive++;
        job->next = helpers.running;
        helpers.running = job;
    }
    unlock_state();
    if (!free_thread)
        return "";
    const char *why = nd_thread_start(thread_main, job, stack ? stack : nd_thread_default_stack());
    if (why) {
        lock_state();
        unlink_job(job);
        unlock_state();
    }
    return why;
}

/* What the caller holds while it waits. */
struct waiter {
    struct nd_held held;
    struct nd_unfinished *unfinished;
    struct nd_lookup *lookup;
    struct nd_job *job;
    nd_time until; /* ND_NEVER: the lookup's deadline */
    bool mine;     /* no thread has the job yet */
};

static void release(struct nd_held *held) {
    struct waiter *w = (struct waiter *)held;
    if (w->mine)
        nd_job_put(w->job); /* the thread's reference */
    nd_job_put(w->job);
    free(w);
}

static void wait_for(struct waiter *w, int *word, int value) {
    nd_unfinished_wait_begin(w->unfinished);
    const bool interrupted = !nd_futex_wait(word, value, w->until == ND_NEVER ? w->lookup->deadline : w->until);
    nd_unfinished_wait_end(w->unfinished);
    if (interrupted)
        nd_lookup_interrupted(w->lookup);
}

/* No thread can be created: the caller makes the call itself, and may leave it as it may leave libc's. Others may have
 * joined meanwhile. */
static void run_in_caller(struct waiter *w, const char *why) {
    struct nd_job *job = w->job;
    if (w->lookup->on_unbounded)
        w->lookup->on_unbounded(w->lookup, why);
    nd_unfinished_wait_begin(w->unfinished);
    run(job);
    nd_unfinished_wait_end(w->unfinished);
    __atomic_store_n(&job->done, 1, __ATOMIC_RELEASE);
    nd_futex_wake(&job->done);
    nd_job_put(job); /* the thread's reference */
}

/* Joins an equal job or starts a thread, for which it waits where there is none. False: the deadline has passed. */
static bool start_or_join(struct waiter *w, bool *started) {
    for (;;) {
        int ended = __atomic_load_n(&helpers.ended, __ATOMIC_ACQUIRE);
        struct nd_job *other = find_equal(w->job);
        if (other) {
            nd_job_put(w->job);
            nd_job_put(w->job);
            w->job = other;
            w->mine = false;
            return true;
        }
        const char *why = start(w->job);
        if (!why) {
            w->mine = false;
            *started = true;
            return true;
        }
        if (*why && nd_helper_count() == 0) {
            run_in_caller(w, why);
            return true;
        }
        if (deadline_passed(w->lookup))
            return false;
        wait_for(w, &helpers.ended, ended);
    }
}

static struct nd_job *leave(struct waiter *w) {
    w->lookup->expired = true;
    nd_drop(&w->held);
    release(&w->held);
    return NULL;
}

/* True: the thread is not waited for any longer. */
static bool is_over(struct waiter *w) {
    if (!deadline_passed(w->lookup))
        return false;
    nd_time now = nd_now();
    if (w->until == ND_NEVER)
        w->until = now - w->lookup->deadline > STOPPED ? nd_time_after(now, GRACE) : now;
    return now >= w->until;
}

/* A thread that its caller leaves may be stuck. */
static void note_no_progress(void) {
    lock_state();
    helpers.allowed = ND_HELPERS;
    helpers.progress = false;
    unlock_state();
}

static struct nd_job *wait_for_result(struct waiter *w) {
    bool started = false;
    if (!start_or_join(w, &started))
        return leave(w);
    struct nd_job *job = w->job;
    while (!__atomic_load_n(&job->done, __ATOMIC_ACQUIRE)) {
        if (is_over(w)) {
            note_no_progress();
            return leave(w);
        }
        wait_for(w, &job->done, 0);
    }
    if (started)
        nd_thread_wait_gone(job->tid);
    nd_drop(&w->held);
    free(w);
    return job;
}

struct nd_job *nd_job_run(struct nd_job *job, struct nd_lookup *lookup) {
    job->references = 2; /* the caller's and the thread's */
    job->done = job->tid = 0;
    job->h_err = h_errno;
    if (is_helper()) {
        run(job);
        nd_job_put(job);
        return job;
    }
    nd_lookup_deadline(lookup);
    struct nd_unfinished *unfinished = nd_unfinished_begin(lookup);
    struct waiter *w = malloc(sizeof *w);
    if (!w) {
        lookup->expired = true;
        job->free(job);
        job = NULL;
    } else {
        *w = (struct waiter){.held = {.release = release},
                             .unfinished = unfinished,
                             .lookup = lookup,
                             .job = job,
                             .until = ND_NEVER,
                             .mine = true};
        nd_hold(&w->held);
        job = wait_for_result(w);
    }
    nd_unfinished_end(unfinished);
    h_errno = job ? job->h_err : TRY_AGAIN;
    return job;
}

int nd_helper_count(void) {
    lock_state();
    int alive = helpers.alive;
    unlock_state();
    return alive;
}
