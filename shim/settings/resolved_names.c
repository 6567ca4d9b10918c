#include "shim/settings/resolved_names.h"

enum { RULE_WORDS = sizeof(struct nd_rule_set) / sizeof(uint64_t), WORDS = 2 + RULE_WORDS };

/* What is known of an address, as words that are read one by one while another thread writes. */
union known {
    struct {
        struct in6_addr address;
        struct nd_rule_set rules;
    } fields;
    uint64_t words[WORDS];
};
_Static_assert(sizeof(union known) == WORDS * sizeof(uint64_t), "the words are the whole");

/* `sequence` is odd while a thread writes. Where that thread ends meanwhile, or a child is forked, the entry is never
 * used again. */
struct entry {
    _Atomic uint32_t sequence;
    _Atomic uint64_t words[WORDS];
};

static struct entry entries[ND_RESOLVED_NAMES_ADDRESSES];
static _Atomic unsigned used; /* how many entries have been written */
static _Atomic unsigned oldest;

static bool is_none(const struct nd_rule_set *rules) {
    for (size_t i = 0; i < sizeof rules->bits / sizeof rules->bits[0]; i++)
        if (rules->bits[i])
            return false;
    return true;
}

static void write_entry(struct entry *entry, const union known *known) {
    uint32_t sequence = atomic_load(&entry->sequence);
    if ((sequence & 1) || !atomic_compare_exchange_strong(&entry->sequence, &sequence, sequence + 1))
        return; /* another thread writes: its lookup may count as the later one */
    for (int i = 0; i < WORDS; i++)
        atomic_store(&entry->words[i], known->words[i]);
    atomic_store(&entry->sequence, sequence + 2);
}

/* Copies an entry. Returns false where it is being written. */
static bool read_entry(struct entry *entry, union known *known) {
    for (int tries = 0; tries < 100; tries++) {
        uint32_t sequence = atomic_load(&entry->sequence);
        for (int i = 0; i < WORDS; i++)
            known->words[i] = atomic_load(&entry->words[i]);
        if (!(sequence & 1) && atomic_load(&entry->sequence) == sequence)
            return true;
    }
    return false;
}

/* The entry of an address, copied to *known; or NULL. */
static struct entry *find(const struct in6_addr *address, union known *known) {
    for (unsigned i = 0; i < used && i < ND_RESOLVED_NAMES_ADDRESSES; i++)
        if (read_entry(&entries[i], known) && IN6_ARE_ADDR_EQUAL(&known->fields.address, address))
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
    known.fields.address = *address;
    known.fields.rules = *rules;
    write_entry(entry, &known);
}

struct nd_rule_set nd_resolved_names_get(const struct in6_addr *address) {
    union known known;
    return find(address, &known) ? known.fields.rules : (struct nd_rule_set){{0}};
}
