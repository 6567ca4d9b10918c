#include "cli/guard_decide.h"

#include <errno.h>
#include <netinet/in.h>
#include <string.h>
#include <unistd.h>

#include "cli/cli.h"
#include "cli/end_library.h"
#include "cli/guard_input.h"
#include "cli/guard_report.h"
#include "cli/guard_state.h"
#include "cli/process/ending.h"
#include "cli/process/input.h"
#include "cli/process/processes.h"
#include "cli/process/system_call.h"

/* For how long a connection that could not be ended is left alone, and when one is looked at again that was. */
#define SPARED (30 * ND_SEC)
#define AGAIN (250 * ND_MSEC)

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
    const int seconds = idle > 32767 ? 32767 : (int)idle;
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
        set_number(copy, IPPROTO_TCP, TCP_KEEPIDLE, seconds) == 0 && set_number(copy, SOL_SOCKET, SO_KEEPALIVE, 1) == 0)
        set_number(copy, IPPROTO_TCP, TCP_KEEPIDLE, seconds); /* once more: the silence until now counts */
    close(copy);
}

static void note_receiver(pid_t tid, void *arg) {
    struct guard_receivers *receivers = arg;
    int fd = receivers->count < GUARD_RECEIVERS
                 ? system_call_receives_from(receivers->target->pid, tid, receivers->is_64)
                 : -1;
    if (fd >= 0)
        receivers->fds[receivers->count++] = fd;
}

void guard_receivers_find(struct guard_receivers *receivers, const struct guard_target *target) {
    *receivers = (struct guard_receivers){.target = target, .is_64 = process_is_64(target->pid)};
    receivers->go = go_waits_look(target->pid);
    process_each_thread(target->pid, note_receiver, receivers);
}

/* Whether the program waits for the first bytes on its only connection, be it in an event loop: a greeting is due. */
static bool is_greeting_awaited(struct guard_receivers *receivers, const struct watched *watched) {
    if (watched->owner->connections > 1 || !judge_is_untouched(&watched->judge))
        return false;
    if (!receivers->has_input)
        input_look(watched->owner->pid);
    receivers->has_input = true;
    return input_has_waiter(watched->fd);
}

bool guard_is_receiving(struct guard_receivers *receivers, const struct watched *watched) {
    if (receivers->target != watched->owner)
        guard_receivers_find(receivers, watched->owner);
    for (int i = 0; i < receivers->count; i++)
        if (receivers->fds[i] == watched->fd)
            return true;
    return receivers->go ? go_waits_for_input(receivers->go, watched->fd) : is_greeting_awaited(receivers, watched);
}

static enum input find_input(const struct guard *guard, struct guard_receivers *receivers,
                             const struct watched *watched) {
    if (guard_is_receiving(receivers, watched))
        return INPUT_AWAITED;
    const enum input input = guard_input(&guard->targets, watched, receivers->go, &receivers->has_input);
    if (!receivers->has_input)
        receivers->target = NULL; /* what is known of it has given way */
    return input;
}

/* Ends what the copy is of, unless it is no longer overdue. *verdict becomes that of now. Whether the library is there
 * takes long to find out, in which an answer may come: that is asked first. */
static enum ending end_copy(const struct watch *watch, const struct watched *watched, const struct judge *before,
                            int copy, struct connection *connection, struct verdict *verdict) {
    struct judge judge = *before;
    const bool has_library = guard_target_has_library(watched->owner);
    if (ending_refresh(copy, connection) == 0) {
        const nd_time now = nd_now();
        judge_look(&judge, connection, now);
        if (judge_decide(&judge, connection, watched->settings, now, verdict))
            return has_library ? ending_end_marked(copy) : ending_end(copy, watch->netlink, connection);
    }
    errno = ESTALE;
    return ENDING_NONE;
}

/* Decides as for a connection whose input nobody waits for, until it is time to look again whether anybody does. */
static bool decide_ignored(struct watched *watched, const struct connection *connection, nd_time now,
                           struct verdict *verdict) {
    watched->judge.is_ignored = true;
    const bool expired = judge_decide(&watched->judge, connection, watched->settings, now, verdict);
    verdict->due = nd_time_sooner(verdict->due, watched->ask_again);
    return expired;
}

/* Decides; where RECV has expired for a reply that is pending, it is looked whether anybody waits for one. Where nobody
 * does, RECV begins when somebody is seen to. */
