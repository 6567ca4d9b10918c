#include "resolver/res.h"

#include <errno.h>
#include <string.h>

#include "resolver/dns_search.h"
#include "resolver/kept_connection.h"
#include "resolver/lookup_name.h"
#include "resolver/musl.h"
#include "resolver/res_state.h"

struct call {
    struct __res_state *state; /* NULL: _res */
    struct nd_resolv_conf *conf;
    struct nd_lookup *lookup;
    int error; /* errno's value in the caller */
};

static void set_h_errno(const struct call *c, int value) {
    (c->state ? c->state : &_res)->res_h_errno = value;
    h_errno = value;
}

/* False: libc has to make the call, or there is no memory. */
static bool begin(struct call *c, struct __res_state *state, struct nd_lookup *lookup, bool for_send) {
    *c = (struct call){.state = state, .lookup = lookup, .error = errno};
    nd_lookup_reset(lookup);
    nd_signals_block(lookup);
    if (state && !(state->options & RES_INIT)) {
        lookup->libc_why = "a resolver state that has not been set up";
        return false;
    }
    c->conf = state ? nd_conf_from_state(state) : nd_conf_for_res(for_send);
    if (!c->conf) {
        set_h_errno(c, NETDB_INTERNAL);
        errno = ENOMEM;
        return false;
    }
    lookup->libc_why = c->conf->libc_why;
    if (lookup->libc_why)
        nd_resolv_conf_put(c->conf);
    return !lookup->libc_why;
}

/* libc cuts a datagram at the caller's size; of a longer answer over TCP it returns the full size and sets TC. */
static int copy_answer(const struct nd_dns_message *m, unsigned char *answer, int size) {
    int length = m->size < (size_t)size ? (int)m->size : size;
    memcpy(answer, m->bytes, (size_t)length);
    if (length == (int)m->size || !m->by_tcp)
        return length;
    if (length >= ND_DNS_HEADER)
        answer[2] |= 2;
    return (int)m->size;
}

static int finish(const struct call *c, struct nd_search *s, bool answered, unsigned char *answer, int size) {
    const struct nd_dns_message *m = s->ask.answers[0].bytes ? &s->ask.answers[0] : &s->ask.error_answer;
    int length = m->bytes ? copy_answer(m, answer, size) : 0;
    if (!answered || s->h_err) /* libc's search sets it before it asks */
        set_h_errno(c, s->h_err);
    if (!answered)
        length = -1;
    nd_ask_free(&s->ask);
    nd_resolv_conf_put(c->conf);
    errno = !answered && s->error ? s->error : c->error; /* connects in the background have left theirs */
    return length;
}

static bool check_answer_size(struct call *c, int size) {
    if (size >= ND_DNS_HEADER)
        return true;
    set_h_errno(c, TRY_AGAIN);
    errno = EINVAL;
    nd_resolv_conf_put(c->conf);
    return false;
}

int nd_res_query(struct __res_state *state, const char *name, int dns_class, int type, unsigned char *answer, int size,
                 struct nd_lookup *lookup) {
    struct call c;
    if (!begin(&c, state, lookup, false) || !check_answer_size(&c, size))
        return -1;
    struct nd_search s = {.conf = c.conf, .lookup = lookup, .dns_class = dns_class, .type = type, .edns_size = size};
    bool answered = nd_query(&s, name);
    return finish(&c, &s, answered, answer, size);
}

int nd_res_search(struct __res_state *state, const char *name, int dns_class, int type, unsigned char *answer, int size,
                  struct nd_lookup *lookup) {
    struct call c;
    if (!begin(&c, state, lookup, false) || !check_answer_size(&c, size))
        return -1;
    lookup->libc_why = nd_host_aliases(name);
    if (lookup->libc_why) {
        nd_resolv_conf_put(c.conf);
        return -1;
    }
    struct nd_search s = {.conf = c.conf, .lookup = lookup, .dns_class = dns_class, .type = type, .edns_size = size};
    bool answered = nd_search(&s, name);
    return finish(&c, &s, answered, answer, size);
}

int nd_res_querydomain(struct __res_state *state, const char *name, const char *domain, int dns_class, int type,
                       unsigned char *answer, int size, struct nd_lookup *lookup) {
    struct call c;
    if (!begin(&c, state, lookup, false) || !check_answer_size(&c, size))
        return -1;
    struct nd_search s = {.conf = c.conf, .lookup = lookup, .dns_class = dns_class, .type = type, .edns_size = size};
    bool answered = nd_query_domain(&s, name, domain);
    return finish(&c, &s, answered, answer, size);
}

int nd_res_send(struct __res_state *state, const unsigned char *query, int query_size, unsigned char *answer, int size,
                struct nd_lookup *lookup) {
    struct call c;
    if (!begin(&c, state, lookup, true))
        return -1;
    if (c.conf->no_aaaa) {
        lookup->libc_why = "res_send with no-aaaa";
        nd_resolv_conf_put(c.conf);
        return -1;
    }
    if (query_size < ND_DNS_HEADER || size < ND_DNS_HEADER || c.conf->server_count == 0) {
        errno = c.conf->server_count == 0 ? ESRCH : EINVAL;
        nd_resolv_conf_put(c.conf);
        return -1;
    }
    struct nd_ask ask = {.conf = c.conf,
                         .lookup = lookup,
                         .questions = {{query, (size_t)query_size}},
                         .question_count = 1,
                         .by_tcp = query_size > 512};
    if (!nd_connection_ask(&ask))
        nd_ask(&ask);
    int length = -1;
    if (ask.answers[0].bytes)
        length = copy_answer(&ask.answers[0], answer, size);
    nd_ask_free(&ask);
    nd_resolv_conf_put(c.conf);
    errno = length < 0 ? ask.error : c.error;
    return length;
}

int nd_res(const struct nd_res_call *c, struct nd_lookup *lookup) {
    if (nd_libc_is_musl())
        return nd_musl_res(c, lookup);
    switch (c->operation) {
    case ND_RES_QUERY:
        return nd_res_query(c->state, c->name, c->dns_class, c->type, c->answer, c->size, lookup);
    case ND_RES_SEARCH:
        return nd_res_search(c->state, c->name, c->dns_class, c->type, c->answer, c->size, lookup);
    case ND_RES_QUERYDOMAIN:
        return nd_res_querydomain(c->state, c->name, c->domain, c->dns_class, c->type, c->answer, c->size, lookup);
    default:
        return nd_res_send(c->state, c->query, c->query_size, c->answer, c->size, lookup);
    }
}
