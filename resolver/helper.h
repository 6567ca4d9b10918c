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

/* The calls. The first argument is libc's function. Results, errno and h_errno are libc's; EAI_AGAIN or TRY_AGAIN at
 * the deadline. */
typedef int nd_getaddrinfo_fn(const char *, const char *, const struct addrinfo *, struct addrinfo **);
typedef int nd_gethostbyname2_r_fn(const char *, int, struct hostent *, char *, size_t, struct hostent **, int *);
typedef int nd_gethostbyaddr_r_fn(const void *, socklen_t, int, struct hostent *, char *, size_t, struct hostent **,
                                  int *);
typedef int nd_getnameinfo_fn(const struct sockaddr *, socklen_t, char *, socklen_t, char *, socklen_t, int);

int nd_helper_getaddrinfo(nd_getaddrinfo_fn *real, const char *node, const char *service, const struct addrinfo *hints,
                          struct addrinfo **res, struct nd_lookup *lookup);
int nd_helper_gethostbyname2_r(nd_gethostbyname2_r_fn *real, const char *name, int family, struct hostent *entry,
                               char *buffer, size_t size, struct hostent **result, int *h_err,
                               struct nd_lookup *lookup);
int nd_helper_gethostbyaddr_r(nd_gethostbyaddr_r_fn *real, const void *address, socklen_t length, int family,
                              struct hostent *entry, char *buffer, size_t size, struct hostent **result, int *h_err,
                              struct nd_lookup *lookup);
struct hostent *nd_helper_gethostbyname2(nd_gethostbyname2_r_fn *real, const char *name, int family,
                                         struct nd_lookup *lookup);
struct hostent *nd_helper_gethostbyaddr(nd_gethostbyaddr_r_fn *real, const void *address, socklen_t length, int family,
                                        struct nd_lookup *lookup);
int nd_helper_getnameinfo(nd_getnameinfo_fn *real, const struct sockaddr *address, socklen_t length, char *host,
                          socklen_t host_size, char *service, socklen_t service_size, int flags,
                          struct nd_lookup *lookup);

#endif
