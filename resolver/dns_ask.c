#include "resolver/dns_ask.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "resolver/dns_attempt.h"
#include "resolver/dns_schedule.h"
#include "resolver/thread.h"

#pragma weak pthread_testcancel /* NULL in a program without libpthread (glibc < 2.34) */

#define MAX_ATTEMPTS (ND_MAX_SLOTS + 2)

struct state {
    struct nd_ask *ask;
    struct nd_schedule schedule;
    struct nd_attempt *attempts[MAX_ATTEMPTS];
    int attempt_count, slot;
    nd_time slot_start, slot_end; /* of the attempt sent last */
    nd_time give_up;              /* when glibc would give up */
    nd_time second_end;           /* until when the second of two answers is waited for; ND_NEVER: none received yet */
    bool received, timed_out, resent, fatal_error;
};

/* After an error answer glibc asks the next server at once. Over TCP it accepts any answer. */
static bool is_error_answer(const uint8_t *p, size_t size, bool tcp) {
    unsigned rcode = nd_dns_rcode(p);
    if (tcp || size < ND_DNS_HEADER)
        return false;
    if (rcode == ND_SERVFAIL || rcode == ND_NOTIMP || rcode == ND_REFUSED)
        return true;
    bool authoritative = p[2] & 4, recursive = p[3] & 0x80;
    return rcode == ND_NOERROR && nd_dns_answer_count(p) == 0 && !authoritative && !recursive && nd_get16(p + 10) == 0;
}

