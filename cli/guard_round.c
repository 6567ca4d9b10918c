#include "cli/guard_round.h"

#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "cli/cli.h"
#include "cli/guard_decide.h"
#include "cli/guard_owners.h"
#include "cli/guard_schedule.h"
#include "cli/guard_state.h"
#include "cli/process/connections_open.h"
#include "cli/process/ending.h"

static struct watch *find_watch(struct guard *guard, const struct guard_target *target) {
    for (int i = 0; i < guard->watch_count; i++)
        if (guard->watches[i].namespace == target->namespace)
            return &guard->watches[i];
    if (guard->watch_count == GUARD_NAMESPACES || !target->namespace)
        return NULL;
    int netlink = connections_open(target->pid);
    if (netlink < 0) {
        if (!guard->is_quiet && !guard->has_warned && !process_has_ended(target->pidfd))
            cli_warn("cannot see the connections in the network namespace of process %d: %s", (int)target->pid,
                     strerror(errno));
        guard->has_warned = true;
        return NULL;
    }
    struct watch *watch = &guard->watches[guard->watch_count++];
    *watch = (struct watch){.namespace = target->namespace, .netlink = netlink};
    return watch;
}

static bool has_any_ended(const struct guard_targets *targets) {
    for (size_t i = 0; i < targets->count; i++)
        if (targets->entries[i]->has_ended)
            return true;
    return false;
}

static void forget_owners(struct watch *watch) {
    for (size_t at = 0; at < watch->size; at++)
        if (watch->slots[at] && watch->slots[at]->owner && watch->slots[at]->owner->has_ended) {
            watch->slots[at]->owner = NULL;
            watch->slots[at]->was_looked_for = false;
        }
}

/* Forgets the owners that have ended, and the namespaces that no process is left in. */
static void drop_ended(struct guard *guard) {
    const bool any = has_any_ended(&guard->targets);
    int kept = 0;
    for (int i = 0; i < guard->watch_count; i++) {
        struct watch *watch = &guard->watches[i];
        if (any)
            forget_owners(watch);
        if (watch->is_used)
            guard->watches[kept++] = *watch;
        else
            watch_free(watch);
    }
    guard->watch_count = kept;
    guard_targets_bury(&guard->targets);
}

/* The processor's time that this command has taken. */
static nd_time spent(void) {
    struct timespec time;
    return clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time) == 0 ? time.tv_sec * ND_SEC + time.tv_nsec : 0;
}

static void refresh(struct guard *guard, nd_time now) {
    const nd_time began = spent();
    guard_targets_refresh(&guard->targets);
    for (int i = 0; i < guard->watch_count; i++)
        guard->watches[i].is_used = false;
    for (size_t i = 0; i < guard->targets.count; i++) {
        const struct guard_target *target = guard->targets.entries[i];
        bool is_guarded = !target->has_ended && target->policy && !target->policy->passes;
        struct watch *watch = is_guarded ? find_watch(guard, target) : NULL;
        if (watch)
            watch->is_used = true;
    }
    drop_ended(guard);
    guard->refreshed = now;
    guard->refresh_cost = spent() - began;
}

static struct connection_list *list_of(struct watch *watch, enum connection_kind kind) {
    return kind == CONNECTIONS_ALL ? &watch->list : &watch->connecting;
}

static bool make_room(struct watch *watch, size_t count) {
    if (count <= watch->found_room)
        return true;
    struct watched **found = realloc(watch->found, 2 * count * sizeof(struct watched *));
    if (!found)
        return false;
    watch->found = found;
    watch->found_room = 2 * count;
    return true;
}

/* Takes what the kernel told of a connection. Returns whether its owner is to be looked for. */
static bool look_at(struct watch *watch, struct watched *watched, const struct connection *connection) {
    const bool was_inbound = watched->judge.inbound;
    judge_look(&watched->judge, connection, watch->read_at);
    /* it was accepted since, or closed, or other settings hold */
    if (connection->inode != watched->inode || watched->judge.inbound != was_inbound)
        watched->was_looked_for = false;
    watched->inode = connection->inode;
    return connection->inode && !watched->was_looked_for;
}

/* Takes a new list of the namespace. Returns whether a connection in it has an owner that has not been looked for. The
 * kernel tells how long ago bytes moved: the clock is read behind the list, so that what the reading took, or this
 * command waited for a processor, is not taken for silence. What a read that failed has given is not looked at. */
