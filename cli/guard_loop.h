/* guard's main loop, and guard as the companion of a program that `run` executes. */
#pragma once

#include "cli/guard_round.h"

/* Guards until there is nothing left to guard, or a signal ends it: SIGTERM, SIGINT. SIGHUP lets the settings be read
 * again. */
void guard_loop(struct guard *guard);

/* Begins to guard this process, and what it will execute, from a process of its own, which is no child of this one,
 * keeps none of its descriptors but standard error, is in another session, and ends with it. Returns once it guards: 0,
 * or -1 where it cannot. `beside_library`: processes under the library, this one among them, are left to that. */
int guard_this_process(bool beside_library);
