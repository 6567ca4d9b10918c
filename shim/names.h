/* What the hooks of name lookups share: the limit, and what the operator is told. */
#ifndef ND_NAMES_H
#define ND_NAMES_H

#include <stdbool.h>

#include "resolver/resolver.h"

/* Whether lookups are ours: RESOLVE is on and enforced. */
bool nd_names_bounded(void);

/* A lookup under RESOLVE. */
struct nd_lookup nd_names_begin(void);

/* Tells the operator what became of a lookup of `name` by `operation`: that its time was up, or, once in a process, that it was
 * left to libc. Keeps errno. */
void nd_names_end(const char *operation, const char *name, const struct nd_lookup *lookup);

/* MODE=observe: libc's own lookup, which began at `began`, has returned. Keeps errno. */
void nd_names_observe(const char *operation, const char *name, nd_time began);

/* Makes libc's call as it is, timed in MODE=observe. */
#define ND_NAMES_LIBC(type, operation, name, call)                                                                     \
    do {                                                                                                               \
        nd_time began_ = nd_observing ? nd_now() : 0;                                                                  \
        type given_ = call;                                                                                            \
        if (nd_observing)                                                                                              \
            nd_names_observe(operation, name, began_);                                                                 \
        return given_;                                                                                                 \
    } while (0)

#endif
