/* The addresses that lookups have found for host names which the config file has sections for. All functions are
 * async-signal-safe and lock-free. */
#pragma once

#include "shim/settings/rules.h"

/* How many addresses are known at most; a further one replaces the oldest. */
enum { ND_RESOLVED_NAMES_ADDRESSES = 128 };

/* Notes that a lookup of a name that these rules hold for (none: a name without a section) found the address. The last
 * lookup counts. */
void nd_resolved_names_put(const struct in6_addr *address, const struct nd_rule_set *rules);

/* The rules for the name whose lookup found the address last; none where the address is not known. */
struct nd_rule_set nd_resolved_names_get(const struct in6_addr *address);