static bool look_there(struct watch *watch, enum connection_kind kind) {
    struct connection_list *list = list_of(watch, kind);
    const bool is_whole = connections_read(watch->netlink, kind, list) == 0;
    bool is_new = false;
    watch->read_at = nd_now();
    if (kind == CONNECTIONS_ALL) {
        watch->connecting.count = watch->present = 0;
        watch->look += is_whole;
    }
    if (!is_whole || !make_room(watch, list->count))
        list->count = 0;
    for (size_t at = 0; at < list->count; at++) {
        struct watched *watched = watch->found[at] = watch_find(watch, &list->entries[at], watch->read_at);
        if (!watched)
            continue;
        is_new |= look_at(watch, watched, &list->entries[at]);
        watch->present += kind == CONNECTIONS_ALL && watched->seen != watch->look;
        watched->seen = watch->look;
        watched->at = (uint32_t)at;
    }
    if (kind == CONNECTIONS_ALL && is_whole)
        watch_sweep(watch);
    return is_new;
}

static bool look(struct guard *guard, enum connection_kind kind) {
    bool is_new = false;
    for (int i = 0; i < guard->watch_count; i++)
        is_new |= look_there(&guard->watches[i], kind);
    return is_new;
}

/* Counts each process's connections, which a look at all has found. */
static void count_connections(struct guard *guard) {
    for (size_t i = 0; i < guard->targets.count; i++)
        guard->targets.entries[i]->connections = 0;
    for (int i = 0; i < guard->watch_count; i++)
        for (size_t at = 0; at < guard->watches[i].size; at++)
            if (guard->watches[i].slots[at] && guard->watches[i].slots[at]->owner)
                guard->watches[i].slots[at]->owner->connections++;
}

static void decide_all(struct guard *guard, enum connection_kind kind) {
    struct guard_receivers receivers = {.target = NULL};
    count_connections(guard);
    for (int i = 0; i < guard->watch_count; i++) {
        struct watch *watch = &guard->watches[i];
        const struct connection_list *list = list_of(watch, kind);
        for (size_t at = 0; at < list->count; at++)
            if (watch->found[at])
                guard_decide(guard, watch, watch->found[at], &list->entries[at], &receivers, watch->read_at);
    }
}

/* Reads the descriptors of all processes. */
static void scan(struct guard *guard, bool is_early, nd_time now) {
    const nd_time began = spent();
    guard_owners_find(&guard->targets, guard->watches, guard->watch_count, is_early);
    guard->is_scan_wanted = false;
    guard->scanned = now;
    guard->scan_cost = spent() - began;
}

/* Finds the owners of connections that are new, by the descriptors that have come; by all of them where that does not
 * tell whose each is, and from time to time. */
static void find_owners(struct guard *guard, bool is_new, bool is_early, nd_time now) {
    if (is_new && now < guard_schedule_scan(guard, false) &&
        guard_owners_find_new(&guard->targets, guard->watches, guard->watch_count, is_early))
        guard->is_scan_wanted = true;
    if (now >= guard_schedule_scan(guard, guard->is_scan_wanted))
        scan(guard, is_early, now);
}

static void look_at_all(struct guard *guard, enum connection_kind kind, nd_time now) {
    const nd_time began = spent();
    bool is_new = look(guard, kind);
    if (is_new && kind == CONNECTIONS_CONNECTING) { /* in whose descriptors others may have been a moment ago */
        kind = CONNECTIONS_ALL;
        is_new = look(guard, kind);
    }
    const bool is_early =
        guard->is_blind && now - guard->refreshed < GUARD_SHORTEST_PACE; /* looks are very near each other */
    if (is_new && !is_early)
        refresh(guard, now);
    find_owners(guard, is_new, is_early, now);
    if (kind == CONNECTIONS_ALL) {
        guard->due = ND_NEVER;
        guard->is_blind = false;
    }
    decide_all(guard, kind);
    guard->looked_at_connecting = now;
    if (kind != CONNECTIONS_ALL)
        return;
    guard->looked = now;
    guard->cost = spent() - began;
}

/* Looks at those that are due, one by one. */
static void look_at_due(struct guard *guard, nd_time now) {
    struct guard_receivers receivers = {.target = NULL};
    const nd_time began = spent();
    guard->due = ND_NEVER;
    for (int i = 0; i < guard->watch_count; i++) {
        struct watch *watch = &guard->watches[i];
        for (size_t at = 0; at < watch->size; at++) {
            struct watched *watched = watch->slots[at];
            if (watched && watched->due <= now)
                guard_look_at_one(guard, watch, watched, &receivers);
            else if (watched)
                guard->due = nd_time_sooner(guard->due, watched->due);
        }
    }
    guard->looked_at_due = now;
    guard->due_cost = spent() - began;
}