static bool decide(const struct guard *guard, struct watched *watched, const struct connection *connection,
                   struct guard_receivers *receivers, nd_time now, struct verdict *verdict) {
    struct judge *judge = &watched->judge;
    const struct nd_limits *limits = judge->inbound ? &watched->settings->inbound : &watched->settings->outbound;
    const bool was_ignored = judge->is_ignored;
    judge->is_ignored = false;
    const bool expired = judge_decide(judge, connection, watched->settings, now, verdict);
    const bool is_recv = expired && (verdict->limit & ~(unsigned)ND_LIMIT_INBOUND) == ND_LIMIT_RECV;
    if (!limits->recv || judge_reply_pending(judge, connection) < 0 || !(was_ignored || is_recv))
        return expired;
    if (was_ignored && now < watched->ask_again) /* a look at all sees many of them, each of another process */
        return decide_ignored(watched, connection, now, verdict);
    watched->ask_again = now + nd_time_later(limits->recv / 10, AGAIN);
    const enum input input = find_input(guard, receivers, watched);
    if (input == INPUT_AWAITED && !was_ignored)
        return expired;
    if (input == INPUT_IGNORED || was_ignored)
        judge->awaited = now;
    if (input == INPUT_AWAITED)
        return judge_decide(judge, connection, watched->settings, now, verdict);
    const bool expires = decide_ignored(watched, connection, now, verdict);
    if (input == INPUT_UNSETTLED) /* that it was running is no reason to wait anew */
        judge->is_ignored = was_ignored;
    return expires;
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
    if (guard_target_is_left(owner)) {
        watched->spared_until = now + SPARED;
        return;
    }
    if (!observe) {
        int copy = ending_copy(owner->pidfd, watched->fd, watched->cookie);
        int error = errno;
        if (copy >= 0)
            ending = end_copy(watch, watched, before, copy, &fresh, verdict);
        else if (!is_gone(error))
            ending = end_library_destroy(guard_target_block(owner), owner->pid, owner->pidfd, watched->fd,
                                         watch->netlink, connection, NULL, NULL);
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
    guard_state_count(
        verdict, observe,
        guard_policy_where(owner->policy, connection, watched->judge.inbound, judge_limit_name(verdict->limit)));
    guard_report(&owner->policy->settings, owner, watched->fd, connection, verdict, observe);
}

void guard_decide(struct guard *guard, struct watch *watch, struct watched *watched,
                  const struct connection *connection, struct guard_receivers *receivers, nd_time now) {
    struct verdict verdict;
    watched->due = ND_NEVER;
    if (!connection->inode || !watched->owner || !watched->settings)
        return;
    if (!watched->is_prepared && connection->state == TCP_ESTABLISHED)
        prepare(watched);
    if (judge_asks_for_calls(&watched->judge, connection, watched->settings, now))
        judge_receiving(&watched->judge, guard_is_receiving(receivers, watched), now);
    struct judge before = watched->judge;
    bool expired = decide(guard, watched, connection, receivers, now, &verdict);
    before.is_ignored = watched->judge.is_ignored;
    before.awaited = watched->judge.awaited;
    const bool was_observed = expired && is_observing(watched->owner) && watched->observed_limit == verdict.limit &&
                              watched->observed_moved == watched->judge.moved;
    watched->due = !expired ? verdict.due : was_observed ? ND_NEVER : now + AGAIN;
    if (now < watched->spared_until)
        watched->due = watched->due > watched->spared_until ? watched->due : watched->spared_until;
    else if (expired && !was_observed)
        expire(guard, watch, watched, &before, connection, &verdict, now);
    guard->due = nd_time_sooner(guard->due, watched->due);
}

void guard_look_at_one(struct guard *guard, struct watch *watch, struct watched *watched,
                       struct guard_receivers *receivers) {
    struct connection *connection = watched->owner ? watch_listed(watch, watched) : NULL;
    const nd_time due = watched->due;
    watched->due = ND_NEVER; /* the next look at all sees what has become of it */
    if (!connection)
        return;
    int copy = ending_copy(watched->owner->pidfd, watched->fd, watched->cookie);
    const int error = errno;
    if (copy < 0) {
        watched->was_looked_for &= !is_gone(error);
        if (!is_gone(error)) {
            watched->due = due;
            guard->due = nd_time_sooner(guard->due, due);
            guard->is_blind = true;
        }
        return;
    }
    if (ending_refresh(copy, connection) == 0) {
        const nd_time now = nd_now();
        judge_look(&watched->judge, connection, now);
        guard_decide(guard, watch, watched, connection, receivers, now);
    }
    close(copy);
}
