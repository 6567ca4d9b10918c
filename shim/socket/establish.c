#include "shim/socket/establish.h"

#include "shim/report/slots_fast.h"

enum { WORDS = sizeof(struct nd_budget) / sizeof(uint64_t) };
_Static_assert(sizeof(struct nd_budget) == WORDS * sizeof(uint64_t), "the words are the whole");

/* A budget, as words that are read one by one while another thread writes. */
union known {
    struct nd_budget budget;
    uint64_t words[WORDS];
};

/* `sequence` is odd while a thread writes, and 0 as long as none has. Where that thread ends meanwhile, or a child is
 * forked, the entry is never used again. */
struct entry {
    _Atomic uint32_t sequence;
    _Atomic uint64_t words[WORDS];
};

static struct entry entries[ND_ESTABLISH_LOOKUPS];
static _Atomic unsigned used; /* how many entries have been taken, the same ones again included */

uint64_t nd_establish_thread(void) {
    return (uintptr_t)&nd_slots_self;
}

/* After so many changes by other threads an entry is left alone. */
enum { TRIES = 100 };

/* Copies an entry. Returns false where it is being written. */
static bool read_entry(struct entry *entry, union known *known, uint32_t *sequence) {
    for (int tries = 0; tries < TRIES; tries++) {
        *sequence = atomic_load(&entry->sequence);
        for (int i = 0; i < WORDS; i++)
            known->words[i] = atomic_load(&entry->words[i]);
        if (!(*sequence & 1) && atomic_load(&entry->sequence) == *sequence)
            return true;
    }
    return false;
}

/* Replaces an entry that was read with that sequence. Returns false where another thread has written it since. */
static bool replace_entry(struct entry *entry, const union known *known, uint32_t sequence) {
    if ((sequence & 1) || !atomic_compare_exchange_strong(&entry->sequence, &sequence, sequence + 1))
        return false;
    for (int i = 0; i < WORDS; i++)
        atomic_store(&entry->words[i], known->words[i]);
    atomic_store(&entry->sequence, sequence + 2);
    return true;
}

static unsigned entries_used(void) {
    const unsigned count = atomic_load(&used);
    return count < ND_ESTABLISH_LOOKUPS ? count : ND_ESTABLISH_LOOKUPS;
}

/* The entry with this index, or one for a further lookup; where another thread writes it, NULL. */
static struct entry *take_entry(int index) {
    return &entries[index >= 0 ? (unsigned)index : used++ % ND_ESTABLISH_LOOKUPS];
}

static void put(int index, const struct nd_budget *budget) {
    union known old;
    const union known known = {.budget = *budget};
    uint32_t sequence;
    struct entry *entry = take_entry(index);
    for (int tries = 0; tries < TRIES && read_entry(entry, &old, &sequence); tries++)
        if (replace_entry(entry, &known, sequence))
            return;
}

/* FNV-1a, and a last step that mixes the high bits. Never 0. */
static uint64_t hash(const void *bytes, size_t size) {
    uint64_t value = 0xcbf29ce484222325U;
    for (size_t i = 0; i < size; i++)
        value = (value ^ ((const unsigned char *)bytes)[i]) * 0x100000001b3U;
    value ^= value >> 32;
    return value ? value : 1;
}

/* Letter case does not count, nor does the dot at the end of a complete name. */
static uint64_t hash_name(const char *name) {
    char text[256];
    size_t length = 0;
    for (; length < sizeof text && name[length]; length++)
        text[length] = (char)(name[length] >= 'A' && name[length] <= 'Z' ? name[length] + ('a' - 'A') : name[length]);
    length -= length > 1 && name[length - 1] == '.';
    return hash(text, length);
}

/* A member of an entry's budget, as it is now: by it most entries are passed over, and not copied. */
#define WORD(entry, member)                                                                                            \
    atomic_load_explicit(&(entry)->words[offsetof(struct nd_budget, member) / sizeof(uint64_t)], memory_order_relaxed)

/* The index of the budget of the thread's last lookup of the name, copied to *known; or -1. */
static int find_lookup(uint64_t name, uint64_t thread, union known *known) {
    uint32_t sequence;
    for (int i = 0; i < (int)entries_used(); i++)
        if (WORD(&entries[i], name) == name && WORD(&entries[i], thread) == thread &&
            read_entry(&entries[i], known, &sequence) && known->budget.name == name && known->budget.thread == thread)
            return i;
    return -1;
}

nd_time nd_establish_lookup_began(const char *name, int family, uint64_t thread, nd_time limit, nd_time now) {
    union known known;
    if (find_lookup(hash_name(name), thread, &known) < 0 || !nd_budget_continues(&known.budget, family, now) ||
        now >= nd_time_after(known.budget.began, limit))
        return now;
    return known.budget.began;
}

struct nd_budget nd_establish_lookup(const char *name, uint64_t thread, nd_time began) {
    return nd_budget_of_lookup(hash_name(name), thread, began);
}

void nd_establish_found(struct nd_budget *budget, const struct in6_addr *address) {
    nd_budget_add(budget, hash(address, sizeof *address));
}

void nd_establish_store(struct nd_budget *budget, int family, nd_time now) {
    union known before;
    const int index = find_lookup(budget->name, budget->thread, &before);
    budget->found = budget->until = now;
    budget->families = nd_budget_family(family);
    if (index >= 0 && before.budget.began == budget->began) { /* it continues that one */
        budget->families |= before.budget.families;
        for (unsigned i = 0; i < before.budget.count; i++)
            nd_budget_add(budget, before.budget.addresses[i]);
    }
    put(index, budget);
}

