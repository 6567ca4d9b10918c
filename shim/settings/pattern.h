/* Names with wildcards, as the config file has them. All functions are async-signal-safe. */
#pragma once

#include "base/words.h"

/* Whether `name` matches `pattern`: `*` stands for any number of characters, `?` for one, every other character for
 * itself. */
bool nd_pattern_matches(struct nd_word pattern, const char *name);

/* The same for host names: ignores case, and a dot at the end of `name`. */
bool nd_pattern_matches_host(struct nd_word pattern, const char *name);

/* Whether the pattern has a `*` or a `?`. */
bool nd_pattern_has_wildcard(struct nd_word pattern);
