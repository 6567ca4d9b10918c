#include "resolver/server_memory.h"

#include <stdint.h>
#include <string.h>

#include "resolver/lock.h"

#define ENTRIES 8

struct entry {
    union nd_server server;
    bool one_answer_a_port;
    nd_time waited;       /* in lookups that expired, without an answer since */
    nd_time silent_until; /* 0: it is not known to be silent */
};

/* `used` is read without the lock: as long as it is 0, which is nearly always, nothing is known. An entry is complete
 * before it is counted. */
static struct {
    int lock;
    unsigned used, oldest;
    uint32_t version; /* of resolv.conf */
    struct entry entries[ENTRIES];
} memory;

static bool is_empty(void) {
    return __atomic_load_n(&memory.used, __ATOMIC_RELAXED) == 0;
}

/* Called with the lock held, as are the functions below. */
static struct entry *find(const union nd_server *server) {
    for (unsigned i = 0; i < memory.used; i++)
        /* NOLINTNEXTLINE(bugprone-suspicious-memory-comparison): resolv_conf.c clears all of it first */
        if (memcmp(&memory.entries[i].server, server, sizeof *server) == 0)
            return &memory.entries[i];
    return NULL;
}

static struct entry *find_or_add(const union nd_server *server) {
    struct entry *entry = find(server);
    if (entry)
        return entry;
    entry = &memory.entries[memory.used < ENTRIES ? memory.used : memory.oldest++ % ENTRIES];
    *entry = (struct entry){.server = *server};
    if (memory.used < ENTRIES)
        __atomic_store_n(&memory.used, memory.used + 1, __ATOMIC_RELAXED);
    return entry;
}

void nd_servers_renew(const struct nd_resolv_conf *conf) {
    if (conf->version == 0 || __atomic_load_n(&memory.version, __ATOMIC_RELAXED) == conf->version ||
        !nd_lock_try(&memory.lock))
        return;
    __atomic_store_n(&memory.used, 0, __ATOMIC_RELAXED);
    __atomic_store_n(&memory.version, conf->version, __ATOMIC_RELAXED);
    nd_unlock(&memory.lock);
}

struct nd_server_known nd_server_known(const union nd_server *server, nd_time now) {
    struct nd_server_known known = {0};
    if (is_empty() || !nd_lock_try(&memory.lock))
        return known;
    struct entry *entry = find(server);
    if (entry) {
        known.one_answer_a_port = entry->one_answer_a_port;
        known.silent = entry->silent_until > now;
    }
    nd_unlock(&memory.lock);
    return known;
}

void nd_server_answered(const union nd_server *server) {
    if (is_empty() || !nd_lock_try(&memory.lock))
        return;
    struct entry *entry = find(server);
    if (entry)
        entry->waited = entry->silent_until = 0;
    nd_unlock(&memory.lock);
}

void nd_server_unanswered(const union nd_server *server, nd_time waited, nd_time enough, bool expired, nd_time now) {
    if ((waited < enough && !expired) || !nd_lock_try(&memory.lock))
        return;
    struct entry *entry = find_or_add(server);
    entry->waited += waited;
    if (entry->waited >= enough) {
        entry->waited = 0;
        entry->silent_until = nd_time_after(now, ND_SERVER_SILENT_FOR);
    }
    nd_unlock(&memory.lock);
}

void nd_server_answers_one_a_port(const union nd_server *server) {
    if (!nd_lock_try(&memory.lock))
        return;
    find_or_add(server)->one_answer_a_port = true;
    nd_unlock(&memory.lock);
}
