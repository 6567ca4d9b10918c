#include "resolver/dns_ask.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <time.h>

#include "resolver/dns_exchange.h"
#include "resolver/dns_message.h"
#include "resolver/dns_tcp.h"
#include "resolver/server_memory.h"
#include "resolver/thread.h"
#include "resolver/unfinished.h"

#pragma weak pthread_testcancel /* NULL in a program without libpthread (glibc < 2.34) */

#define SILENT_WAIT (50 * ND_MSEC) /* for a server that is known to be silent, before the next one is asked, too */
#define LAST_ROUNDS 16             /* of reading what has been received, when the time is over */

/* After so many interruptions poll is not called again at once: it may always fail with EINTR, as a seccomp filter may
 * make it. */
enum { INTERRUPTIONS = 100 };

typedef struct nd_exchange exchange;

static bool is_single(const struct nd_resolv_conf *conf) {
    return (conf->single_request || conf->single_request_reopen) && !conf->use_vc;
}

/* After a truncated answer libc goes on by TCP, and then has no further round. */
static bool is_wanted(const exchange *x, int which, int slot) {
    return (slot < x->ask->conf->server_count || !x->questions[which].truncated) &&
           nd_exchange_wants(x, which, x->schedule.slots[slot].server);
}

/* Sends the server the questions that it is to have; with single-request, the second one after the answer to the first
 * one. A server that answers one question a port has each from a port of its own. */
static void ask_server(exchange *x, int server, nd_time now) {
    const struct nd_resolv_conf *conf = x->ask->conf;
    bool tcp = conf->use_vc || x->ask->by_tcp;
    bool apart = !tcp && nd_server_known(&conf->servers[server], now).one_answer_a_port;
    struct nd_attempt *a = NULL;
    for (int i = 0; i < x->ask->question_count; i++) {
        if (!is_wanted(x, i, x->slot) || nd_exchange_pending(x, i, server, ND_TCP))
            continue;
        if (!a || apart)
            a = nd_exchange_add(x, server, x->slot, tcp, now);
        if (a)
            nd_exchange_send(x, a, i);
        if (is_single(conf))
            break;
    }
}

static bool slot_is_wanted(const exchange *x, int slot, int second) {
    int server = x->schedule.slots[slot].server;
    if (second >= 0) /* it is asked of each server once */
        return is_wanted(x, second, slot) && !(x->questions[second].asked >> server & 1);
    return is_wanted(x, 0, slot) || (x->ask->question_count == 2 && is_wanted(x, 1, slot));
}

/* Passes over slots whose servers are not to be asked. True: there is one that is. */
static bool find_slot(exchange *x, int second) {
    while (x->next_slot < x->schedule.count && !slot_is_wanted(x, x->next_slot, second))
        x->next_slot++;
    return x->next_slot < x->schedule.count;
}

/* Whether nothing is to be expected of the server of that slot; there may be no such slot. */
static bool is_silent(const exchange *x, int slot, nd_time now) {
    return slot >= x->schedule.count ||
           nd_server_known(&x->ask->conf->servers[x->schedule.slots[slot].server], now).silent;
}

static void start_slot(exchange *x, nd_time now) {
    const struct nd_slot *slot = &x->schedule.slots[x->next_slot];
    nd_time wait = slot->wait;
    if (wait > SILENT_WAIT && is_silent(x, x->next_slot, now) && !is_silent(x, x->next_slot + 1, now))
        wait = SILENT_WAIT;
    x->slot = x->next_slot++;
    x->slot_start = now;
    x->slot_end = nd_time_after(now, wait);
    ask_server(x, slot->server, now);
}

static nd_time full_wait(const exchange *x) {
    return x->schedule.slots[x->slot].full_wait;
}

/* With single-request: the second question, after the answer to the first one. */
static void ask_second(exchange *x, struct nd_attempt *a, nd_time now) {
    if (a->tcp || a->questions[1].sent || !a->questions[0].sent || !x->ask->answers[0].bytes ||
        x->questions[0].answered_by != a->server_index || !nd_exchange_wants(x, 1, a->server_index))
        return;
    if (x->ask->conf->single_request_reopen || nd_server_known(a->server, now).one_answer_a_port)
        a = nd_exchange_add(x, a->server_index, a->slot, false, now);
    if (a)
        nd_exchange_send(x, a, 1);
}

/* Continues the attempts that want more than they were begun with, and frees those that are over. */
static void continue_attempts(exchange *x, nd_time now) {
    for (int i = 0; i < x->attempt_count; i++) {
        struct nd_attempt *a = x->attempts[i];
        if (!a)
            continue;
        if (nd_tcp_replaces(x, a)) {
            nd_tcp_ask_instead(x, i, now);
            continue;
        }
        if (now >= nd_tcp_due(x, a))
            nd_tcp_ask_also(x, a, now);
        if (x->ask->question_count == 2 && is_single(x->ask->conf))
            ask_second(x, a, now);
        if (!nd_attempt_pending(a)) {
            x->spent[a->slot] = nd_time_sooner(now - a->began, x->schedule.slots[a->slot].full_wait);
            nd_attempt_free(a);
            x->attempts[i] = NULL;
        }
    }
}

