/* The processes that are guarded. */
#pragma once

#include "cli/guard_policy.h"
#include "cli/process/block.h"

struct guard_target {
    pid_t pid;
    int pidfd;
    pid_t parent;     /* as of when it was found */
    uint64_t started; /* in ticks since the system's start: it tells the process from a later one of its number */
    uint64_t namespace;
    bool is_named;    /* by its number, on the command line */
    bool is_listed;   /* in the cgroup that is guarded, as of the last look */
    bool is_taken;    /* whether it has the library or not */
    bool has_library; /* as of the last look at `executable` */
    struct guard_executable {
        uint64_t device, inode;
        nd_time seen; /* when it was first seen */
    } executable;
    unsigned connections; /* that it has, as of the last look */
    bool has_ended;       /* or has left the cgroup; it is freed by guard_targets_bury */
    struct guard_policy *policy;
};

/* Which processes are to be guarded. */
struct guard_choice {
    const pid_t *pids; /* these and their descendants */
    int pid_count;
    bool beside_library; /* also the named ones are left to the library that they have */
    const char *cgroup;  /* or those in this directory of the cgroup file system, and below */
    const char *unit;    /* or those of this systemd unit, whose directory may go, and come again elsewhere */
    bool all;            /* or all */
};

struct guard_targets {
    struct guard_choice choice;
    struct guard_target **entries;
    size_t count, room;
    char unit_cgroup[4096]; /* where the unit was found; "": nowhere yet */
    unsigned refused;       /* processes that a descriptor could not be opened of */
    int error;              /* of the last of these */
};

/* Takes the named processes. Returns an exit status, having warned. */
int guard_targets_start(struct guard_targets *targets, const struct guard_choice *choice);

/* Looks for processes that have come, marks those that have ended, and finds the policies anew. */
void guard_targets_refresh(struct guard_targets *targets);

/* Whether there is nothing left to guard, now or later. */
bool guard_targets_are_over(const struct guard_targets *targets);

/* Frees those that have ended: nothing may refer to them any more. */
void guard_targets_bury(struct guard_targets *targets);

/* The state block of the library at work in the process, until the next call; NULL where it is not. */
const struct block *guard_target_block(const struct guard_target *target);

/* Whether there is one. */
bool guard_target_has_library(const struct guard_target *target);

/* Whether it is left alone for that. */
bool guard_target_is_left(const struct guard_target *target);
