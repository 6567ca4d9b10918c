#include "shim/socket/budget.h"

#include <sys/socket.h>

struct nd_budget nd_budget_of_lookup(uint64_t name, uint64_t thread, nd_time began) {
    return (struct nd_budget){.name = name, .thread = thread, .began = began, .found = began, .until = began};
}

int nd_budget_find(const struct nd_budget *budget, uint64_t address) {
    for (unsigned i = 0; i < budget->count && i < ND_BUDGET_ADDRESSES; i++)
        if (budget->addresses[i] == address)
            return (int)i;
    return -1;
}

void nd_budget_add(struct nd_budget *budget, uint64_t address) {
    if (budget->count < ND_BUDGET_ADDRESSES && nd_budget_find(budget, address) < 0)
        budget->addresses[budget->count++] = address;
}

uint64_t nd_budget_family(int family) {
    return family == AF_INET ? 1 : family == AF_INET6 ? 2 : 4;
}

/* Whether the establishment is under way still. */
static bool is_current(const struct nd_budget *budget, nd_time now) {
    return !budget->over && now <= nd_time_after(budget->until, ND_BUDGET_PAUSE);
}

bool nd_budget_continues(const struct nd_budget *budget, int family, nd_time now) {
    return is_current(budget, now) && budget->attempts == 0 && !(budget->families & nd_budget_family(family));
}

enum nd_budget_rank nd_budget_rank(const struct nd_budget *budget, uint64_t thread, nd_time now) {
    if (!is_current(budget, now))
        return ND_BUDGET_UNFIT;
    if (budget->thread == thread)
        return ND_BUDGET_OWN;
    return !budget->user ? ND_BUDGET_FRESH : budget->user == thread ? ND_BUDGET_CONTINUED : ND_BUDGET_UNFIT;
}

static void begin_anew(struct nd_budget *budget, nd_time now) {
    budget->began = now;
    budget->over = budget->refused = budget->tried = 0;
}

nd_time nd_budget_share(nd_time left, unsigned others) {
    const nd_time equal = left / ((nd_time)others + 1), half = left / 2;
    if (others == 0)
        return left;
    return equal > ND_BUDGET_LEAST_SHARE ? equal : nd_time_sooner(half, ND_BUDGET_LEAST_SHARE);
}

bool nd_budget_attempt(struct nd_budget *budget, int address, uint64_t thread, nd_time limit, nd_time now,
                       unsigned *others) {
    const uint64_t bit = (uint64_t)1 << address, all = ((uint64_t)1 << budget->count) - 1;
    if (!is_current(budget, now))
        begin_anew(budget, now);
    else if (budget->attempts == 0 && now > budget->until)
        budget->began += now - budget->until;
    if (now >= nd_time_after(budget->began, limit)) {
        if (budget->refused < budget->count) {
            budget->refused++;
            budget->until = now;
            return false;
        }
        begin_anew(budget, now);
    }
    budget->tried |= bit;
    budget->user = thread;
    budget->attempts++;
    *others = (unsigned)__builtin_popcountll(all & ~budget->tried);
    budget->until = now + nd_budget_share(nd_time_after(budget->began, limit) - now, *others);
    return true;
}

void nd_budget_failed(struct nd_budget *budget, uint64_t attempt, nd_time now) {
    if (attempt == budget->attempts) /* else a later one is under way */
        budget->until = now;
}

void nd_budget_succeeded(struct nd_budget *budget) {
    budget->over = true;
}

void nd_budget_reopen(struct nd_budget *budget, nd_time now) {
    budget->over = false;
    budget->until = now;
}
