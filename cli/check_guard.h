/* The part of `netdeadline check` that tells what guard can do on this host for what the library does not reach. */
#pragma once

#include "cli/findings.h"

/* Reports whether this user may see and end the connections of a process from outside, by asking the kernel. */
void check_guard(struct findings *findings);
