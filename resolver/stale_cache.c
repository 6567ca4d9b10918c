#include "resolver/stale_cache.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>

#include "resolver/lock.h"

enum { SETS = 64, WAYS = 4, MOST_BYTES = 4096 };

/* A forked child that takes the lock over finds whole answers: each pointer is changed by one store. */
static struct {
    int lock;
    uint64_t state;
    struct nd_stale_answer *answers[SETS][WAYS];
} cache;

static uint64_t mix(uint64_t hash, uint64_t value) {
    return (hash ^ value) * 1099511628211u;
}

uint64_t nd_stale_state(void) {
    static const char *const files[] = {"/etc/resolv.conf", "/etc/hosts", "/etc/nsswitch.conf"};
    uint64_t hash = 14695981039346656037u;
    int saved = errno;
    for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
        struct stat s;
        if (stat(files[i], &s) != 0) {
            hash = mix(hash, (uint64_t)errno);
            continue;
        }
        hash = mix(mix(mix(hash, s.st_dev), s.st_ino), (uint64_t)s.st_size);
        hash = mix(mix(hash, (uint64_t)s.st_mtim.tv_sec), (uint64_t)s.st_mtim.tv_nsec);
        hash = mix(mix(hash, (uint64_t)s.st_ctim.tv_sec), (uint64_t)s.st_ctim.tv_nsec);
    }
    errno = saved;
    return hash;
}

void nd_stale_put(struct nd_stale_answer *answer) {
    if (!answer || __atomic_sub_fetch(&answer->references, 1, __ATOMIC_ACQ_REL) != 0)
        return;
    free(answer->messages[0].bytes);
    free(answer->messages[1].bytes);
    free(answer->name);
    free(answer);
}

static struct nd_stale_answer **set_of(const char *name, int type) {
    uint64_t hash = mix(14695981039346656037u, (uint64_t)type);
    for (; *name; name++)
        hash = mix(hash, *name >= 'A' && *name <= 'Z' ? (uint64_t)*name + 'a' - 'A' : (unsigned char)*name);
    return cache.answers[(hash ^ hash >> 32) % SETS];
}

static bool is_of(const struct nd_stale_answer *answer, const char *name, int type) {
    return answer && answer->type == type && strcasecmp(answer->name, name) == 0;
}

/* Forgets everything where the files have changed. Called with the lock held. */
static void follow_files(uint64_t state) {
    if (cache.state == state)
        return;
    cache.state = state;
    for (int set = 0; set < SETS; set++)
        for (int way = 0; way < WAYS; way++) {
            struct nd_stale_answer *old = cache.answers[set][way];
            cache.answers[set][way] = NULL;
            nd_stale_put(old);
        }
}

struct nd_stale_answer *nd_stale_find(uint64_t state, const char *name, int type, nd_time stale, nd_time now) {
    struct nd_stale_answer **set = set_of(name, type), *found = NULL;
    if (!nd_lock_try(&cache.lock))
        return NULL;
    follow_files(state);
    for (int way = 0; way < WAYS; way++)
        if (is_of(set[way], name, type) && now < nd_time_after(set[way]->fresh_until, stale))
            found = set[way];
    if (found)
        __atomic_add_fetch(&found->references, 1, __ATOMIC_RELAXED);
    nd_unlock(&cache.lock);
    return found;
}

/* Returns what was there. */
static struct nd_stale_answer *replace(struct nd_stale_answer **place, struct nd_stale_answer *answer) {
    struct nd_stale_answer *old = *place;
    __atomic_store_n(place, answer, __ATOMIC_RELEASE);
    return old;
}

/* The place of the same question, a free one, or that of the oldest answer. */
static struct nd_stale_answer **place_for(const char *name, int type) {
    struct nd_stale_answer **set = set_of(name, type), **best = set;
    for (int way = 0; way < WAYS; way++) {
        if (is_of(set[way], name, type))
            return &set[way];
        if (*best && (!set[way] || set[way]->stored < (*best)->stored))
            best = &set[way];
    }
    return best;
}

/* The least time for which all records are fresh. */
static nd_time time_to_live(const struct nd_dns_message answers[2]) {
    nd_time least = ND_NEVER;
    for (int i = 0; i < 2; i++) {
        uint8_t question[ND_WIRE_NAME_MAX];
        struct nd_dns_reader reader;
        struct nd_dns_record record;
        if (!answers[i].bytes || !nd_dns_read(&reader, answers[i].bytes, answers[i].size, question))
            continue;
        while (nd_dns_next(&reader, &record) > 0) {
            const uint8_t *ttl = answers[i].bytes + record.at - 6;
            nd_time seconds = (nd_time)nd_get16(ttl) << 16 | nd_get16(ttl + 2);
            least = nd_time_sooner(least, seconds > INT32_MAX ? 0 : seconds * ND_SEC); /* RFC 2181, 8 */
        }
    }
    return least == ND_NEVER ? 0 : least;
}

static bool copy_message(struct nd_dns_message *to, const struct nd_dns_message *from) {
    *to = *from;
    to->bytes = from->bytes ? malloc(from->size) : NULL;
    if (to->bytes)
        memcpy(to->bytes, from->bytes, from->size);
    return !from->bytes || to->bytes;
}

static struct nd_stale_answer *new_answer(const char *name, int type, const struct nd_dns_message answers[2],
                                          nd_time now) {
    struct nd_stale_answer *a = calloc(1, sizeof *a);
    if (!a)
        return NULL;
    a->references = 1;
    a->type = type;
    a->stored = now;
    a->fresh_until = nd_time_after(now, time_to_live(answers));
    a->name = strdup(name);
    bool good = copy_message(&a->messages[0], &answers[0]) && copy_message(&a->messages[1], &answers[1]) && a->name;
    if (!good) {
        nd_stale_put(a);
        return NULL;
    }
    return a;
}

void nd_stale_store(uint64_t state, const char *name, int type, const struct nd_dns_message answers[2], nd_time now) {
    if (answers[0].size + answers[1].size > MOST_BYTES)
        return;
    struct nd_stale_answer *answer = new_answer(name, type, answers, now);
    if (answer && nd_lock_try(&cache.lock)) {
        follow_files(state);
        answer = replace(place_for(name, type), answer);
        nd_unlock(&cache.lock);
    }
    nd_stale_put(answer);
}

void nd_stale_forget(const char *name, int type) {
    struct nd_stale_answer **place, *old = NULL;
    if (!nd_lock_try(&cache.lock))
        return;
    place = place_for(name, type);
    if (is_of(*place, name, type))
        old = replace(place, NULL);
    nd_unlock(&cache.lock);
    nd_stale_put(old);
}
