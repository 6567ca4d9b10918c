/* The settings that hold for the programs that are guarded: one policy for each program's names. */
#pragma once

#include "cli/process/connections.h"
#include "shim/report/expiry_count.h"
#include "shim/settings/rules.h"

/* What one combination of sections comes to. */
struct guard_profile {
    struct guard_profile *next;
    struct nd_rule_set rules;
    bool inbound;
    struct nd_settings settings;
};

struct guard_policy {
    struct guard_policy *next;
    struct nd_program program;
    struct nd_settings settings;
    bool passes;     /* ONLY, SKIP or MODE=off leave the program alone */
    bool is_skipped; /* ONLY or SKIP do */
    /* The shortest of its limits; ND_NEVER where all are off. */
    struct guard_shortest {
        nd_time connect;
        nd_time recv;    /* runs also while a call is seen to be blocked */
        nd_time sampled; /* SEND, LIFETIME, MIN_RATE: what they run since is known only as well as looks are apart */
        nd_time timed;   /* the others: the kernel tells how long ago bytes moved, or what is outstanding was sent */
        nd_time keepalive;
    } shortest;
    struct guard_profile *profiles;
    struct nd_rules rules;
};

/* The policy of the process's program, made at its first use of the config file and this command's environment. NULL
 * without memory, or for one name too many. It is kept until guard_policies_forget. */
struct guard_policy *guard_policy_of(pid_t pid);

/* Forgets all policies, so that the config file is read again. */
void guard_policies_forget(void);

/* Puts what was set since (guard_state.h) into all policies. What guard_policy_settings has returned is freed. */
void guard_policies_change(void);

/* Where the limit of this name was set that holds for a connection of the program's. */
struct nd_set_where guard_policy_where(const struct guard_policy *policy, const struct connection *connection,
                                       bool inbound, const char *limit);

/* The settings that hold for a connection of the program's. */
const struct nd_settings *guard_policy_settings(struct guard_policy *policy, const struct connection *connection,
                                                bool inbound);
