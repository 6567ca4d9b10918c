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

/* A server that answers with an error has said something. */
static bool is_silence(const struct nd_search *s, bool answered, const struct nd_lookup *lookup) {
    return lookup->expired ||
           (!answered && (s->error == ETIMEDOUT || s->error == ECONNREFUSED) && !s->ask.error_answer.bytes);
}

/* False: out of memory. */
static bool give(struct nd_search *s, const struct nd_stale_answer *last) {
    struct nd_dns_message copies[2] = {last->messages[0], last->messages[1]};
    for (int i = 0; i < 2; i++) {
        const struct nd_dns_message *from = &last->messages[i];
        copies[i].bytes = from->bytes ? nd_message_copy(from->bytes, from->size) : NULL;
        if (!copies[i].bytes && from->bytes) {
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
    struct nd_stale_answer *last = nd_stale_find(state, name, s->type, lookup->stale, now);
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
            nd_stale_forget(name, s->type);
    }
    nd_stale_put(last);
    return answered;
}
