#include "resolver/musl_ask.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <string.h>
#include <time.h>

#include "resolver/dns_attempt.h"
#include "resolver/dns_message.h"
#include "resolver/thread.h"
#include "resolver/unfinished.h"

#pragma weak pthread_setcancelstate /* NULL in a program of old glibc without libpthread, where this does not run */
#pragma weak pthread_testcancel

#define LAST_ROUNDS 16 /* of reading what has been received, when the time is over */
enum { INTERRUPTIONS = 100, CANCEL_MASKED = 2 /* musl's PTHREAD_CANCEL_MASKED */ };

struct exchange {
    struct nd_musl_ask *ask;
    struct nd_attempt *udp[ND_MAX_SERVERS], *tcp[2];
    bool by_tcp[2];                /* a datagram had no room for the answer */
    int tcp_server[2];             /* -1: the question is not to be sent there, or has been */
    bool again[ND_MAX_SERVERS][2]; /* to be sent to the server at once */
    int failures_left;             /* SERVFAILs that are answered by another question */
    nd_time sent;
    int interruptions;
    int cancel_state; /* the program's */
    bool is_over, is_cancelled;
};

static bool is_answered(const struct exchange *x, int which) {
    return x->ask->lengths[which] > 0;
}

static bool all_answered(const struct exchange *x) {
    return is_answered(x, 0) && (x->ask->question_count == 1 || is_answered(x, 1));
}

static void store(struct exchange *x, int which, const uint8_t *bytes, size_t size, bool tcp) {
    struct nd_musl_ask *ask = x->ask;
    size_t kept = size < ask->room ? size : ask->room;
    uint8_t *copy = nd_message_copy(bytes, kept);
    if (!copy) {
        ask->error = ENOMEM;
        x->is_over = true;
        return;
    }
    ask->answers[which] = (struct nd_dns_message){.bytes = copy, .size = kept, .by_tcp = tcp};
    ask->lengths[which] = tcp ? size : kept;
}

static void take_tcp(struct exchange *x, int which, const uint8_t *bytes, size_t size) {
    unsigned rcode = bytes ? nd_dns_rcode(bytes) : ND_SERVFAIL;
    if (size > ND_DNS_HEADER && (rcode == ND_NOERROR || rcode == ND_NXDOMAIN))
        store(x, which, bytes, size, true);
    else
        x->is_over = true; /* musl gives up all that is not answered yet */
}

/* The nd_attempt_done of an exchange. New questions are sent later: this is called by c-ares. */
static void take(void *owner, struct nd_attempt *a, int which, const uint8_t *bytes, size_t size) {
    struct exchange *x = owner;
    if (is_answered(x, which) || (x->by_tcp[which] && !a->tcp))
        return;
    if (a->tcp) {
        take_tcp(x, which, bytes, size);
        return;
    }
    if (!bytes)
        return;
    x->ask->has_failed |= nd_dns_rcode(bytes) != ND_NOERROR && nd_dns_rcode(bytes) != ND_NXDOMAIN;
    switch (nd_dns_rcode(bytes)) {
    case ND_NOERROR:
    case ND_NXDOMAIN:
        if (nd_musl_has_tcp() && (nd_dns_truncated(bytes) || size > x->ask->room)) {
            x->by_tcp[which] = true;
            x->tcp_server[which] = a->server_index;
        } else {
            store(x, which, bytes, size, false);
        }
        break;
    case ND_SERVFAIL:
        if (x->failures_left > 0) {
            x->failures_left--;
            x->again[a->server_index][which] = true;
        }
        break;
    default:
        break;
    }
}

static struct nd_attempt *new_attempt(struct exchange *x, int server, bool tcp) {
    struct nd_attempt *a = nd_attempt_new(&x->ask->conf->servers[server], tcp, take, x);
    if (a) {
        a->server_index = server;
    } else {
        x->ask->error = ENOMEM;
        x->is_over = true;
    }
    return a;
}

static void send_udp(struct exchange *x, int server, int which) {
    struct nd_attempt **a = &x->udp[server];
    const struct nd_question *q = &x->ask->questions[which];
    if (*a && (*a)->questions[which].sent && !(*a)->questions[which].done) {
        nd_attempt_resend(*a, which);
        return;
    }
    if (*a && ((*a)->unreachable || (*a)->failures) && !nd_attempt_pending(*a)) { /* refused: from another port */
        nd_attempt_free(*a);
        *a = NULL;
    }
    if (!*a)
        *a = new_attempt(x, server, false);
    if (*a)
        nd_attempt_send(*a, which, q->packet, q->size);
}

/* Where no socket could be opened at all, the lookup fails, as musl's does. */
static void check_sockets(struct exchange *x) {
    int error = 0;
    for (int server = 0; server < x->ask->conf->server_count; server++) {
        if (!x->udp[server] || !x->udp[server]->socket_error)
            return;
        error = x->udp[server]->socket_error;
    }
    x->ask->error = error;
    x->is_over = true;
}

static void send_all(struct exchange *x, nd_time now) {
    x->failures_left = 2 * x->ask->question_count;
    x->sent = now;
    memset(x->again, 0, sizeof x->again);
    for (int which = 0; which < 2 && which < x->ask->question_count; which++)
        for (int server = 0; server < x->ask->conf->server_count; server++)
            if (!is_answered(x, which) && !x->by_tcp[which])
                send_udp(x, server, which);
    check_sockets(x);
}

