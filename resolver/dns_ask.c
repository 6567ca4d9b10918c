#include "resolver/dns_ask.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "resolver/dns_attempt.h"
#include "resolver/dns_schedule.h"

/* In the program only where it, or its libc, has threads. */
#pragma weak pthread_testcancel
#pragma weak pthread_setcancelstate

#define MAX_ATTEMPTS (ND_MAX_SLOTS + 2)

struct state {
    struct nd_ask *ask;
    struct nd_schedule schedule;
    struct nd_attempt *attempts[MAX_ATTEMPTS];
    int attempt_count, slot;
    nd_time slot_start, slot_end; /* of the attempt sent last */
    nd_time give_up;              /* where glibc would */
    nd_time partial_end;          /* how long the second half is waited for; ND_NEVER: no half is there yet */
    bool heard, timed_out, asked_again, failed_hard;
};

/* Neither an answer nor a reason to wait on: the next server is asked at once. Over TCP glibc takes what comes. */
static bool is_refusal(const uint8_t *p, size_t size, bool tcp) {
    unsigned rcode = nd_dns_rcode(p);
    if (tcp || size < ND_DNS_HEADER)
        return false;
    if (rcode == ND_SERVFAIL || rcode == ND_NOTIMP || rcode == ND_REFUSED)
        return true;
    bool authoritative = p[2] & 4, recursive = p[3] & 0x80;
    return rcode == ND_NOERROR && nd_dns_answer_count(p) == 0 && !authoritative && !recursive && nd_get16(p + 10) == 0;
}

static void keep(struct nd_ask *ask, struct nd_dns_message *m, const uint8_t *bytes, size_t size, bool by_tcp) {
    uint8_t *copy = malloc(size);
    if (!copy)
        return;
    memcpy(copy, bytes, size);
    free(m->bytes);
    m->bytes = copy;
    m->size = size;
    m->by_tcp = by_tcp;
    if (!ask->conf->trust_ad)
        copy[3] &= (uint8_t)~0x20;
}

static void told(void *owner, struct nd_attempt *a, int which, const uint8_t *bytes, size_t size) {
    struct state *s = owner;
    if (!bytes) {
        int e = a->socket_error;
        if (e == EMFILE || e == ENFILE || e == ENOBUFS || e == ENOMEM) {
            s->failed_hard = true;
            s->ask->error = e;
        }
        return;
    }
    if (!s->heard)
        s->ask->first_rcode = nd_dns_rcode(bytes);
    s->heard = true;
    if (is_refusal(bytes, size, a->tcp))
        keep(s->ask, &s->ask->refusal, bytes, size, a->tcp);
    else if (!s->ask->answers[which].bytes)
        keep(s->ask, &s->ask->answers[which], bytes, size, a->tcp);
}

static int answer_count(const struct nd_ask *ask) {
    return (ask->answers[0].bytes != NULL) + (ask->answers[1].bytes != NULL);
}

/* Ask `server` for what is still missing. With single-request, the second question follows the first one's answer. */
static void start_attempt(struct state *s, int server, nd_time now, nd_time wait) {
    struct nd_ask *ask = s->ask;
    const struct nd_resolv_conf *conf = ask->conf;
    s->slot_start = now;
    s->slot_end = nd_time_after(now, wait);
    if (s->attempt_count == MAX_ATTEMPTS)
        return;
    struct nd_attempt *a =
        nd_attempt_new(&conf->servers[server], conf->use_vc || ask->by_tcp, conf->ignore_truncation, told, s);
    if (!a) {
        s->failed_hard = true;
        ask->error = ENOMEM;
        return;
    }
    a->server_index = server;
    s->attempts[s->attempt_count++] = a;
    bool single = (conf->single_request || conf->single_request_reopen) && !conf->use_vc;
    for (int i = 0; i < ask->question_count; i++) {
        if (ask->answers[i].bytes)
            continue;
        nd_attempt_send(a, i, ask->questions[i].packet, ask->questions[i].size);
        if (single)
            break;
    }
}

static void start_next_slot(struct state *s, nd_time now) {
    const struct nd_slot *slot = &s->schedule.slots[s->slot++];
    start_attempt(s, slot->server, now, slot->wait);
}

/* One answer of two is here: the other is waited for as long as glibc waits for one server, and asked for once more in
 * between, of the same server by another port (some answer only one of two questions from one port). */
