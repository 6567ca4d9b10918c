#include "cli/guard_schedule.h"

/* All connections are looked at every tenth of the shortest limit that runs since what only looks show, every half of
 * one whose beginning the kernel tells, and every fifth of KEEPALIVE, for connections that it is to be put on; within
 * these bounds. A call that waits under RECV is seen only on a connection that is known: as long as lists take no more
 * than one part in NEW_SHARE of a processor, they are taken every tenth of RECV, too. Between them those are looked at
 * whose limit is due, one by one, and, with RECV, the threads that are blocked in calls: none of these as often as would
 * take more than one part in SHARE_OF_PROCESSOR. */
#define SAMPLES_PER_LIMIT 10
#define LOOKS_PER_TIMED_LIMIT 2
#define LOOKS_PER_KEEPALIVE 5
#define LONGEST_PACE (12 * ND_SEC)
#define SHARE_OF_PROCESSOR 50
#define NEW_SHARE 300
#define SHORTEST_GAP (20 * ND_MSEC)
#define CALLS_PACE (100 * ND_MSEC)

/* Where a look at all takes long they are made less often: they take this part of a processor, as long as there are so
 * many of them in a limit, and one in this time. */
#define DEAR_SHARE 25
#define DEAR_SAMPLES 3
#define LONGEST_DEAR_PACE (20 * ND_SEC)

/* Connects, whose age the kernel tells exactly, need only be found before they are due. */
#define CONNECTS_PART 3
#define CONNECTS_OF 5

/* How often processes are looked for where nothing asks for it: as often as this part of a processor allows, within the
 * shortest and the longest pace. */
#define REFRESH_SHARE 500
#define LONGEST_REFRESH_PACE (6 * ND_SEC)

/* How often the descriptors of all processes are read: as often as this part of a processor allows where a connection's
 * owner is wanted, and not within SCAN_PACE where none is. What is not seen meanwhile is that a connection has come into
 * another descriptor or process; where that has to do with one that is overdue, it is noticed then. */
#define SCAN_SHARE 1000
#define SCAN_PACE (30 * ND_SEC)

/* The shortest limits of all programs that are guarded. */
static struct guard_shortest find_shortest(const struct guard *guard) {
    struct guard_shortest all = {ND_NEVER, ND_NEVER, ND_NEVER, ND_NEVER, ND_NEVER};
    for (size_t i = 0; i < guard->targets.count; i++) {
        const struct guard_policy *policy = guard->targets.entries[i]->policy;
        if (!policy || policy->passes)
            continue;
        all.connect = nd_time_sooner(all.connect, policy->shortest.connect);
        all.recv = nd_time_sooner(all.recv, policy->shortest.recv);
        all.sampled = nd_time_sooner(all.sampled, policy->shortest.sampled);
        all.timed = nd_time_sooner(all.timed, policy->shortest.timed);
        all.keepalive = nd_time_sooner(all.keepalive, policy->shortest.keepalive);
    }
    return all;
}

static nd_time within(nd_time time, nd_time least, nd_time most) {
    return time < least ? least : time > most ? most : time;
}

/* The time between two looks that each take `cost`, where nothing but the processor's time speaks against the next. */
static nd_time affordable(nd_time cost) {
    return within(SHARE_OF_PROCESSOR * cost, SHORTEST_GAP, ND_NEVER);
}

/* When the next of looks is to be that are a part of the limit away from each other: 1 / `parts`. */
static nd_time at_pace(nd_time last, nd_time limit, int parts) {
    return limit == ND_NEVER ? ND_NEVER : last + within(limit / parts, GUARD_SHORTEST_PACE, LONGEST_PACE);
}

/* The longest time between two looks at all connections, the shortest of whose limits that only looks show is `limit`.
 * Where there are very many a look is dear, and made less often. */
static nd_time dear_pace(const struct guard *guard, nd_time limit) {
    return within(DEAR_SHARE * guard->cost, 0,
                  limit == ND_NEVER ? LONGEST_DEAR_PACE : within(limit / DEAR_SAMPLES, 0, LONGEST_DEAR_PACE));
}

struct guard_schedule guard_schedule(const struct guard *guard) {
    const struct guard_shortest shortest = find_shortest(guard);
    const nd_time connect = shortest.connect == ND_NEVER ? ND_NEVER : shortest.connect / CONNECTS_OF * CONNECTS_PART;
    const nd_time sampled = at_pace(guard->looked, shortest.sampled, SAMPLES_PER_LIMIT);
    const nd_time timed = at_pace(guard->looked, nd_time_sooner(shortest.timed, shortest.recv), LOOKS_PER_TIMED_LIMIT);
    const nd_time prepared = at_pace(guard->looked, shortest.keepalive, LOOKS_PER_KEEPALIVE);
    const nd_time unseen =
        shortest.recv == ND_NEVER
            ? ND_NEVER
            : guard->looked + within(NEW_SHARE * guard->cost,
                                     within(shortest.recv / SAMPLES_PER_LIMIT, CALLS_PACE, LONGEST_PACE), ND_NEVER);
    const nd_time dear =
        dear_pace(guard, nd_time_sooner(shortest.sampled, nd_time_sooner(shortest.timed, shortest.recv)));
    const nd_time soonest =
        guard->is_blind ? guard->looked + affordable(guard->cost) : guard->looked_at_due + affordable(guard->due_cost);
    const nd_time calls = shortest.recv == ND_NEVER ? ND_NEVER : guard->looked_at_calls + CALLS_PACE;
    const nd_time calls_affordable = guard->looked_at_calls + 2 * affordable(guard->calls_cost);
    return (struct guard_schedule){
        .refresh =
            guard->refreshed + within(REFRESH_SHARE * guard->refresh_cost, GUARD_SHORTEST_PACE, LONGEST_REFRESH_PACE),
        .all =
            nd_time_later(nd_time_sooner(nd_time_sooner(sampled, prepared),
                                         nd_time_sooner(nd_time_sooner(timed, unseen), guard->looked + LONGEST_PACE)),
                          guard->looked + dear),
        .connecting = at_pace(guard->looked_at_connecting, connect, 1),
        .due = guard->due == ND_NEVER || guard->due > soonest ? guard->due : soonest,
        .calls = calls > calls_affordable ? calls : calls_affordable,
    };
}

nd_time guard_schedule_scan(const struct guard *guard, bool is_wanted) {
    return guard->scanned + within(SCAN_SHARE * guard->scan_cost, is_wanted ? 0 : SCAN_PACE, ND_NEVER);
}
