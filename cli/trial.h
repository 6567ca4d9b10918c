/* A trial of the line for /etc/ld.so.preload, before it is written for everybody. */
#pragma once

#include <stddef.h>

#include "cli/findings.h"

/* Runs a set of this host's programs in a mount namespace of their own, where /etc/ld.so.preload, which must exist, holds
 * `text`, and each also with what it holds now. Reports those that end otherwise or say something else with it, as bad, and
 * it is bad where the shell has no library then. Nothing on the host is changed. */
void trial_run(const char *text, size_t size, struct findings *findings);

/* The same for the shell alone, with what the host's file holds. */
void trial_shell(struct findings *findings);