static void go_on_with_half(struct state *s, nd_time now) {
    struct nd_attempt *last = s->attempts[s->attempt_count - 1];
    nd_time timeout = s->schedule.slots[s->slot - 1].full_wait;
    const struct nd_resolv_conf *conf = s->ask->conf;
    if (s->partial_end == ND_NEVER) {
        s->partial_end = nd_time_after(s->slot_start, timeout);
        nd_time middle = nd_time_after(s->slot_start, timeout / 2);
        if (middle < s->slot_end)
            s->slot_end = middle;
    }
    bool second_waits = !nd_attempt_pending(last) && !last->questions[1].sent && !s->ask->answers[1].bytes;
    if (second_waits && s->ask->question_count == 2 && !s->asked_again) { /* single-request */
        if (conf->single_request_reopen)
            start_attempt(s, last->server_index, now, s->partial_end - now);
        else
            nd_attempt_send(last, 1, s->ask->questions[1].packet, s->ask->questions[1].size);
        if (conf->single_request_reopen)
            s->asked_again = true;
        return;
    }
    if (now >= s->slot_end && !s->asked_again) {
        s->asked_again = true;
        start_attempt(s, last->server_index, now, s->partial_end - now);
    }
}

static bool any_pending(const struct state *s, bool *tcp) {
    bool any = false;
    *tcp = false;
    for (int i = 0; i < s->attempt_count; i++)
        if (nd_attempt_pending(s->attempts[i])) {
            any = true;
            *tcp |= s->attempts[i]->tcp;
        }
    return any;
}

/* True: nothing is left to wait for. Starts what is due. */
static bool advance(struct state *s, nd_time now) {
    struct nd_ask *ask = s->ask;
    bool tcp, pending;
    if (s->failed_hard || answer_count(ask) == ask->question_count)
        return true;
    if (now >= nd_lookup_deadline(ask->lookup)) {
        ask->lookup->expired = true;
        return true;
    }
    if (answer_count(ask) > 0) {
        go_on_with_half(s, now);
        pending = any_pending(s, &tcp);
        return !pending || (now >= s->partial_end && !tcp);
    }
    while (s->slot < s->schedule.count) {
        bool latest = s->attempt_count > 0 && nd_attempt_pending(s->attempts[s->attempt_count - 1]);
        if (latest && now < s->slot_end)
            break;
        s->timed_out |= latest;
        start_next_slot(s, now);
        if (s->failed_hard)
            return true;
    }
    pending = any_pending(s, &tcp);
    return !pending || (now >= s->give_up && !tcp && s->slot == s->schedule.count);
}

static nd_time next_event(const struct state *s) {
    nd_time next = nd_lookup_deadline(s->ask->lookup);
    bool tcp;
    any_pending(s, &tcp);
    bool more = answer_count(s->ask) > 0 ? !s->asked_again : s->slot < s->schedule.count;
    if (more && s->slot_end < next)
        next = s->slot_end;
    if (!more && !tcp && answer_count(s->ask) == 0 && s->give_up < next)
        next = s->give_up;
    if (!tcp && s->partial_end < next)
        next = s->partial_end;
    return next;
}

static void wait_and_process(struct state *s, nd_time now) {
    struct pollfd fds[MAX_ATTEMPTS * ND_ATTEMPT_FDS];
    int counts[MAX_ATTEMPTS], total = 0;
    for (int i = 0; i < s->attempt_count; i++) {
        counts[i] = nd_attempt_pending(s->attempts[i]) ? nd_attempt_poll_set(s->attempts[i], fds + total) : 0;
        total += counts[i];
    }
    if (poll(fds, (nfds_t)total, nd_time_poll_ms(next_event(s), now)) <= 0)
        return;
    for (int i = 0, at = 0; i < s->attempt_count; at += counts[i++])
        nd_attempt_process(s->attempts[i], fds + at, counts[i]);
}

void nd_ask(struct nd_ask *ask) {
    struct state s = {.ask = ask, .partial_end = ND_NEVER};
    int old_state = 0;
    ask->error = 0;
    ask->first_rcode = ND_NOERROR;
    /* libc's own resolver leaks its sockets when cancelled in its poll. Here cancellation waits until the lookup is over,
     * at the deadline at the latest; a thread that does nothing but look names up is cancelled between two. */
    if (pthread_testcancel)
        pthread_testcancel();
    if (pthread_setcancelstate)
        pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &old_state);

    nd_time now = nd_now();
    nd_schedule_make(&s.schedule, ask->conf, now, nd_lookup_deadline(ask->lookup));
    s.give_up = nd_time_after(now, s.schedule.full_length);
    while (!advance(&s, now)) {
        wait_and_process(&s, now);
        now = nd_now();
    }
    if (ask->error == 0 && answer_count(ask) == 0)
        ask->error = s.heard || s.timed_out || now >= s.slot_end ? ETIMEDOUT : ECONNREFUSED;
    for (int i = 0; i < s.attempt_count; i++)
        nd_attempt_free(s.attempts[i]);
    if (pthread_setcancelstate)
        pthread_setcancelstate(old_state, NULL);
}

void nd_ask_free(struct nd_ask *ask) {
    for (int i = 0; i < 2; i++) {
        free(ask->answers[i].bytes);
        ask->answers[i] = (struct nd_dns_message){0};
    }
    free(ask->refusal.bytes);
    ask->refusal = (struct nd_dns_message){0};
}
