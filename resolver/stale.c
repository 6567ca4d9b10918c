#include "resolver/stale.h"

#include <errno.h>
#include <netdb.h>
#include <string.h>

#include "resolver/dns_message.h"
#include "resolver/stale_cache.h"

/* An answer of two of which one was not waited for long enough is no answer to keep. */
static bool is_whole(const struct nd_search *s, const struct nd_lookup *lookup) {
    return !lookup->expired && !s->ask.incomplete;
}

/* A server that answers with an error has said something, one that ends the connection has not. */
static bool is_silence(const struct nd_search *s, bool answered, const struct nd_lookup *lookup) {
    const struct nd_ask *ask = &s->ask;
    bool ended = s->error == ECONNRESET || (s->error == 0 && s->h_err == TRY_AGAIN);
    return lookup->expired || (!answered && !ask->error_answer.bytes &&
                               (s->error == ETIMEDOUT || s->error == ECONNREFUSED ||
                                (ended && !ask->answers[0].bytes && !ask->answers[1].bytes)));
}

static void forget(const struct nd_search *s, const char *name) {
    nd_stale_forget(name, s->type);
    if (s->type != ND_TYPE_A_AND_AAAA)
        nd_stale_forget(name, ND_TYPE_A_AND_AAAA);
}

static bool has_records_of(const struct nd_dns_message *m, int type) {
    uint8_t name[ND_WIRE_NAME_MAX];
    struct nd_dns_reader reader;
    return m->bytes && nd_dns_answer_count(m->bytes) != 0 && nd_dns_read(&reader, m->bytes, m->size, name) &&
           (int)nd_get16(m->bytes + reader.at - 4) == type;
}

/* The last answer to the question; or to that for both families, where it has addresses of the one that is asked for. */
static struct nd_stale_answer *find(const struct nd_search *s, const char *name, uint64_t state, nd_time now) {
    struct nd_stale_answer *a = nd_stale_find(state, name, s->type, s->lookup->stale, now);
    if (a || s->type == ND_TYPE_A_AND_AAAA)
        return a;
    a = nd_stale_find(state, name, ND_TYPE_A_AND_AAAA, s->lookup->stale, now);
    if (a && !has_records_of(&a->messages[0], s->type) && !has_records_of(&a->messages[1], s->type)) {
        nd_stale_put(a);
        a = NULL;
    }
    return a;
}

/* False: out of memory. */
static bool give(struct nd_search *s, const struct nd_stale_answer *last) {
    struct nd_dns_message copies[2] = {last->messages[0], last->messages[1]};
    if (last->type != s->type) /* one of two was asked for */
        copies[0] = copies[has_records_of(&copies[0], s->type) ? 0 : 1], copies[1] = (struct nd_dns_message){0};
    for (int i = 0; i < 2; i++) {
        const uint8_t *from = copies[i].bytes;
        copies[i].bytes = from ? nd_message_copy(from, copies[i].size) : NULL;
        if (!copies[i].bytes && from) {
            nd_message_free(i > 0 ? copies[0].bytes : NULL);
            return false;
        }
    }
    nd_ask_free(&s->ask);
    memcpy(s->ask.answers, copies, sizeof copies);
    return true;
}

static bool search_until(struct nd_search *s, const char *name, struct nd_lookup *limited) {
    struct nd_lookup *lookup = s->lookup;
    s->lookup = limited;
    bool answered = nd_search(s, name);
    s->lookup = s->ask.lookup = lookup;
    return answered;
}

bool nd_search_or_stale(struct nd_search *s, const char *name) {
    struct nd_lookup *lookup = s->lookup;
    if (!lookup->stale || s->conf->of_program)
        return nd_search(s, name);
    nd_lookup_extend(lookup, s->conf);
    nd_lookup_deadline(lookup); /* it begins here */
    nd_time now = nd_now();
    uint64_t state = nd_stale_state();
    struct nd_stale_answer *last = find(s, name, state, now);
    struct nd_lookup limited = nd_stale_limited(lookup, last != NULL, now);
    bool answered = search_until(s, name, &limited);
    now = nd_now();
    if (last && is_silence(s, answered, &limited) && give(s, last)) {
        lookup->gave_stale = answered = true;
        lookup->stale_age = now - last->stored;
    } else {
        lookup->expired |= limited.expired;
        if (answered && is_whole(s, &limited))
            nd_stale_store(state, name, s->type, s->ask.answers, now);
        else if (!answered && s->error == 0 && s->h_err != TRY_AGAIN)
            forget(s, name);
    }
    nd_stale_put(last);
    return answered;
}