/* Whether the entry may have the address. */
static bool may_have(const struct entry *entry, uint64_t address) {
    const uint64_t count = WORD(entry, count);
    for (size_t i = 0; i < count && i < ND_BUDGET_ADDRESSES; i++)
        if (WORD(entry, addresses[i]) == address)
            return true;
    return false;
}

/* What speaks for a budget: its rank; where none is fit, that it is the thread's own, or nobody's. */
static int merit(const struct nd_budget *budget, uint64_t thread, nd_time now) {
    const enum nd_budget_rank rank = nd_budget_rank(budget, thread, now);
    const bool is_own = budget->thread == thread || budget->user == thread;
    return rank != ND_BUDGET_UNFIT ? 2 + (int)rank : is_own ? 2 : !budget->user;
}

/* The entry of the budget that a connect by the thread to the address has, copied to *known; or -1. */
static int find_address(uint64_t address, uint64_t thread, nd_time now, union known *known, uint32_t *sequence) {
    int best = -1, best_merit = 0;
    for (int i = 0; i < (int)entries_used(); i++) {
        union known one;
        uint32_t read;
        if (!may_have(&entries[i], address) || !read_entry(&entries[i], &one, &read) ||
            nd_budget_find(&one.budget, address) < 0)
            continue;
        const int this_merit = merit(&one.budget, thread, now);
        if (best < 0 || this_merit > best_merit ||
            (this_merit == best_merit && one.budget.found > known->budget.found)) {
            best = i;
            best_merit = this_merit;
            *known = one;
            *sequence = read;
        }
    }
    return best;
}

/* Whether the budget is another thread's: then the establishment has one of its own, with the same addresses. */
static bool is_anothers(const struct nd_budget *budget, uint64_t thread) {
    return budget->thread != thread && budget->user != thread && budget->user;
}

static void begin(struct nd_sock *sock, int entry, const struct nd_budget *budget, unsigned others) {
    sock->establish.entry = entry;
    sock->establish.attempt = budget->attempts;
    sock->establish.others = others;
    sock->establish.began = budget->began;
    sock->establish.generation = atomic_load(&sock->generation);
}

bool nd_establish_attempt(struct nd_sock *sock, const struct nd_endpoint_address *address, uint64_t thread,
                          bool may_fail, nd_time now) {
    const nd_time limit = nd_sock_establish_limit(sock);
    const uint64_t key = hash(&address->address, sizeof address->address);
    for (int tries = 0; tries < TRIES; tries++) {
        union known known;
        uint32_t sequence;
        unsigned others = 0;
        const int entry = find_address(key, thread, now, &known, &sequence);
        if (entry < 0)
            break;
        struct nd_budget *budget = &known.budget;
        const bool is_new = is_anothers(budget, thread);
        if (is_new) {
            budget->thread = 0;
            budget->over = true;
        }
        const struct nd_budget before = *budget;
        bool goes_on = nd_budget_attempt(budget, nd_budget_find(budget, key), thread, limit, now, &others);
        if (!goes_on && !may_fail) {
            *budget = before;
            nd_budget_succeeded(budget);
            goes_on = nd_budget_attempt(budget, nd_budget_find(budget, key), thread, limit, now, &others);
        }
        if (is_new) {
            const int at = (int)(used++ % ND_ESTABLISH_LOOKUPS);
            put(at, budget);
            begin(sock, at, budget, others);
            return true;
        }
        if (!replace_entry(&entries[entry], &known, sequence))
            continue;
        begin(sock, entry, budget, others);
        return goes_on;
    }
    begin(sock, -1, &(struct nd_budget){.began = now}, 0);
    return true;
}

static bool read_own(const struct nd_sock *sock, union known *known, uint32_t *sequence) {
    const int entry = sock->establish.entry;
    return nd_establish_began(sock) && entry >= 0 && read_entry(&entries[entry], known, sequence) &&
           known->budget.began == sock->establish.began;
}

/* Where the budget has been replaced, or another establishment has begun since, nothing is changed. */
void nd_establish_change(const struct nd_sock *sock, enum nd_establish_news news, nd_time now) {
    union known known;
    uint32_t sequence;
    for (int tries = 0; tries < TRIES && read_own(sock, &known, &sequence); tries++) {
        if (news == ND_ESTABLISH_FAILED)
            nd_budget_failed(&known.budget, sock->establish.attempt, now);
        else if (news == ND_ESTABLISH_SUCCEEDED)
            nd_budget_succeeded(&known.budget);
        else
            nd_budget_reopen(&known.budget, now);
        if (replace_entry(&entries[sock->establish.entry], &known, sequence))
            return;
    }
}

void nd_establish_done(struct nd_sock *sock) {
    sock->establish.began = 0;
}

void nd_establish_inherit(const struct nd_sock *sock, struct nd_sock *duplicate) {
    if (!nd_establish_began(sock))
        return;
    duplicate->establish.entry = atomic_load(&sock->establish.entry);
    duplicate->establish.attempt = atomic_load(&sock->establish.attempt);
    duplicate->establish.others = atomic_load(&sock->establish.others);
    duplicate->establish.began = atomic_load(&sock->establish.began);
    duplicate->establish.generation = atomic_load(&duplicate->generation);
}
