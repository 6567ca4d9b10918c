#include "resolver/dns_exchange.h"

#include <errno.h>
#include <string.h>

#include "resolver/dns_message.h"
#include "resolver/server_memory.h"

/* After an error answer libc asks the next server at once. Over TCP it accepts any answer. */
static bool is_error_answer(const uint8_t *p, size_t size, bool tcp) {
    unsigned rcode = nd_dns_rcode(p);
    if (tcp || size < ND_DNS_HEADER)
        return false;
    if (rcode == ND_SERVFAIL || rcode == ND_NOTIMP || rcode == ND_REFUSED)
        return true;
    bool authoritative = p[2] & 4, recursive = p[3] & 0x80;
    return rcode == ND_NOERROR && nd_dns_answer_count(p) == 0 && !authoritative && !recursive && nd_get16(p + 10) == 0;
}

static bool is_positive(const uint8_t *p) {
    return nd_dns_rcode(p) == ND_NOERROR && nd_dns_answer_count(p) != 0;
}

static void store(struct nd_ask *ask, struct nd_dns_message *m, const uint8_t *bytes, size_t size, bool by_tcp) {
    uint8_t *copy = nd_message_copy(bytes, size);
    if (!copy)
        return;
    nd_message_free(m->bytes);
    m->bytes = copy;
    m->size = size;
    m->by_tcp = by_tcp;
    if (!ask->conf->trust_ad)
        copy[3] &= (uint8_t)~0x20;
}

static void note_failure(struct nd_exchange *x, const struct nd_attempt *a) {
    int e = a->is_second_way ? 0 : a->socket_error;
    if (e == EMFILE || e == ENFILE || e == ENOBUFS || e == ENOMEM) {
        x->fatal_error = true;
        x->ask->error = e;
    }
    if (a->tcp && !a->is_second_way)
        x->tcp_error = a->tcp_error;
}

/* libc's search goes on or stops by what its buffer holds in the end: the first answer of the last server that gave
 * one. */
static void note_code(struct nd_exchange *x, const struct nd_attempt *a, const uint8_t *bytes) {
    if (a->answered > 1 || a->slot < x->code_slot)
        return;
    x->code_slot = a->slot;
    x->ask->last_rcode = nd_dns_rcode(bytes);
}

void nd_exchange_answer(void *exchange, struct nd_attempt *a, int which, const uint8_t *bytes, size_t size) {
    struct nd_exchange *x = exchange;
    struct nd_exchange_question *q = &x->questions[which];
    unsigned server = 1u << a->server_index;
    if (!bytes) {
        note_failure(x, a);
        return;
    }
    if (!(x->heard & server))
        nd_server_answered(a->server);
    x->heard |= server;
    note_code(x, a, bytes);
    if (x->ask->answers[which].bytes)
        return;
    if (is_error_answer(bytes, size, a->tcp)) {
        q->errors |= server;
        store(x->ask, &x->ask->error_answer, bytes, size, a->tcp);
    } else if (nd_dns_truncated(bytes) && !a->tcp && !x->ask->conf->ignore_truncation) {
        if (!(x->questions[0].truncated | x->questions[1].truncated) || a->slot < x->truncated_slot)
            x->truncated_slot = a->slot;
        q->truncated |= server;
        a->truncated = true;
    } else if (!is_positive(bytes) && x->schedule.slots[a->slot].libc_start > 0) {
        if (q->held.bytes && (q->held.by_tcp || !a->tcp) && q->held_slot <= a->slot)
            return;
        store(x->ask, &q->held, bytes, size, a->tcp);
        q->held_by = a->server_index;
        q->held_slot = a->slot;
    } else {
        if (!x->ask->answers[1 - which].bytes)
            x->ask->first = which;
        store(x->ask, &x->ask->answers[which], bytes, size, a->tcp);
        q->answered_by = a->server_index;
        if (a->repeated)
            nd_server_answers_one_a_port(a->server);
    }
}

struct nd_attempt *nd_exchange_add(struct nd_exchange *x, int server, int slot, bool tcp, nd_time now) {
    int free_one = 0;
    while (free_one < x->attempt_count && x->attempts[free_one])
        free_one++;
    if (free_one == ND_EXCHANGE_ATTEMPTS)
        return NULL;
    struct nd_attempt *a = nd_attempt_new(&x->ask->conf->servers[server], tcp, nd_exchange_answer, x);
    if (!a) {
        x->fatal_error = true;
        x->ask->error = ENOMEM;
        return NULL;
    }
    a->server_index = server;
    a->slot = slot;
    a->began = now;
    x->attempts[free_one] = a;
    if (free_one == x->attempt_count)
        x->attempt_count++;
    return a;
}

void nd_exchange_send(struct nd_exchange *x, struct nd_attempt *a, int which) {
    x->questions[which].asked |= 1u << a->server_index;
    nd_attempt_send(a, which, x->ask->questions[which].packet, x->ask->questions[which].size);
}

nd_time nd_exchange_libc_time(const struct nd_exchange *x, int slots) {
    nd_time at = x->began;
    for (int slot = 0; slot < slots; slot++) {
        nd_time time = slot < x->next_slot ? x->spent[slot] : x->schedule.slots[slot].full_wait;
        for (int i = 0; i < x->attempt_count; i++)
            if (x->attempts[i] && x->attempts[i]->slot == slot && nd_attempt_pending(x->attempts[i]))
                time = x->schedule.slots[slot].full_wait;
        at = nd_time_after(at, time);
    }
    return at;
}