/* A server that cannot be reached may have failed by the time it has been asked. */
static void start_next_slot(exchange *x, nd_time now) {
    start_slot(x, now);
    continue_attempts(x, now);
}

/* One of two answers has been received, and the other may come by UDP from the same server. It is waited for as long as
 * libc waits for one server; A, without which few programs reach anything, for twice as long, and where there is no
 * AAAA record either, for as long as libc waits for all. Half-way its question is sent once more, to the same server
 * from another port: some servers answer only one of two questions from one port. */
static void wait_for_second(exchange *x, int which, nd_time now) {
    int server = x->questions[1 - which].answered_by;
    if (x->second_end == ND_NEVER) {
        x->second_end = nd_time_after(x->slot_start, full_wait(x));
        if (which == 0)
            x->second_end = nd_exchange_found(x, 1) ? nd_time_after(x->second_end, full_wait(x))
                                                    : nd_time_after(x->began, x->schedule.full_length);
        if (x->second_end - now < full_wait(x) / 2) /* a slow server */
            x->second_end = nd_time_after(now, full_wait(x) / 2);
        if (x->ask->lookup->is_part)
            x->second_end = nd_time_sooner(x->second_end, now + (nd_lookup_deadline(x->ask->lookup) - now) / 2);
        x->slot_end = nd_time_sooner(x->slot_end, nd_time_after(x->slot_start, full_wait(x) / 2));
    }
    if (now < x->slot_end || x->repeated)
        return;
    x->repeated = true;
    x->slot_end =
        nd_time_sooner(nd_time_after(now, (x->second_end - now) / 2), nd_time_after(x->slot_start, full_wait(x)));
    struct nd_attempt *a = nd_exchange_add(x, server, x->slot, false, now);
    if (!a)
        return;
    a->repeated = true;
    nd_exchange_send(x, a, which);
}

/* The same for what remains when one of two answers has been received. True: there is nothing left to wait for. */
static bool advance_second(exchange *x, int which, nd_time now) {
    bool silent = nd_exchange_pending(x, which, x->questions[1 - which].answered_by, ND_UDP);
    if (silent)
        wait_for_second(x, which, now);
    while (find_slot(x, which) && (!nd_exchange_pending(x, which, -1, ND_UDP_OR_TCP) || now >= x->slot_end)) {
        start_next_slot(x, now);
        if (!silent) /* the first server has failed: the next one has all its time */
            x->second_end = nd_time_after(now, full_wait(x));
        if (x->fatal_error)
            return true;
    }
    if (!nd_exchange_pending(x, which, -1, ND_UDP_OR_TCP) && !nd_exchange_holds(x, which))
        return true;
    return now >= x->second_end && !nd_exchange_pending(x, which, -1, ND_TCP_OF_LIBC);
}

static bool latest_is_pending(const exchange *x) {
    for (int i = 0; i < x->attempt_count; i++)
        if (x->attempts[i] && x->attempts[i]->slot == x->slot && nd_attempt_pending(x->attempts[i]))
            return true;
    return false;
}

static bool is_answered(exchange *x, nd_time now) {
    nd_exchange_settle(x, now);
    return !nd_exchange_is_open(x, 0) && (x->ask->question_count == 1 || !nd_exchange_is_open(x, 1));
}

static nd_time give_up(const exchange *x) {
    return nd_exchange_libc_time(x, x->schedule.count);
}

/* Sends what is due. True: there is nothing left to wait for. */
static bool advance(exchange *x, nd_time now) {
    if (is_answered(x, now) || x->fatal_error || now >= nd_lookup_deadline(x->ask->lookup))
        return true;
    continue_attempts(x, now);
    int second = nd_exchange_second(x);
    if (second >= 0)
        return advance_second(x, second, now);
    while (find_slot(x, -1)) {
        bool latest = latest_is_pending(x);
        if (latest && now < x->slot_end)
            break;
        x->timed_out |= latest;
        start_next_slot(x, now);
        if (x->fatal_error)
            return true;
    }
    if (!nd_exchange_pending(x, -1, -1, ND_UDP_OR_TCP))
        return true;
    return x->next_slot == x->schedule.count && now >= give_up(x) && !nd_exchange_pending(x, -1, -1, ND_TCP_OF_LIBC);
}

static nd_time sooner_of_those_to_come(nd_time next, nd_time time, nd_time now) {
    return time > now && time < next ? time : next;
}

static nd_time next_event(const exchange *x, nd_time now) {
    nd_time next = nd_lookup_deadline(x->ask->lookup);
    next = sooner_of_those_to_come(next, x->slot_end, now);
    next = sooner_of_those_to_come(next, x->second_end, now);
    if (x->next_slot == x->schedule.count)
        next = sooner_of_those_to_come(next, give_up(x), now);
    for (int i = 0; i < x->attempt_count; i++)
        if (x->attempts[i])
            next = sooner_of_those_to_come(next, nd_tcp_due(x, x->attempts[i]), now);
    return sooner_of_those_to_come(next, nd_exchange_held_until(x), now);
}

