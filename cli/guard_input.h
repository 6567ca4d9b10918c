/* Whether anybody waits for input of a connection. */
#pragma once

#include "cli/guard_memory.h"
#include "cli/process/input.h"

/* Whether the connection's owner, which is the program `go` if it is one in Go, waits for its input, or another process
 * that may have it by fork: one that the owner descends from, or that descends from it. *is_looked_at tells whether
 * input_look has begun to look at the owner, and is set. */
enum input guard_input(const struct guard_targets *targets, const struct watched *watched, struct go_program *go,
                       bool *is_looked_at);
