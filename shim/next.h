/* Other libraries behind this one in the loader's search order, but before libc, that define functions which this one
 * hooks as well: preloaded wrappers (torsocks, proxychains, libmptcpwrap). The hooks' real calls go to them. */
#pragma once

#include <stdbool.h>

/* Whether there is any. */
extern bool nd_next_any __attribute__((visibility("hidden")));

/* Finds them. Called by the constructor, after nd_find_real. Not async-signal-safe. */
void nd_next_start(void);

/* Whether the code at an address is one of theirs. Async-signal-safe. */
bool nd_next_has(const void *code);

/* Whether the code that a hook calls is libc's. Async-signal-safe. */
bool nd_next_is_libc(const void *code);

/* Whether the function that a hook calls is not libc's own but another library's. */
#define nd_next_is(name) (nd_next_any && nd_next_has(*(void **)&nd_real.name))
