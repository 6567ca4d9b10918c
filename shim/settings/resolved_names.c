#include "shim/settings/resolved_names.h"

#include <stdatomic.h>

enum { RULE_WORDS = sizeof(struct nd_rule_set) / sizeof(uint64_t), WORDS = 2 + RULE_WORDS };

/* What is known of an address, as words that a reader can take one by one while a writer is at it. */
union known {
    struct {
        struct in6_addr address;
        struct nd_rule_set rules;
    } it;
    uint64_t words[WORDS];
};
_Static_assert(sizeof(union known) == WORDS * sizeof(uint64_t), "the words are the whole");

/* `turn` is odd while a thread writes. A thread that ends there, or that a fork cuts off there, takes the entry out of use. */
struct entry {
    _Atomic uint32_t turn;
    _Atomic uint64_t words[WORDS];
};

static struct entry entries[ND_RESOLVED_NAMES_ADDRESSES];
static _Atomic unsigned used; /* entries below were written once */
static _Atomic unsigned oldest;

static bool is_none(const struct nd_rule_set *rules) {
    for (size_t i = 0; i < sizeof rules->bits / sizeof rules->bits[0]; i++)
        if (rules->bits[i])
            return false;
    return true;
}

static void write_entry(struct entry *entry, const union known *known) {
    uint32_t turn = atomic_load(&entry->turn);
    if ((turn & 1) || !atomic_compare_exchange_strong(&entry->turn, &turn, turn + 1))
        return; /* another thread writes: one of us is later, and it may as well be that one */
    for (int i = 0; i < WORDS; i++)
        atomic_store(&entry->words[i], known->words[i]);
    atomic_store(&entry->turn, turn + 2);
}

/* Copies an entry; false where it is being written. */
static bool read_entry(struct entry *entry, union known *known) {
    for (int tries = 0; tries < 100; tries++) {
        uint32_t turn = atomic_load(&entry->turn);
        for (int i = 0; i < WORDS; i++)
            known->words[i] = atomic_load(&entry->words[i]);
        if (!(turn & 1) && atomic_load(&entry->turn) == turn)
            return true;
    }
    return false;
}

/* The entry of an address, or NULL. What it holds goes to *known. */
static struct entry *find(const struct in6_addr *address, union known *known) {
    for (unsigned i = 0; i < used && i < ND_RESOLVED_NAMES_ADDRESSES; i++)
        if (read_entry(&entries[i], known) && IN6_ARE_ADDR_EQUAL(&known->it.address, address))
            return &entries[i];
    return NULL;
}

void nd_resolved_names_put(const struct in6_addr *address, const struct nd_rule_set *rules) {
    union known known;
    struct entry *entry = find(address, &known);
    if (!entry && is_none(rules))
        return;
    if (!entry && used < ND_RESOLVED_NAMES_ADDRESSES) {
        unsigned at = used++;
        entry = at < ND_RESOLVED_NAMES_ADDRESSES ? &entries[at] : NULL;
    }
    if (!entry)
        entry = &entries[oldest++ % ND_RESOLVED_NAMES_ADDRESSES];
    known.it.address = *address;
    known.it.rules = *rules;
    write_entry(entry, &known);
}

struct nd_rule_set nd_resolved_names_get(const struct in6_addr *address) {
    union known known;
    return find(address, &known) ? known.it.rules : (struct nd_rule_set){{0}};
}
