#include "resolver/helper.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/valgrind.h"
#include "resolver/lock.h"
#include "resolver/thread.h"

#pragma weak pthread_setcancelstate /* NULL in a program without libpthread (glibc < 2.34) */

/* The state of one process: a forked child, which has none of these threads, begins with an empty one. */
static struct {
    int lock;
    pid_t owner;
    struct nd_job *running;
    int alive;
    int ended; /* incremented when a thread ends; a futex for callers that wait for a free thread */
} helpers;

static void lock_state(void) {
    nd_lock(&helpers.lock);
    pid_t self = getpid();
    if (helpers.owner != self) {
        helpers.owner = self;
        helpers.running = NULL;
        helpers.alive = 0;
    }
}

static void unlock_state(void) {
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
    nd_valgrind_hide(); /* the thread's end shows them again */
    if (pthread_setcancelstate)
        pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, NULL);
    job->run(job);
    lock_state();
    unlink_job(job);
    helpers.alive--;
    __atomic_add_fetch(&helpers.ended, 1, __ATOMIC_RELEASE);
    unlock_state();
    __atomic_store_n(&job->done, 1, __ATOMIC_RELEASE);
    nd_futex_wake(&job->done);
    nd_futex_wake(&helpers.ended);
    nd_job_put(job);
    return NULL;
}

enum outcome { STARTED, JOINED, FULL };

static enum outcome start_or_join(struct nd_job **job) {
    struct nd_job *mine = *job, *other;
    lock_state();
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
    unlock_state();
    if (outcome == JOINED) {
        mine->free(mine);
        *job = other;
    }
    return outcome;
}

/* No thread can be created: the caller makes the call itself, without a limit. Others may have joined meanwhile. */
static struct nd_job *run_in_caller(struct nd_job *job) {
    job->run(job);
    lock_state();
    unlink_job(job);
    helpers.alive--;
    unlock_state();
    __atomic_store_n(&job->done, 1, __ATOMIC_RELEASE);
    nd_futex_wake(&job->done);
    nd_job_put(job); /* the thread's reference */
    return job;
}

static bool deadline_passed(struct nd_lookup *lookup) {
    return nd_lookup_deadline(lookup) != ND_NEVER && nd_now() >= lookup->deadline;
}

struct nd_job *nd_job_run(struct nd_job *job, struct nd_lookup *lookup) {
    enum outcome outcome;
    int old_state = 0;
    nd_lookup_deadline(lookup);
    job->references = 2; /* the caller's and the thread's */
    job->done = 0;
    for (;;) {
        int ended = __atomic_load_n(&helpers.ended, __ATOMIC_ACQUIRE);
        outcome = start_or_join(&job);
        if (outcome != FULL)
            break;
        if (deadline_passed(lookup)) {
            lookup->expired = true;
            job->free(job);
            return NULL;
        }
        nd_futex_wait(&helpers.ended, ended, lookup->deadline);
    }
    if (pthread_setcancelstate)
        pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &old_state);
    if (outcome == STARTED && !nd_thread_start(thread_main, job)) {
        lookup->unbounded = true;
        run_in_caller(job);
    }
    while (!__atomic_load_n(&job->done, __ATOMIC_ACQUIRE)) {
        if (deadline_passed(lookup)) {
            lookup->expired = true;
            nd_job_put(job);
            job = NULL;
            break;
        }
        nd_futex_wait(&job->done, 0, lookup->deadline);
    }
    if (pthread_setcancelstate)
        pthread_setcancelstate(old_state, NULL);
    return job;
}

int nd_helper_count(void) {
    lock_state();
    int alive = helpers.alive;
    unlock_state();
    return alive;
}