static void send_tcp(struct exchange *x, int which) {
    const int server = x->tcp_server[which];
    x->tcp_server[which] = -1;
    x->tcp[which] = new_attempt(x, server, true);
    if (x->tcp[which])
        nd_attempt_send(x->tcp[which], which, x->ask->questions[which].packet, x->ask->questions[which].size);
}

/* Sends what the answers so far ask for. */
static void send_due(struct exchange *x) {
    for (int which = 0; which < 2 && which < x->ask->question_count; which++) {
        for (int server = 0; server < x->ask->conf->server_count; server++) {
            if (x->again[server][which] && !is_answered(x, which) && !x->by_tcp[which])
                send_udp(x, server, which);
            x->again[server][which] = false;
        }
        if (x->tcp_server[which] >= 0)
            send_tcp(x, which);
    }
}

/* musl's cancellation points fail with ECANCELED in this state, and the thread lives on. One that waits in musl's own
 * lookup is cancelled there; here it is in a system call that is none, which the signal interrupts. */
static bool is_cancelled(struct exchange *x) {
    if (!nd_libc_is_musl() || x->cancel_state != PTHREAD_CANCEL_ENABLE)
        return false;
    pthread_setcancelstate(CANCEL_MASKED, NULL);
    bool cancelled = poll(NULL, 0, 0) < 0 && errno == ECANCELED;
    pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, NULL);
    x->is_cancelled |= cancelled;
    return cancelled;
}

static void failed_wait(struct exchange *x, int error) {
    if (error != EINTR) { /* a filter */
        x->ask->error = error;
        x->is_over = true;
        return;
    }
    nd_lookup_interrupted(x->ask->lookup);
    if (++x->interruptions >= INTERRUPTIONS) /* a filter that always interrupts */
        nanosleep(&(struct timespec){0, ND_MSEC}, NULL);
}

/* True: something was received, or an attempt has failed. */
static bool wait_and_take(struct exchange *x, struct nd_unfinished *unfinished, int timeout_ms) {
    struct nd_attempt *const attempts[] = {x->udp[0], x->udp[1], x->udp[2], x->tcp[0], x->tcp[1]};
    enum { COUNT = sizeof attempts / sizeof attempts[0] };
    struct pollfd fds[COUNT * ND_ATTEMPT_FDS];
    int counts[COUNT], total = 0;
    for (int i = 0; i < COUNT; i++) {
        counts[i] = attempts[i] && nd_attempt_pending(attempts[i]) ? nd_attempt_poll_set(attempts[i], fds + total) : 0;
        total += counts[i];
    }
    if (is_cancelled(x))
        return false;
    nd_unfinished_wait_begin(unfinished);
    const int ready = nd_poll(fds, (nfds_t)total, timeout_ms), error = errno;
    nd_unfinished_wait_end(unfinished);
    if (ready < 0 && !is_cancelled(x))
        failed_wait(x, error);
    if (ready <= 0)
        return false;
    for (int i = 0, at = 0; i < COUNT; at += counts[i++])
        if (counts[i] > 0)
            nd_attempt_process(attempts[i], fds + at, counts[i]);
    return true;
}

static bool is_done(const struct exchange *x) {
    return x->is_over || x->is_cancelled || all_answered(x);
}

/* The time is over. What was received until now counts: the process may have been stopped meanwhile. */
static void read_the_rest(struct exchange *x, struct nd_unfinished *unfinished) {
    for (int i = 0; i < LAST_ROUNDS && !is_done(x); i++)
        if (!wait_and_take(x, unfinished, 0))
            break;
}

static void run(struct exchange *x, struct nd_unfinished *unfinished) {
    const struct nd_musl_conf *conf = x->ask->conf;
    struct nd_lookup *lookup = x->ask->lookup;
    const nd_time interval = conf->timeout_s * 1000 / conf->attempts * ND_MSEC;
    nd_time now = nd_now();
    const nd_time end = nd_time_after(now, nd_musl_patience(conf));
    for (x->sent = now - interval; now < end && now < nd_lookup_deadline(lookup); now = nd_now()) {
        if (now - x->sent >= interval)
            send_all(x, now);
        else
            send_due(x);
        if (is_done(x))
            return;
        const nd_time next = nd_time_sooner(nd_time_after(x->sent, interval), nd_lookup_deadline(lookup));
        wait_and_take(x, unfinished, nd_time_poll_ms(next, nd_now()));
        if (is_done(x))
            return;
    }
    read_the_rest(x, unfinished);
    if (!is_done(x) && now >= nd_lookup_deadline(lookup))
        lookup->expired = true;
}

void nd_musl_ask(struct nd_musl_ask *ask) {
    struct exchange x = {.ask = ask, .tcp_server = {-1, -1}, .cancel_state = PTHREAD_CANCEL_DISABLE};
    struct nd_unfinished *unfinished = nd_unfinished_begin(ask->lookup);
    if (unfinished) {
        x.cancel_state = nd_unfinished_cancel_state(unfinished);
        run(&x, unfinished);
    } else {
        ask->error = ENOMEM;
    }
    for (int i = 0; i < ND_MAX_SERVERS; i++)
        nd_attempt_free(x.udp[i]);
    nd_attempt_free(x.tcp[0]);
    nd_attempt_free(x.tcp[1]);
    if (x.is_cancelled)
        nd_musl_ask_free(ask);
    nd_unfinished_end(unfinished);
    if (x.is_cancelled)
        pthread_testcancel();
}

void nd_musl_ask_free(struct nd_musl_ask *ask) {
    for (int i = 0; i < 2; i++) {
        nd_message_free(ask->answers[i].bytes);
        ask->answers[i] = (struct nd_dns_message){0};
    }
}
