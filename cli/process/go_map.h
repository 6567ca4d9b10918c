/* The maps of Go programs, as far as is needed to know whose elements one has. */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

/* Whether what stands at `map` looks like a map[uint32]*T, whichever runtime has made it, whose elements have `holder`
 * among their first words. Whether it is one is not known: other memory is read like a map, and has no such elements. */
bool go_map_has_elements_of(pid_t pid, uint64_t map, uint64_t holder);
