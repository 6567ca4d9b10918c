/* The budget of ESTABLISH: one deadline from the lookup of a name, over the connects to its addresses, to the end of
 * the TLS handshake. This is the arithmetic; socket/establish.h keeps the budgets. All functions are
 * async-signal-safe. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/clock.h"

/* How many addresses of a name are known. A connect to a further one is one to an address without a name. */
enum { ND_BUDGET_ADDRESSES = 32 };

/* Where nothing of an establishment has been under way for longer than this, it is over: a connect after it begins a
 * budget of its own. So it is where an address was looked up long ago, or a program waits before it tries again. (curl
 * pauses for a second between two addresses.) */
#define ND_BUDGET_PAUSE (2 * ND_SEC)

/* An address has at least this long, but never more than half of what is left while others have not been tried. */
#define ND_BUDGET_LEAST_SHARE (2 * ND_SEC)

/* Every member is 64 bits wide: other threads copy a budget word by word. */
struct nd_budget {
    uint64_t name;         /* a hash of the name that was looked up */
    uint64_t thread, user; /* the thread that looked it up, and the one that connects; 0: none */
    nd_time began; /* when the lookup began, or the first connect of a later establishment; later by the time between
                    * the lookup's end and the first connect, in which nothing was waited for */
    nd_time found; /* when the lookup ended */
    nd_time until; /* until when something is under way, as far as known */
    uint64_t over; /* a connection was established */
    uint64_t attempts;                       /* how many connects have begun */
    uint64_t refused;                        /* connects that were made after the budget had been used up */
    uint64_t families;                       /* that were asked for, one bit each (nd_budget_family) */
    uint64_t tried;                          /* a bit for each address */
    uint64_t count;                          /* of the addresses */
    uint64_t addresses[ND_BUDGET_ADDRESSES]; /* hashes */
};

/* The budget of a lookup by `thread` that began at `began`, still without addresses. */
struct nd_budget nd_budget_of_lookup(uint64_t name, uint64_t thread, nd_time began);

/* Adds an address, once. */
void nd_budget_add(struct nd_budget *budget, uint64_t address);

/* The number of the address, or -1. */
int nd_budget_find(const struct nd_budget *budget, uint64_t address);

/* The bit for a family that a lookup asks for (AF_UNSPEC: any). */
uint64_t nd_budget_family(int family);

/* Whether a lookup of the same name by the same thread, for `family`, continues the establishment: the first one was
 * for another family, and no connect has been made since. */
bool nd_budget_continues(const struct nd_budget *budget, int family, nd_time now);

/* How well the budget suits a connect by `thread` to one of its addresses at `now`; the greatest is taken, of two the
 * same the later lookup. */
enum nd_budget_rank {
    ND_BUDGET_UNFIT,     /* over, or another thread's */
    ND_BUDGET_CONTINUED, /* the thread has connected under it before */
    ND_BUDGET_FRESH,     /* of a thread that looks names up for others: no connect has been made yet */
    ND_BUDGET_OWN        /* of the thread's own lookup */
};
enum nd_budget_rank nd_budget_rank(const struct nd_budget *budget, uint64_t thread, nd_time now);

/* Begins a connect to the address with this number at `now`, under the limit; where the establishment is over, with it
 * a new one. Returns false where the budget is used up: then the connect must fail. Each address is refused once at
 * most, so that a program which tries again without pause does not do so for nothing. Sets *others to how many
 * addresses have not been tried yet. */
bool nd_budget_attempt(struct nd_budget *budget, int address, uint64_t thread, nd_time limit, nd_time now,
                       unsigned *others);

/* The connect with that number (budget->attempts when it began) has failed at `now`. */
void nd_budget_failed(struct nd_budget *budget, uint64_t attempt, nd_time now);

/* A connection was established: a later connect is another establishment. */
void nd_budget_succeeded(struct nd_budget *budget);

/* Its TLS handshake has expired at `now`: it was not established after all. */
void nd_budget_reopen(struct nd_budget *budget, nd_time now);

/* How much of the time that is left a connect may use where `others` addresses have not been tried: an equal share, but
 * no less than ND_BUDGET_LEAST_SHARE, and no more than half. */
nd_time nd_budget_share(nd_time left, unsigned others);
