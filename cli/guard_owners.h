/* Finds whose the connections are. */
#pragma once

#include "cli/guard_watch.h"

/* Sets the owner of each connection in the last lists of the `count` namespaces, its descriptor there, and the settings
 * that hold for it; NULL where none of the processes has it: that is looked for again where `is_early`. */
void guard_owners_find(const struct guard_targets *targets, struct watch *watches, int count, bool is_early);

/* The same for the connections alone whose owner has not been looked for, after a look at all connections. Descriptors
 * in which that look has seen a connection again are not read. Returns whether one of them has an owner that was not
 * found. */
bool guard_owners_find_new(const struct guard_targets *targets, struct watch *watches, int count, bool is_early);
