/* Which addresses were last found for host names that the config file has sections for. Async-signal-safe, lock-free. */
#ifndef ND_SETTINGS_RESOLVED_NAMES_H
#define ND_SETTINGS_RESOLVED_NAMES_H

#include "shim/settings/rules.h"

/* The most addresses that are known at a time; a further one takes the place of the one that came first. */
enum { ND_RESOLVED_NAMES_ADDRESSES = 128 };

/* The address was found for a name that these rules have (none: for a name that nobody asked about). The last lookup counts. */
void nd_resolved_names_put(const struct in6_addr *address, const struct nd_rule_set *rules);

/* The rules of the name that the address was last found for; none where it is not known. */
struct nd_rule_set nd_resolved_names_get(const struct in6_addr *address);

#endif