bool nd_exchange_holds(const struct nd_exchange *x, int which) {
    const struct nd_exchange_question *q = &x->questions[which];
    return q->held.bytes && (q->held.by_tcp || !q->truncated);
}

/* Whether a server that libc would ask before the one of the held answer may still answer. One that is known to be
 * silent does not count, unless it said that it has more of an answer than fits into a datagram. */
static bool waits_for_earlier(const struct nd_exchange *x, int which, nd_time now) {
    const struct nd_exchange_question *q = &x->questions[which];
    bool in_time = now < nd_exchange_libc_time(x, q->held_slot);
    for (int i = 0; i < x->attempt_count; i++) {
        const struct nd_attempt *a = x->attempts[i];
        if (!a || a->slot >= q->held_slot || !a->questions[which].sent || a->questions[which].done)
            continue;
        if (q->truncated >> a->server_index & 1 || (in_time && !nd_server_known(a->server, now).silent))
            return true;
    }
    return false;
}

/* A server that has an address of the other family knows the name. */
static bool knows_name(const struct nd_exchange *x, int which) {
    const struct nd_dns_message *other = &x->ask->answers[1 - which];
    return other->bytes && x->questions[1 - which].answered_by == x->questions[which].held_by &&
           is_positive(other->bytes);
}

void nd_exchange_settle(struct nd_exchange *x, nd_time now) {
    for (int i = 0; i < x->ask->question_count; i++) {
        struct nd_exchange_question *q = &x->questions[i];
        if (!q->held.bytes || x->ask->answers[i].bytes)
            continue;
        if (!knows_name(x, i) && (!nd_exchange_holds(x, i) || waits_for_earlier(x, i, now)))
            continue;
        x->ask->answers[i] = q->held;
        q->answered_by = q->held_by;
        q->held = (struct nd_dns_message){0};
    }
}

void nd_exchange_reopen(struct nd_exchange *x, int server) {
    for (int i = 0; i < x->ask->question_count; i++) {
        struct nd_exchange_question *q = &x->questions[i];
        q->errors &= ~(1u << server);
        if (!x->ask->answers[i].bytes || q->answered_by != server)
            continue;
        nd_message_free(q->spare.bytes);
        q->spare = x->ask->answers[i];
        x->ask->answers[i] = (struct nd_dns_message){0};
    }
}

/* Of a server that says nothing about AAAA libc takes the answer for A alone. */
static bool is_incomplete(const struct nd_exchange *x) {
    int second = nd_exchange_second(x);
    return second >= 0 && nd_exchange_is_open(x, second) &&
           !(second == 1 && nd_exchange_pending(x, 1, x->questions[0].answered_by, ND_UDP));
}

void nd_exchange_end(struct nd_exchange *x) {
    for (int i = 0; i < 2; i++) {
        struct nd_exchange_question *q = &x->questions[i];
        if (!x->ask->answers[i].bytes && q->spare.bytes && is_positive(q->spare.bytes)) {
            x->ask->answers[i] = q->spare;
            q->spare = (struct nd_dns_message){0};
        }
        nd_message_free(q->spare.bytes);
        nd_message_free(q->held.bytes);
    }
    x->ask->incomplete = is_incomplete(x);
}

bool nd_exchange_is_open(const struct nd_exchange *x, int which) {
    if (x->ask->answers[which].bytes)
        return false;
    /* As libc, where a server answers one question and gives an error for the other, the error counts. */
    const struct nd_exchange_question *other = &x->questions[1 - which];
    return !x->ask->answers[1 - which].bytes || !(x->questions[which].errors >> other->answered_by & 1);
}

bool nd_exchange_wants(const struct nd_exchange *x, int which, int server) {
    const struct nd_exchange_question *q = &x->questions[which];
    return nd_exchange_is_open(x, which) && !nd_exchange_holds(x, which) && !(q->truncated >> server & 1);
}

static enum nd_transport transport(const struct nd_exchange *x, const struct nd_attempt *a) {
    if (!a->tcp)
        return ND_UDP;
    return a->is_second_way && a->slot < x->truncated_slot ? ND_TCP_OF_OURS : ND_TCP_OF_LIBC;
}

bool nd_exchange_pending(const struct nd_exchange *x, int which, int server, enum nd_transport by) {
    for (int i = 0; i < x->attempt_count; i++) {
        const struct nd_attempt *a = x->attempts[i];
        if (!a || (server >= 0 && a->server_index != server) || !(by & transport(x, a)))
            continue;
        for (int n = 0; n < 2; n++)
            if (a->questions[n].sent && !a->questions[n].done && (which < 0 ? nd_exchange_is_open(x, n) : n == which))
                return true;
    }
    return false;
}

bool nd_exchange_found(const struct nd_exchange *x, int which) {
    return x->ask->answers[which].bytes && is_positive(x->ask->answers[which].bytes);
}

int nd_exchange_second(const struct nd_exchange *x) {
    if (x->ask->question_count != 2 || !x->ask->answers[0].bytes == !x->ask->answers[1].bytes)
        return -1;
    return x->ask->answers[0].bytes ? 1 : 0;
}

nd_time nd_exchange_held_until(const struct nd_exchange *x) {
    nd_time until = ND_NEVER;
    for (int i = 0; i < x->ask->question_count; i++) {
        const struct nd_exchange_question *q = &x->questions[i];
        if (q->held.bytes && !x->ask->answers[i].bytes)
            until = nd_time_sooner(until, nd_exchange_libc_time(x, q->held_slot));
    }
    return until;
}
