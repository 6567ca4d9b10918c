/* Name lookups with a deadline, made with c-ares, with the answers of the host's glibc. A plain library: it knows
 * nothing of interposition and keeps nothing open between calls. Thread-safe, not async-signal-safe. */
#pragma once

#include <netdb.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/clock.h"

/* The limit of one lookup, and its outcome. */
struct nd_lookup {
    nd_time deadline; /* in: absolute; ND_NEVER for none; 0: computed from `limit` at the first use */
    nd_time limit;    /* in: relative; the clock is read, and deadline set, only when the lookup may wait */
    nd_time longest;  /* in: what `limit` may become where libc's own patience is greater; 0: it stays as it is */
    nd_time stale;    /* in: how old the last good answer may be that is given where the servers say nothing; 0: none */
    nd_time stale_age;    /* out, with gave_stale: how long ago it was received */
    bool gave_stale;      /* out: such an answer was given, or is among those given */
    bool expired;         /* out: the deadline ended the lookup; with result 0: only one of two families was answered */
    const char *libc_why; /* out: static text, set when the lookup must be left to libc; else NULL */
    bool prefers_ipv6;    /* out, with libc_why: gethostbyname gives IPv6 addresses here (resolv.conf's inet6) */
    bool is_part;         /* in: a connect follows under the same deadline: where one of two families was answered, the
                             other is waited for during half of the remaining time at most */
    char *canonical;      /* in: NULL, or NI_MAXHOST bytes for the canonical name that nd_getaddrinfo finds */
    void (*on_start)(struct nd_lookup *); /* in: called when the deadline is set, before any wait, and again where it is
                                             put off; may be NULL */
    /* in: called before libc makes the lookup without a limit, with why there is no thread (static); may be NULL */
    void (*on_unbounded)(struct nd_lookup *, const char *why);
    /* in: called when a signal, or what looks like one, has interrupted a wait; may change the deadline; may be NULL */
    void (*on_interrupted)(struct nd_lookup *);
    void *caller;        /* in: for the calls above */
    uint64_t signals;    /* internal: the program's mask of signals while it waits */
    bool blocks_signals; /* internal */
};

/* Returned instead of an EAI_ code when the host's configuration asks, for this name, for a source that only libc can
 * serve. Nothing has been allocated then, and lookup->libc_why says which. */
#define ND_LOOKUP_LIBC 1

/* Puts the deadline off where lookup->longest allows it: to the time that libc would wait for an answer to one name,
 * with the servers, timeout and attempts of `conf` (NULL: of resolv.conf). A limit that nobody has set ends nothing
 * that libc would have got an answer to. Once in a lookup. */
struct nd_resolv_conf;
void nd_lookup_extend(struct nd_lookup *lookup, const struct nd_resolv_conf *conf);

/* The same where libc's patience is known. */
void nd_lookup_extend_to(struct nd_lookup *lookup, nd_time patience);

/* Clears what an earlier function's lookup has left to say. */
static inline void nd_lookup_reset(struct nd_lookup *lookup) {
    lookup->expired = false;
    lookup->libc_why = NULL;
}

/* Returns lookup->deadline, set at the first call: the lookup of a numeric address does not read the clock. */
static inline nd_time nd_lookup_deadline(struct nd_lookup *lookup) {
    if (lookup->deadline == 0) {
        lookup->deadline = nd_time_after(nd_now(), lookup->limit);
        if (lookup->on_start)
            lookup->on_start(lookup);
    }
    if (lookup->libc_why && lookup->longest) /* a helper thread is about to ask libc */
        nd_lookup_extend(lookup, NULL);
    return lookup->deadline;
}

static inline void nd_lookup_interrupted(struct nd_lookup *lookup) {
    if (lookup->on_interrupted)
        lookup->on_interrupted(lookup);
}

/* A handler that leaves a lookup by siglongjmp would take it out of malloc or a lock: from the first file that it reads
 * until nd_signals_restore signals are delivered only while it waits. Whoever began the lookup calls
 * nd_signals_restore when it is over. Both keep errno. */
void nd_signals_block(struct nd_lookup *lookup);
void nd_signals_restore(struct nd_lookup *lookup);

/* getaddrinfo(3) inside lookup->deadline. Returns 0, an EAI_ code (EAI_AGAIN at the deadline) or ND_LOOKUP_LIBC. On 0,
 * *res belongs to the caller and is laid out as libc lays it out (glibc: one malloc per node with the sockaddr inside,
 * ai_canonname a malloc of its own on the first node only; musl: one block), so that libc's own freeaddrinfo frees it.
 * */
int nd_getaddrinfo(const char *node, const char *service, const struct addrinfo *hints, struct addrinfo **res,
                   struct nd_lookup *lookup);

/* getnameinfo(3): 0, an EAI_ code or ND_LOOKUP_LIBC. */
int nd_getnameinfo(const struct sockaddr *address, socklen_t length, char *host, socklen_t host_size, char *service,
                   socklen_t service_size, int flags, struct nd_lookup *lookup);
