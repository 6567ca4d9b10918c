/* What guard does again and again: looks at the connections of its processes, and ends those that are overdue. */
#pragma once

#include "cli/guard_memory.h"

/* Looks, and acts on what it sees. Returns when to call it again; it does no more work then than it must. */
nd_time guard_round(struct guard *guard);

/* Shows the settings to `netdeadline set`. Called before the first look. */
void guard_start(void);

/* Lets the settings be read again. */
void guard_reload(struct guard *guard);
