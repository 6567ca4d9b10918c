/* STALE: a name is looked up in DNS, and where the name servers say nothing the last good answer is given. */
#pragma once

#include "resolver/dns_search.h"

/* nd_search, where search->lookup->stale is set and there is an answer from before by a third of the lookup's limit.
 * search->lookup->gave_stale says that it was given; `ask` has it then, and the lookup has not expired. */
bool nd_search_or_stale(struct nd_search *search, const char *name);