/* Whether it is to be known if a call waits for the connection: it has been silent for some of RECV's time, and owes no
 * reply that RECV runs for anyway. */
static bool asks_for_calls(struct watch *watch, const struct watched *watched, nd_time now) {
    const struct connection *connection = watched->settings ? watch_listed(watch, watched) : NULL;
    return connection && judge_asks_for_calls(&watched->judge, connection, watched->settings, now);
}

/* Notes which connections of a process a call waits for, and looks at these: bytes that came since tell that the call is
 * another. */
static void look_at_calls_of(struct guard *guard, struct watch *watch, const struct guard_target *target, nd_time now) {
    struct guard_receivers receivers;
    guard_receivers_find(&receivers, target);
    for (size_t at = 0; at < watch->size; at++) {
        struct watched *watched = watch->slots[at];
        if (!watched || watched->owner != target || !asks_for_calls(watch, watched, now))
            continue;
        if (guard_is_receiving(&receivers, watched))
            guard_look_at_one(guard, watch, watched, &receivers);
        else
            judge_receiving(&watched->judge, false, now);
    }
}

static void look_at_calls(struct guard *guard, nd_time now) {
    const nd_time began = spent();
    for (size_t i = 0; i < guard->targets.count; i++) {
        struct guard_target *target = guard->targets.entries[i];
        if (!target->policy || target->policy->passes || target->policy->shortest.recv == ND_NEVER)
            continue;
        for (int j = 0; j < guard->watch_count; j++)
            if (guard->watches[j].namespace == target->namespace)
                look_at_calls_of(guard, &guard->watches[j], target, now);
    }
    guard->looked_at_calls = now;
    guard->calls_cost = nd_time_sooner(guard->last_calls_cost, spent() - began); /* the first is dear, once */
    guard->last_calls_cost = spent() - began;
}

/* Lets the settings of each connection be found again. */
static void forget_settings(struct guard *guard) {
    for (int i = 0; i < guard->watch_count; i++)
        for (size_t at = 0; at < guard->watches[i].size; at++)
            if (guard->watches[i].slots[at]) {
                guard->watches[i].slots[at]->owner = NULL;
                guard->watches[i].slots[at]->settings = NULL;
                guard->watches[i].slots[at]->was_looked_for = false;
            }
    guard->looked = guard->scanned = guard->refreshed = 0;
}

/* After a round that begins so late this command was stopped (SIGSTOP, a frozen cgroup), or had no processor. */
#define LATE ND_SEC

static void resume(struct guard *guard, nd_time now) {
    for (int i = 0; i < guard->watch_count; i++)
        for (size_t at = 0; at < guard->watches[i].size; at++)
            if (guard->watches[i].slots[at])
                judge_resume(&guard->watches[i].slots[at]->judge, now);
}

nd_time guard_round(struct guard *guard) {
    const nd_time now = nd_now();
    if (guard->planned && now - guard->planned > LATE)
        resume(guard, now);
    if (guard_state_take()) {
        forget_settings(guard);
        guard_policies_change();
    }
    if (!guard->refreshed || now >= guard_schedule(guard).refresh)
        refresh(guard, now);
    const struct guard_schedule next = guard_schedule(guard);
    if (!guard->looked || now >= next.all || (guard->is_blind && now >= next.due)) {
        look_at_all(guard, CONNECTIONS_ALL, now);
    } else {
        if (now >= next.connecting)
            look_at_all(guard, CONNECTIONS_CONNECTING, now);
        if (now >= next.calls)
            look_at_calls(guard, now);
        if (now >= next.due)
            look_at_due(guard, now);
    }
    const struct guard_schedule then = guard_schedule(guard);
    guard->planned = nd_time_sooner(nd_time_sooner(then.refresh, then.all),
                                    nd_time_sooner(then.connecting, nd_time_sooner(then.due, then.calls)));
    return guard->planned;
}

void guard_start(void) {
    const struct guard_policy *own = guard_policy_of(getpid());
    if (own)
        guard_state_start(&own->settings);
}

void guard_reload(struct guard *guard) {
    forget_settings(guard);
    guard_state_forget();
    guard_policies_forget();
    guard_targets_refresh(&guard->targets);
    guard_start();
}
