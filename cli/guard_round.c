#include "cli/guard_round.h"

#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "cli/cli.h"
#include "cli/guard_owners.h"
#include "cli/guard_report.h"
#include "cli/guard_state.h"
#include "cli/process/ending.h"
#include "cli/process/processes.h"
#include "cli/process/system_call.h"

/* All connections are looked at every tenth of the shortest limit, within these bounds; and besides when a limit is
 * due, as long as that takes no more than this part of a processor. */
#define SHARE_OF_LIMIT 10
#define SHORTEST_PACE (250 * ND_MSEC)
#define LONGEST_PACE (6 * ND_SEC)
#define SHARE_OF_PROCESSOR 50
#define SHORTEST_GAP (20 * ND_MSEC)

/* Connects, whose age the kernel tells exactly, need only be found before they are due. */
#define CONNECTS_PER_LIMIT 4
#define LONGEST_CONNECT_PACE (2500 * ND_MSEC)

/* How often processes are looked for where nothing asks for it: as often as this part of a processor allows, within
 * SHORTEST_PACE and LONGEST_PACE; and how often the owners of connections are. */
#define REFRESH_SHARE 500
#define SCAN_PACE (30 * ND_SEC)

/* For how long a connection that could not be ended is left alone. */
#define SPARED (30 * ND_SEC)

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

