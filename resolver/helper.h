/* Makes a lookup by libc's own function in a helper thread, which the caller leaves at its deadline: for names that the
 * host's configuration gives to a source that only libc can serve. The threads are detached, have all signals blocked
 * and the stack of a thread of the program's, and are never cancelled. At most 64 of them are alive; more where they
 * make progress: where one has ended while its caller still waited. Equal questions of several callers that see the
 * same host are one call of libc. A forked child begins without its parent's threads. */
#pragma once

#include "resolver/resolver.h"

#define ND_HELPERS 64                                   /* where none makes progress */
#define ND_MAX_HELPERS (sizeof(void *) > 4 ? 512 : 128) /* address space for their stacks is short in 32 bits */

/* A call with its own copy of the arguments and space for its results. */
struct nd_job {
    void (*run)(struct nd_job *);  /* make the call */
    void (*free)(struct nd_job *); /* the job and all that it owns */
    const char *key;               /* equal for equal questions; part of the job */
    size_t key_size;
    /* internal */
    struct nd_job *next;
    int references, done;
    int h_err; /* h_errno's value in the thread that asked first, then as the call left it */
    pid_t tid; /* of its thread; 0 until that has begun */
};

/* Runs `job` in a helper thread, or joins an equal one that is running. `job` belongs to the helper from here on.
 * Returns the finished job, which the caller releases with nd_job_put; NULL at the deadline (lookup->expired), also
 * where no thread became free until then. The thread is gone when this returns, unless others still use the job. The
 * call begins with the caller's h_errno, and leaves its own in it; TRY_AGAIN at the deadline.
 *
 * In a helper thread, that is for a module that makes a lookup of its own, the job is run at once: another thread would
 * wait for the module's locks. It is run in the caller, too, where there is no helper thread and none can be created;
 * then lookup->on_unbounded has been called. */
struct nd_job *nd_job_run(struct nd_job *job, struct nd_lookup *lookup);
void nd_job_put(struct nd_job *job);

/* Returns the number of threads alive; for tests. */
int nd_helper_count(void);
