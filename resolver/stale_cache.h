/* The last good answer for each name that this process has looked up, for STALE. Bounded: of 256 answers of up to 4 KB
 * the oldest ones give way. All are forgotten when resolv.conf, hosts or nsswitch.conf change. */
#pragma once

#include "base/clock.h"
#include "resolver/dns_packet.h"
#include "resolver/resolver.h"

/* The answers to one or two questions. Read-only; counted. */
struct nd_stale_answer {
    struct nd_dns_message messages[2]; /* bytes NULL: there is none */
    nd_time stored, fresh_until;       /* the latter by the records' TTL */
    int type;
    /* internal */
    int references;
    char *name;
};

/* The lookup as it is made while an answer from before could still be given: until a third of its limit, where there is
 * one. `lookup` has begun, and it is `now`. */
static inline struct nd_lookup nd_stale_limited(const struct nd_lookup *lookup, bool has_last, nd_time now) {
    struct nd_lookup limited = *lookup;
    if (has_last)
        limited.deadline = nd_time_sooner(lookup->deadline, nd_time_after(now, lookup->limit / 3));
    return limited;
}

/* A number that is another one after a change of these files. Makes three system calls. Keeps errno. */
uint64_t nd_stale_state(void);

/* Returns the answer to a question for `name` and `type` (of struct nd_search), released with nd_stale_put; NULL: there
 * is none, or it stopped being fresh more than `stale` before `now`. `state` is nd_stale_state(). Names are compared as DNS compares
 * them, without regard to case. */
struct nd_stale_answer *nd_stale_find(uint64_t state, const char *name, int type, nd_time stale, nd_time now);
void nd_stale_put(struct nd_stale_answer *answer);

/* Stores a copy of the answers; `state` is from before the question. Does nothing where there is no memory. */
void nd_stale_store(uint64_t state, const char *name, int type, const struct nd_dns_message answers[2], nd_time now);

/* The name has no answer any more. */
void nd_stale_forget(const char *name, int type);
