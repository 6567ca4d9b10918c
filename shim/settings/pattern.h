/* Names with wildcards, as the config file has them. Async-signal-safe. */
#ifndef ND_SETTINGS_PATTERN_H
#define ND_SETTINGS_PATTERN_H

#include <stdbool.h>

#include "base/words.h"

/* Whether `name` is what `pattern` says: `*` stands for any characters, `?` for one, everything else for itself. */
bool nd_pattern_matches(struct nd_word pattern, const char *name);

/* The same for host names: without regard to case, and to a dot at the end of `name`. */
bool nd_pattern_matches_host(struct nd_word pattern, const char *name);

bool nd_pattern_has_wildcard(struct nd_word pattern);

#endif