static void store(struct nd_ask *ask, struct nd_dns_message *m, const uint8_t *bytes, size_t size, bool by_tcp) {
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

static void on_answer(void *owner, struct nd_attempt *a, int which, const uint8_t *bytes, size_t size) {
    struct state *s = owner;
    if (!bytes) {
        int e = a->socket_error;
        if (e == EMFILE || e == ENFILE || e == ENOBUFS || e == ENOMEM) {
            s->fatal_error = true;
            s->ask->error = e;
        }
        return;
    }
    if (!s->received)
        s->ask->first_rcode = nd_dns_rcode(bytes);
    s->received = true;
    if (is_error_answer(bytes, size, a->tcp))
        store(s->ask, &s->ask->error_answer, bytes, size, a->tcp);
    else if (!s->ask->answers[which].bytes)
        store(s->ask, &s->ask->answers[which], bytes, size, a->tcp);
}

static int answer_count(const struct nd_ask *ask) {
    return (ask->answers[0].bytes != NULL) + (ask->answers[1].bytes != NULL);
}

/* Sends `server` the unanswered questions; with single-request, the second one after the answer to the first one. */
static void start_attempt(struct state *s, int server, nd_time now, nd_time wait) {
    struct nd_ask *ask = s->ask;
    const struct nd_resolv_conf *conf = ask->conf;
    s->slot_start = now;
    s->slot_end = nd_time_after(now, wait);
    if (s->attempt_count == MAX_ATTEMPTS)
        return;
    struct nd_attempt *a =
        nd_attempt_new(&conf->servers[server], conf->use_vc || ask->by_tcp, conf->ignore_truncation, on_answer, s);
    if (!a) {
        s->fatal_error = true;
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

/* One of two answers has been received. The other is waited for as long as glibc waits for one server. Half-way its
 * question is sent once more, to the same server from another port: some servers answer only one of two questions from
 * one port. */
static void wait_for_second(struct state *s, nd_time now) {
    struct nd_attempt *last = s->attempts[s->attempt_count - 1];
    nd_time timeout = s->schedule.slots[s->slot - 1].full_wait;
    const struct nd_resolv_conf *conf = s->ask->conf;
    if (s->second_end == ND_NEVER) {
        s->second_end = nd_time_after(s->slot_start, timeout);
        nd_time middle = nd_time_after(s->slot_start, timeout / 2);
        if (middle < s->slot_end)
            s->slot_end = middle;
    }
    bool second_waits = !nd_attempt_pending(last) && !last->questions[1].sent && !s->ask->answers[1].bytes;
    if (second_waits && s->ask->question_count == 2 && !s->resent) { /* single-request */
        if (conf->single_request_reopen)
            start_attempt(s, last->server_index, now, s->second_end - now);
        else
            nd_attempt_send(last, 1, s->ask->questions[1].packet, s->ask->questions[1].size);
        if (conf->single_request_reopen)
            s->resent = true;
        return;
    }
    if (now >= s->slot_end && !s->resent) {
        s->resent = true;
        start_attempt(s, last->server_index, now, s->second_end - now);
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

/* Sends what is due. True: there is nothing left to wait for. */
static bool advance(struct state *s, nd_time now) {
    struct nd_ask *ask = s->ask;
    bool tcp, pending;
    if (s->fatal_error || answer_count(ask) == ask->question_count)
        return true;
    if (now >= nd_lookup_deadline(ask->lookup)) {
        ask->lookup->expired = true;
        return true;
    }
    if (answer_count(ask) > 0) {
        wait_for_second(s, now);
        pending = any_pending(s, &tcp);
        return !pending || (now >= s->second_end && !tcp);
    }
    while (s->slot < s->schedule.count) {
        bool latest = s->attempt_count > 0 && nd_attempt_pending(s->attempts[s->attempt_count - 1]);
        if (latest && now < s->slot_end)
            break;
        s->timed_out |= latest;
        start_next_slot(s, now);
        if (s->fatal_error)
            return true;
    }
    pending = any_pending(s, &tcp);
    return !pending || (now >= s->give_up && !tcp && s->slot == s->schedule.count);
}

static nd_time next_event(const struct state *s) {
    nd_time next = nd_lookup_deadline(s->ask->lookup);
    bool tcp;
    any_pending(s, &tcp);
    bool more = answer_count(s->ask) > 0 ? !s->resent : s->slot < s->schedule.count;
    if (more && s->slot_end < next)
        next = s->slot_end;
    if (!more && !tcp && answer_count(s->ask) == 0 && s->give_up < next)
        next = s->give_up;
    if (!tcp && s->second_end < next)
        next = s->second_end;
    return next;
}

static void wait_and_process(struct state *s, struct nd_unfinished *unfinished, nd_time now) {
    struct pollfd fds[MAX_ATTEMPTS * ND_ATTEMPT_FDS];
    int counts[MAX_ATTEMPTS], total = 0;
    for (int i = 0; i < s->attempt_count; i++) {
        counts[i] = nd_attempt_pending(s->attempts[i]) ? nd_attempt_poll_set(s->attempts[i], fds + total) : 0;
        total += counts[i];
    }
    int timeout_ms = nd_time_poll_ms(next_event(s), now);
    nd_unfinished_wait_begin(unfinished);
    int ready = nd_poll(fds, (nfds_t)total, timeout_ms);
    nd_unfinished_wait_end(unfinished);
    if (ready <= 0)
        return;
    for (int i = 0, at = 0; i < s->attempt_count; at += counts[i++])
        nd_attempt_process(s->attempts[i], fds + at, counts[i]);
}

void nd_ask(struct nd_ask *ask) {
    struct state s = {.ask = ask, .second_end = ND_NEVER};
    ask->error = 0;
    ask->first_rcode = ND_NOERROR;
    /* libc's resolver leaks its sockets when it is cancelled in poll. Here cancellation is delayed until the lookup is
     * over, at the deadline at the latest; a thread that makes nothing but lookups is cancelled between two of them. */
    if (pthread_testcancel)
        pthread_testcancel();
    struct nd_unfinished *unfinished = nd_unfinished_begin();
    nd_time now = nd_now();
    nd_schedule_make(&s.schedule, ask->conf, now, nd_lookup_deadline(ask->lookup));
    s.give_up = nd_time_after(now, s.schedule.full_length);
    while (!advance(&s, now)) {
        wait_and_process(&s, unfinished, now);
        now = nd_now();
    }
    if (ask->error == 0 && answer_count(ask) == 0)
        ask->error = s.received || s.timed_out || now >= s.slot_end ? ETIMEDOUT : ECONNREFUSED;
    for (int i = 0; i < s.attempt_count; i++)
        nd_attempt_free(s.attempts[i]);
    nd_unfinished_end(unfinished);
}

void nd_ask_free(struct nd_ask *ask) {
    for (int i = 0; i < 2; i++) {
        free(ask->answers[i].bytes);
        ask->answers[i] = (struct nd_dns_message){0};
    }
    free(ask->error_answer.bytes);
    ask->error_answer = (struct nd_dns_message){0};
}
