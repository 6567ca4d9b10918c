/* The calls that processes are blocked in: those that the library has recorded in its slots, and the socket calls that
 * /proc shows. */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "cli/process/block.h"

/* What escaped text needs beyond its own length: there is always room left for "...", which says that it was
 * shortened. */
enum { BLOCKED_CUT = sizeof "..." };

/* One call, one connection in trouble, or a process that has the library and is blocked in none. All text is
 * escaped. */
struct blocked {
    pid_t pid, tid; /* tid is 0 where the process waits for nothing */
    bool has_library;
    bool is_observed;
    int64_t waiting; /* ns; -1 where it is not known */
    int64_t left;    /* ns until the limit ends it if nothing more moves; -1 where none does */
    int64_t limit;   /* ns, as it is set; -1 where none bounds it */
    uint64_t bytes;  /* of MIN_RATE, in that time; else 0 */
    int fd;          /* -1 for none */
    char program[64], peer[320];
    char call[ND_OPERATION_NAME + BLOCKED_CUT], limit_name[2 * ND_OPERATION_NAME + BLOCKED_CUT];
};

struct blocked_list {
    struct blocked *entries;
    size_t count, room;
    unsigned denied; /* processes that may not be looked at */
};

/* Adds the calls that the process is blocked in, and, where it has no library, the connections that are connecting,
 * owe a reply or have not acknowledged anything for a second. `named` says that it was asked for by number, so that the
 * library is also looked for under other names. Returns what was found of the library. A process that ends meanwhile
 * adds fewer calls, or none. */
enum block_found blocked_collect(struct blocked_list *list, pid_t pid, bool named);

/* The same for all processes. */
void blocked_collect_all(struct blocked_list *list);

void blocked_free(struct blocked_list *list);
