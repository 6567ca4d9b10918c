/* What guard does about a single connection. */
#pragma once

#include "cli/guard_memory.h"
#include "cli/process/go_waits.h"

enum { GUARD_RECEIVERS = 64 };

/* The threads of a process that wait for input, each of one descriptor; and, for a Go program, its goroutines. */
struct guard_receivers {
    const struct guard_target *target;
    struct go_program *go;
    int fds[GUARD_RECEIVERS], count;
    bool is_64;
    bool has_input; /* input_look has begun to look at it */
};

void guard_receivers_find(struct guard_receivers *receivers, const struct guard_target *target);

/* Whether a thread waits for input of this connection. *receivers becomes the owner's. */
bool guard_is_receiving(struct guard_receivers *receivers, const struct watched *watched);

/* Decides about a connection by what the kernel told of it at `now`, and ends it where it is overdue; else sets when it
 * is due. */
void guard_decide(struct guard *guard, struct watch *watch, struct watched *watched,
                  const struct connection *connection, struct guard_receivers *receivers, nd_time now);

/* Asks the kernel of this connection alone, by a copy of the owner's descriptor, and decides. Where no copy is to be had
 * guard->is_blind is set. */
void guard_look_at_one(struct guard *guard, struct watch *watch, struct watched *watched,
                       struct guard_receivers *receivers);
