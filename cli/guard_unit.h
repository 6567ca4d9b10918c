/* Finds a systemd unit's cgroup. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#define GUARD_CGROUPS "/sys/fs/cgroup"

/* Puts into `out` the directory of the unit (its whole name) below `root`, in whatever slice it is: the one that is
 * nearest to the root, since a container may have a unit of the same name. Returns false where it has none now. */
bool guard_unit_find(const char *root, const char *unit, char *out, size_t size);
