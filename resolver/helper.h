/* Makes a lookup by libc's own function in a helper thread, which the caller leaves at its deadline: for names that the
 * host's configuration gives to a source that only libc can serve. The threads are detached, have all signals blocked
 * and a small stack, are never cancelled, and are at most 64. Equal questions of several callers are one call of libc.
 * A forked child begins without its parent's threads. Where the program has no libpthread (glibc < 2.34), the call is
 * made without a limit. */
#ifndef ND_RESOLVER_HELPER_H
#define ND_RESOLVER_HELPER_H

#include "resolver/resolver.h"

#define ND_MAX_HELPERS 64

/* A call with its own copy of the arguments and space for its results. */
struct nd_job {
    void (*run)(struct nd_job *);  /* make the call */
    void (*free)(struct nd_job *); /* the job and all that it owns */
    const char *key;               /* equal for equal questions; part of the job */
    size_t key_size;
    /* internal */
    struct nd_job *next;
    int references, done;
};

/* Runs `job` in a helper thread, or joins an equal one that is running. `job` belongs to the helper from here on.
 * Returns the finished job, which the caller releases with nd_job_put; NULL at the deadline (lookup->expired), also
 * where no thread became free until then. */
struct nd_job *nd_job_run(struct nd_job *job, struct nd_lookup *lookup);
void nd_job_put(struct nd_job *job);

/* Returns the number of threads alive; for tests. */
int nd_helper_count(void);

#endif