/* Forgets the owners that have ended, and the namespaces that no process is left in. */
static void drop_ended(struct guard *guard) {
    int kept = 0;
    for (int i = 0; i < guard->watch_count; i++) {
        struct watch *watch = &guard->watches[i];
        for (size_t at = 0; at < watch->size; at++)
            if (watch->slots[at] && watch->slots[at]->owner && watch->slots[at]->owner->has_ended) {
                watch->slots[at]->owner = NULL;
                watch->slots[at]->was_looked_for = false;
            }
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

/* Takes a new list of each namespace. Returns whether a connection in it has an owner that has not been looked for. The
 * kernel tells how long ago bytes moved: the clock is read behind the list, so that what the reading took, or this
 * command waited for a processor, is not taken for silence. */
static bool look(struct guard *guard, enum connection_kind kind) {
    bool is_new = false;
    for (int i = 0; i < guard->watch_count; i++) {
        struct watch *watch = &guard->watches[i];
        const bool is_whole = connections_read(watch->netlink, kind, &watch->list) == 0;
        const nd_time now = watch->read_at = nd_now();
        if (!is_whole)
            continue; /* what a read that failed has given is looked at all the same */
        for (size_t at = 0; at < watch->list.count; at++) {
            const struct connection *connection = &watch->list.entries[at];
            struct watched *watched = watch_find(watch, connection, now);
            if (!watched)
                continue;
            const bool was_inbound = watched->judge.inbound;
            judge_look(&watched->judge, connection, now);
            /* it was accepted since, or closed, or other settings hold */
            if (connection->inode != watched->inode || watched->judge.inbound != was_inbound)
                watched->was_looked_for = false;
            watched->inode = connection->inode;
            watched->is_present = true;
            is_new |= connection->inode && !watched->was_looked_for;
        }
        if (kind == CONNECTIONS_ALL)
            watch_sweep(watch);
    }
    return is_new;
}

static bool is_observing(const struct guard_target *owner) {
    return owner->policy->settings.mode == ND_MODE_OBSERVE;
}

static int set_number(int fd, int level, int name, int value) {
    return setsockopt(fd, level, name, &value, sizeof value);
}

/* Puts KEEPALIVE's options on a connection whose program has not switched keepalive on itself, as the library does. */
static void prepare(struct watched *watched) {
    const struct nd_limits *limits =
        watched->judge.inbound ? &watched->settings->inbound : &watched->settings->outbound;
    const nd_time limit = limits->keepalive;
    const nd_time idle = (limit + ND_SEC - 1) / ND_SEC, interval = idle < 20 ? 1 : idle / 10;
    int own = 0;
    socklen_t length = sizeof own;
    watched->is_prepared = true;
    if (!limit || is_observing(watched->owner))
        return;
    int copy = ending_copy(watched->owner->pidfd, watched->fd, watched->cookie);
    if (copy < 0)
        return;
    if (getsockopt(copy, SOL_SOCKET, SO_KEEPALIVE, &own, &length) == 0 && own == 0 &&
        set_number(copy, IPPROTO_TCP, TCP_KEEPCNT, 5) == 0 &&
        set_number(copy, IPPROTO_TCP, TCP_KEEPINTVL, interval > 32767 ? 32767 : (int)interval) == 0 &&
        set_number(copy, IPPROTO_TCP, TCP_KEEPIDLE, idle > 32767 ? 32767 : (int)idle) == 0)
        set_number(copy, SOL_SOCKET, SO_KEEPALIVE, 1);
    close(copy);
}

/* The threads of a process that wait for input. */
struct receivers {
    const struct guard_target *target;
    int fds[64], count;
    bool is_64;
};

static void note_receiver(pid_t tid, void *arg) {
    struct receivers *receivers = arg;
    int fd = receivers->count < 64 ? system_call_receives_from(receivers->target->pid, tid, receivers->is_64) : -1;
    if (fd >= 0)
        receivers->fds[receivers->count++] = fd;
}

static bool is_receiving(struct receivers *receivers, const struct watched *watched) {
    if (receivers->target != watched->owner) {
        *receivers = (struct receivers){.target = watched->owner, .is_64 = process_is_64(watched->owner->pid)};
        process_each_thread(watched->owner->pid, note_receiver, receivers);
    }
    for (int i = 0; i < receivers->count; i++)
        if (receivers->fds[i] == watched->fd)
            return true;
    return false;
}

/* Ends what the copy is of, unless it is no longer overdue. *verdict becomes that of now. */
static enum ending end_copy(const struct watch *watch, const struct watched *watched, const struct judge *before,
                            int copy, struct connection *connection, struct verdict *verdict) {
    struct judge judge = *before;
    if (ending_refresh(copy, connection) == 0) {
        const nd_time now = nd_now();
        judge_look(&judge, connection, now);
        if (judge_decide(&judge, connection, watched->settings, now, verdict))
            return ending_end(copy, watch->netlink, connection);
    }
    errno = ESTALE;
    return ENDING_NONE;
}

static bool is_gone(int error) {
    return error == ESTALE || error == EBADF || error == ESRCH || error == ENOENT;
}

static void warn_powerless(struct guard *guard, const struct guard_target *target, int error) {
    if (guard->has_warned || guard->is_quiet)
        return;
    guard->has_warned = true;
    cli_warn("cannot end connections of process %d: %s; " CLI_NEEDS_PTRACE ", or CAP_NET_ADMIN and a kernel with "
             "CONFIG_INET_DIAG_DESTROY",
             (int)target->pid, strerror(error));
}

/* `before` is the judge as it was before the look that found the limit expired. */
static void expire(struct guard *guard, const struct watch *watch, struct watched *watched, const struct judge *before,
                   const struct connection *connection, struct verdict *verdict, nd_time now) {
    struct guard_target *owner = watched->owner;
    struct connection fresh = *connection;
    const bool observe = is_observing(owner);
    enum ending ending = ENDING_NONE;
    if (guard_target_has_library(owner)) {
        watched->spared_until = now + SPARED;
        return;
    }
    if (!observe) {
        int copy = ending_copy(owner->pidfd, watched->fd, watched->cookie);
        int error = errno;
        if (copy >= 0)
            ending = end_copy(watch, watched, before, copy, &fresh, verdict);
        else if (!is_gone(error))
            ending = ending_destroy(owner->pid, owner->pidfd, watched->fd, watch->netlink, connection);
        error = ending == ENDING_NONE && (copy >= 0 || is_gone(error)) ? (copy >= 0 ? errno : error) : error;
        if (copy >= 0)
            close(copy);
        if (ending == ENDING_NONE) {
            watched->was_looked_for = !is_gone(error);
            watched->spared_until = is_gone(error) ? 0 : now + SPARED;
            if (!is_gone(error))
                warn_powerless(guard, owner, error);
            return;
        }
    }
    watched->spared_until = observe ? 0 : now + SPARED;
    watched->observed_limit = verdict->limit;
    watched->observed_moved = watched->judge.moved;
    guard->ended += !observe;
    guard->observed += observe;
    guard_state_count(verdict, observe);
    guard_report(&owner->policy->settings, owner, watched->fd, connection, verdict, observe);
}

static void decide(struct guard *guard, struct watch *watch, const struct connection *connection,
                   struct receivers *receivers) {
    const nd_time now = watch->read_at;
    struct watched *watched = connection->inode ? watch_find(watch, connection, now) : NULL;
    struct verdict verdict;
    if (!watched || !watched->owner || !watched->settings)
        return;
    if (!watched->is_prepared && connection->state == TCP_ESTABLISHED)
        prepare(watched);
    if (judge_asks_for_calls(&watched->judge, connection, watched->settings, now))
        judge_receiving(&watched->judge, is_receiving(receivers, watched), now);
    watched->judge.is_only = watched->owner->connections <= 1;
    const struct judge before = watched->judge;
    bool expired = judge_decide(&watched->judge, connection, watched->settings, now, &verdict);
    const bool was_observed = expired && is_observing(watched->owner) && watched->observed_limit == verdict.limit &&
                              watched->observed_moved == watched->judge.moved;
    nd_time due = !expired ? verdict.due : was_observed ? ND_NEVER : now + SHORTEST_PACE;
    if (now < watched->spared_until)
        due = due > watched->spared_until ? due : watched->spared_until;
    else if (expired && !was_observed)
        expire(guard, watch, watched, &before, connection, &verdict, now);
    guard->due = nd_time_sooner(guard->due, due);
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

static void decide_all(struct guard *guard) {
    struct receivers receivers = {.target = NULL};
    guard->due = ND_NEVER;
    count_connections(guard);
    for (int i = 0; i < guard->watch_count; i++)
        for (size_t at = 0; at < guard->watches[i].list.count; at++)
            decide(guard, &guard->watches[i], &guard->watches[i].list.entries[at], &receivers);
}

/* The shortest limits of all programs that are guarded. */
static void find_shortest(const struct guard *guard, nd_time *shortest, nd_time *connect) {
    *shortest = *connect = ND_NEVER;
    for (size_t i = 0; i < guard->targets.count; i++) {
        const struct guard_policy *policy = guard->targets.entries[i]->policy;
        if (!policy || policy->passes)
            continue;
        *shortest = nd_time_sooner(*shortest, policy->shortest);
        *connect = nd_time_sooner(*connect, policy->shortest_connect);
    }
}

static nd_time within(nd_time time, nd_time least, nd_time most) {
    return time < least ? least : time > most ? most : time;
}

/* The time between two looks that each take `cost`, where nothing but the processor's time speaks against the next. */
static nd_time affordable(nd_time cost) {
    return within(SHARE_OF_PROCESSOR * cost, SHORTEST_GAP, ND_NEVER);
}

static void look_at_all(struct guard *guard, enum connection_kind kind, nd_time now) {
    const nd_time began = spent();
    bool is_new = look(guard, kind);
    if (is_new && now - guard->refreshed >= SHORTEST_PACE)
        refresh(guard, now);
    if (is_new || (kind == CONNECTIONS_ALL && now - guard->scanned >= SCAN_PACE)) {
        guard_owners_find(&guard->targets, guard->watches, guard->watch_count);
        guard->scanned = now;
    }
    decide_all(guard);
    nd_time *cost = kind == CONNECTIONS_ALL ? &guard->cost : &guard->connecting_cost;
    *cost = spent() - began;
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

nd_time guard_round(struct guard *guard) {
    nd_time now = nd_now(), shortest, connect;
    if (guard_state_take()) {
        forget_settings(guard);
        guard_policies_change();
    }
    const nd_time refresh_pace = within(REFRESH_SHARE * guard->refresh_cost, SHORTEST_PACE, LONGEST_PACE);
    if (!guard->refreshed || now - guard->refreshed >= refresh_pace)
        refresh(guard, now);
    find_shortest(guard, &shortest, &connect);
    const nd_time pace = within(shortest / SHARE_OF_LIMIT, SHORTEST_PACE, LONGEST_PACE);
    const nd_time connect_pace = within(connect / CONNECTS_PER_LIMIT, SHORTEST_PACE, LONGEST_CONNECT_PACE);
    nd_time next = nd_time_sooner(guard->looked + pace, guard->due > guard->looked + affordable(guard->cost)
                                                            ? guard->due
                                                            : guard->looked + affordable(guard->cost));
    nd_time next_connecting = connect == ND_NEVER ? ND_NEVER : guard->looked_at_connecting + connect_pace;
    if (!guard->looked || now >= next) {
        look_at_all(guard, CONNECTIONS_ALL, now);
        guard->looked = guard->looked_at_connecting = now;
    } else if (now >= next_connecting) {
        const nd_time due = guard->due;
        look_at_all(guard, CONNECTIONS_CONNECTING, now);
        guard->due = nd_time_sooner(guard->due, due);
        guard->looked_at_connecting = now;
    }
    const nd_time soonest = guard->looked + affordable(guard->cost);
    next = nd_time_sooner(guard->looked + pace, guard->due > soonest ? guard->due : soonest);
    next = nd_time_sooner(next, guard->refreshed + refresh_pace);
    return connect == ND_NEVER ? next : nd_time_sooner(next, guard->looked_at_connecting + connect_pace);
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
