/* Name lookup with a deadline, on c-ares, with the answers of the host's glibc. A plain library: it knows nothing of
 * interposition and keeps nothing open between calls. Thread-safe. Nothing here is async-signal-safe. */
#ifndef ND_RESOLVER_RESOLVER_H
#define ND_RESOLVER_RESOLVER_H

#include <netdb.h>
#include <stdbool.h>

#include "base/clock.h"

/* What a lookup was allowed and what became of it. */
struct nd_lookup {
    nd_time deadline;     /* in: absolute; ND_NEVER for none; 0: from `limit` */
    nd_time limit;        /* in: relative; the clock is read, and deadline set, only when the lookup may wait */
    bool expired;         /* out: the deadline ended it; together with 0: one family had answered, the other had not */
    const char *libc_why; /* out: static text, set when the lookup must be left to libc; else NULL */
    bool unbounded;       /* out: libc was asked without a bound, as no thread was to be had */
    char *canonical;      /* in: NULL, or NI_MAXHOST bytes for the canonical name that nd_getaddrinfo meets */
    void (*begins)(struct nd_lookup *); /* in: told once the deadline stands, before anything waits; may be NULL */
    void *caller;                       /* in: for `begins` */
};

/* Returned instead of an EAI_ code when the host's configuration asks, for this name, for a source that only libc can
 * serve. Nothing has been allocated then, and lookup->libc_why says which. */
#define ND_LOOKUP_LIBC 1

/* lookup->deadline, counted from now where it has not been needed yet: a numeric address costs no look at the clock. */
static inline nd_time nd_lookup_deadline(struct nd_lookup *lookup) {
    if (lookup->deadline == 0) {
        lookup->deadline = nd_time_after(nd_now(), lookup->limit);
        if (lookup->begins)
            lookup->begins(lookup);
    }
    return lookup->deadline;
}

/* getaddrinfo(3) inside lookup->deadline. Returns 0, an EAI_ code (EAI_AGAIN at the deadline) or ND_LOOKUP_LIBC. On 0,
 * *res belongs to the caller and is laid out as glibc lays it out (one malloc per node with the sockaddr inside,
 * ai_canonname a malloc of its own on the first node only), so that libc's own freeaddrinfo frees it. */
int nd_getaddrinfo(const char *node, const char *service, const struct addrinfo *hints, struct addrinfo **res,
                   struct nd_lookup *lookup);

#endif
