/* What the hooks of name lookups share: the limit, the slot, and the report of an expiry. */
#pragma once

#include <stdbool.h>

#include "base/clock.h"
#include "base/compiler.h"
#include "base/frame.h"
#include "resolver/resolver.h"
#include "shim/mode.h"
#include "shim/report/slots.h"
#include "shim/socket/profile.h"

/* Whether lookups of `name` (NULL: of an address) are bounded: RESOLVE is set for it, and enforced. */
bool nd_lookup_is_bounded(const char *name);

/* The same for lookups of addresses to connect to, which ESTABLISH bounds, too. */
bool nd_lookup_to_connect_is_bounded(const char *name);

/* A lookup in progress. Its slot is taken when it may wait: a numeric address needs neither a slot nor the clock. */
struct nd_lookup_use {
    const uintptr_t *frame;
    enum nd_call operation;
    const char *name;
    bool begun; /* the slot has been taken */
    struct nd_slot_use slot;
    nd_time establish;       /* ESTABLISH, where it bounds the lookup; else 0 */
    nd_time establish_began; /* its budget */
    int family;              /* that the lookup asks for */
};

/* Begins a lookup of `name` under RESOLVE, in the frame of the function that uses this. */
#define nd_lookup_begin(use, operation, name) nd_lookup_begin_in(ND_FRAME_SLOT(), use, operation, name)
struct nd_lookup nd_lookup_begin_in(const uintptr_t *frame, struct nd_lookup_use *use, enum nd_call operation,
                                    const char *name);

/* Called after nd_lookup_begin where the program looks for addresses to connect to: ESTABLISH bounds the lookup, too. */
void nd_lookup_to_connect(struct nd_lookup_use *use, struct nd_lookup *lookup, int family);

/* Whether the config file has sections for host names, or ESTABLISH is on, for which the results of lookups are
 * recorded. */
static inline bool nd_lookup_results_wanted(void) {
    return nd_unlikely(nd_rules.has_names || nd_settings.establish || nd_profile_has_establish) && nd_active;
}

/* Records the result of a lookup of `name`, where it is wanted. `use`: the lookup, or NULL where libc has made it.
 * `canonical`: the canonical name, where the result does not have it. */
void nd_lookup_found(const struct nd_lookup_use *use, const char *name, const char *canonical,
                     const struct addrinfo *list);
void nd_lookup_found_host(const struct nd_lookup_use *use, const char *name, const struct hostent *host);

/* Ends the lookup, and reports that it expired or, once in a process, that it was left to libc. Keeps errno. */
void nd_lookup_end(struct nd_lookup_use *use, const char *name, struct nd_lookup *lookup);

/* What the program gets for `code` of getaddrinfo or `h_err` of the others: RESOLVE_ERROR=fail makes an error that is
 * not worth another try of a lookup that has expired. */
int nd_lookup_code(const struct nd_lookup *lookup, int code);
int nd_lookup_h_err(const struct nd_lookup *lookup, int h_err);

/* As nd_lookup_h_err, for h_errno. */
void nd_lookup_set_h_errno(const struct nd_lookup *lookup);

/* MODE=observe: takes the slot of a lookup that libc makes itself, in the hook's `frame`. False in the other modes. */
static inline bool nd_lookup_observe(const uintptr_t *frame, struct nd_slot_use *use, enum nd_call operation,
                                     const char *name) {
    bool observed = nd_observing;
    if (observed)
        nd_slot_begin_in(frame, use, operation, -1, nd_now(), ND_NEVER, ND_LIMIT_RESOLVE, name);
    return observed;
}

/* Ends that slot, and reports the lookup where RESOLVE would have expired. Keeps errno. */
void nd_lookup_observed(struct nd_slot_use *use, const char *name);

/* The result of `call`, libc's own function, observed in MODE=observe. */
#define nd_lookup_by_libc(operation, name, call)                                                                       \
    ({                                                                                                                 \
        struct nd_slot_use use_;                                                                                       \
        bool observed_ = nd_lookup_observe(ND_FRAME_SLOT(), &use_, operation, name);                                   \
        __typeof__(call) result_ = call;                                                                               \
        if (observed_)                                                                                                 \
            nd_lookup_observed(&use_, name);                                                                           \
        result_;                                                                                                       \
    })