/* True: something was received, or an attempt has failed. */
static bool wait_and_process(exchange *x, struct nd_unfinished *unfinished, int timeout_ms) {
    struct pollfd fds[ND_EXCHANGE_ATTEMPTS * ND_ATTEMPT_FDS];
    int counts[ND_EXCHANGE_ATTEMPTS], total = 0;
    for (int i = 0; i < x->attempt_count; i++) {
        struct nd_attempt *a = x->attempts[i];
        counts[i] = a && nd_attempt_pending(a) ? nd_attempt_poll_set(a, fds + total) : 0;
        total += counts[i];
    }
    nd_unfinished_wait_begin(unfinished);
    const int ready = nd_poll(fds, (nfds_t)total, timeout_ms), error = errno;
    nd_unfinished_wait_end(unfinished);
    if (ready < 0 && error == EINTR)
        nd_lookup_interrupted(x->ask->lookup);
    if (ready < 0 && error != EINTR) { /* a filter: libc's own lookup would fail, too */
        x->fatal_error = true;
        x->ask->error = error;
    } else if (ready < 0 && ++x->interruptions >= INTERRUPTIONS) {
        nanosleep(&(struct timespec){0, ND_MSEC}, NULL);
    }
    if (ready <= 0)
        return false;
    for (int i = 0, at = 0, places = x->attempt_count; i < places; at += counts[i++])
        if (counts[i] > 0)
            nd_attempt_process(x->attempts[i], fds + at, counts[i]);
    return true;
}

/* The time is over. What was received until now counts: the process may have been stopped meanwhile. */
static void read_the_rest(exchange *x, struct nd_unfinished *unfinished, nd_time now) {
    for (int i = 0; i < LAST_ROUNDS && !x->fatal_error && !is_answered(x, now); i++)
        if (!wait_and_process(x, unfinished, 0))
            break;
    if (!is_answered(x, now) && !x->fatal_error && now >= nd_lookup_deadline(x->ask->lookup))
        x->ask->lookup->expired = true;
}

static void note_silence(const exchange *x, const struct nd_attempt *a, nd_time now) {
    if (nd_attempt_pending(a) && !(x->heard >> a->server_index & 1))
        nd_server_unanswered(a->server, now - a->began, x->schedule.slots[a->slot].full_wait, x->ask->lookup->expired,
                             now);
}

/* As res_nsend sets errno where no server has answered. */
static int error_without_answer(const exchange *x, nd_time now) {
    if (x->ask->lookup->expired)
        return ETIMEDOUT;
    if (x->tcp_error >= 0)
        return x->tcp_error;
    return x->heard || x->timed_out || now >= x->slot_end ? ETIMEDOUT : ECONNREFUSED;
}

static void end(exchange *x, nd_time now) {
    struct nd_ask *ask = x->ask;
    nd_exchange_end(x);
    if (ask->error == 0 && !ask->answers[0].bytes && !ask->answers[1].bytes)
        ask->error = error_without_answer(x, now);
    for (int i = 0; i < x->attempt_count; i++)
        if (x->attempts[i]) {
            note_silence(x, x->attempts[i], now);
            nd_attempt_free(x->attempts[i]);
        }
}

static void put_conf(void *conf) {
    nd_resolv_conf_put(conf);
}

void nd_ask(struct nd_ask *ask) {
    exchange x = {.ask = ask, .second_end = ND_NEVER, .tcp_error = -1};
    ask->error = 0;
    /* libc's resolver leaks its sockets when it is cancelled in poll. Here cancellation is delayed until the lookup is
     * over, at the deadline at the latest; a thread that makes nothing but lookups is cancelled between two of them. */
    if (pthread_testcancel)
        pthread_testcancel();
    struct nd_unfinished *unfinished = nd_unfinished_begin(ask->lookup);
    nd_unfinished_own(unfinished, put_conf, (struct nd_resolv_conf *)(uintptr_t)ask->conf);
    nd_lookup_extend(ask->lookup, ask->conf);
    nd_servers_renew(ask->conf);
    nd_time now = nd_now();
    nd_schedule_make(&x.schedule, ask->conf, now, nd_lookup_deadline(ask->lookup));
    x.began = now;
    while (!advance(&x, now)) {
        wait_and_process(&x, unfinished, nd_time_poll_ms(next_event(&x, now), now));
        now = nd_now();
    }
    if (!is_answered(&x, now))
        read_the_rest(&x, unfinished, now);
    end(&x, now);
    nd_unfinished_end(unfinished);
}

void nd_ask_free(struct nd_ask *ask) {
    for (int i = 0; i < 2; i++) {
        nd_message_free(ask->answers[i].bytes);
        ask->answers[i] = (struct nd_dns_message){0};
    }
    nd_message_free(ask->error_answer.bytes);
    ask->error_answer = (struct nd_dns_message){0};
}
