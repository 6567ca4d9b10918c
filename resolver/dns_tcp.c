#include "resolver/dns_tcp.h"

#include <errno.h>

#define TCP_WAIT (200 * ND_MSEC) /* for an answer by UDP, where an earlier server had more than fits into a datagram */

static bool is_unanswered(const struct nd_exchange *x, const struct nd_attempt *a) {
    for (int i = 0; i < x->ask->question_count; i++)
        if (a->questions[i].sent && !a->questions[i].answered && !nd_exchange_holds(x, i) && nd_exchange_is_open(x, i))
            return true;
    return false;
}

/* One that resets the connection is asked once more, as it may have been restarted, and so is one that answers one
 * question a connection. */
static bool is_to_be_repeated(struct nd_exchange *x, const struct nd_attempt *a) {
    unsigned server = 1u << a->server_index;
    if (!a->tcp || nd_attempt_pending(a) || !is_unanswered(x, a))
        return false;
    if (a->answered > 0)
        return true;
    bool again = a->tcp_error == ECONNRESET && !(x->reset & server);
    x->reset |= again ? server : 0;
    return again;
}

bool nd_tcp_replaces(struct nd_exchange *x, const struct nd_attempt *a) {
    return a->truncated || is_to_be_repeated(x, a);
}

/* The UDP socket is closed before TCP is used, as by libc: a lookup then needs no more descriptors. */
void nd_tcp_ask_instead(struct nd_exchange *x, int place, nd_time now) {
    struct nd_attempt *old = x->attempts[place], *a = NULL;
    int server = old->server_index, slot = old->slot;
    bool sent[2] = {old->questions[0].sent, old->questions[1].sent};
    if (old->truncated) { /* the other question may have been sent apart, or not yet */
        nd_exchange_reopen(x, server);
        sent[0] = sent[1] = true;
    }
    nd_attempt_free(old);
    x->attempts[place] = NULL;
    for (int i = 0; i < x->ask->question_count && i < 2; i++) {
        if (!sent[i] || nd_exchange_holds(x, i) || !nd_exchange_is_open(x, i) ||
            nd_exchange_pending(x, i, server, ND_TCP))
            continue;
        if (!a && !(a = nd_exchange_add(x, server, slot, true, now)))
            return;
        nd_exchange_send(x, a, i);
    }
}

/* Whether the server has said no by UDP where that does not count. */
static bool is_doubted(const struct nd_exchange *x, int which, const struct nd_attempt *a) {
    const struct nd_exchange_question *q = &x->questions[which];
    return q->held.bytes && q->held_by == a->server_index && !nd_exchange_holds(x, which);
}

nd_time nd_tcp_due(const struct nd_exchange *x, const struct nd_attempt *a) {
    bool large = false, doubted = false;
    for (int i = 0; i < x->ask->question_count; i++) {
        if (!x->questions[i].truncated || !a->questions[i].sent || !nd_exchange_is_open(x, i))
            continue;
        large |= !a->questions[i].done;
        doubted |= is_doubted(x, i, a);
    }
    if ((!large && !doubted) || a->tcp || a->also_by_tcp)
        return ND_NEVER;
    nd_time wait = doubted ? 0 : nd_time_sooner(TCP_WAIT, x->schedule.slots[a->slot].wait / 2);
    return nd_time_after(a->began, wait);
}

void nd_tcp_ask_also(struct nd_exchange *x, struct nd_attempt *a, nd_time now) {
    a->also_by_tcp = true;
    struct nd_attempt *b = NULL;
    for (int i = 0; i < x->ask->question_count; i++) {
        if (!a->questions[i].sent || (a->questions[i].done && !is_doubted(x, i, a)) || !nd_exchange_is_open(x, i) ||
            nd_exchange_pending(x, i, a->server_index, ND_TCP))
            continue;
        if (!b && !(b = nd_exchange_add(x, a->server_index, a->slot, true, now)))
            return;
        b->is_second_way = true;
        nd_exchange_send(x, b, i);
    }
}
