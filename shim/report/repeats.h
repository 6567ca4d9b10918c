/* Lookups that a program repeats when they have expired, some for ever: how often one name did so in a row. The last
 * few names are remembered, by a hash. Thread-safe, allocates nothing. */
#pragma once

#include <stdatomic.h>

#include "base/compiler.h"

extern _Atomic unsigned nd_repeats_any;

/* A lookup of `name` has expired. Returns the how many-th it is since one of this name ended in another way. */
unsigned nd_repeats_add(const char *name);

/* A lookup of `name` has ended in another way. */
void nd_repeats_forget(const char *name);

static inline void nd_repeats_ended(const char *name) {
    if (nd_unlikely(atomic_load_explicit(&nd_repeats_any, memory_order_relaxed)))
        nd_repeats_forget(name);
}
