/* What processes are blocked in: the calls that the library notes in its slots, and the socket calls that /proc shows. */
#ifndef CLI_PROCESS_BLOCKED_H
#define CLI_PROCESS_BLOCKED_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "cli/process/block.h"

/* What escaped text needs beyond its own length, because it always leaves room to say that it was cut. */
enum { BLOCKED_CUT = sizeof "..." };

/* Text is escaped already. */
struct blocked {
    pid_t pid, tid; /* tid 0: the process has the library and waits for nothing */
    bool has_library;
    bool is_observed;
    int64_t waiting; /* ns; -1 where it is not known */
    int64_t left;    /* ns until the limit; -1 where there is none */
    int64_t limit;   /* ns; -1 where none, or several, bound it */
    int fd;          /* -1 for none */
    char program[64], peer[320];
    char call[ND_OPERATION_NAME + BLOCKED_CUT], limit_name[2 * ND_OPERATION_NAME + BLOCKED_CUT];
};

struct blocked_list {
    struct blocked *entries;
    size_t count, room;
    unsigned denied; /* processes that may not be looked at */
};

/* Adds what the process is blocked in. `named`: it was asked for by number, and is looked at thoroughly. Returns what was found
 * of the library. A process that ends meanwhile adds nothing, or less. */
enum block_found blocked_collect(struct blocked_list *list, pid_t pid, bool named);

/* The same for all processes. */
void blocked_collect_all(struct blocked_list *list);

void blocked_free(struct blocked_list *list);

#endif
