#include "resolver/dns_search.h"

#include <errno.h>
#include <netdb.h>
#include <string.h>

#include "resolver/kept_connection.h"
#include "resolver/random.h"

#define MAX_NAME 1025 /* MAXDNAME */

static bool fail(struct nd_search *s, int h_err) {
    s->h_err = h_err;
    return false;
}

/* Sets h_err from the response codes; where only one family was answered, it stands for both. As in res_query.c, an
 * answer with records counts even where the other one is an error. True: there is such an answer. */
static bool set_h_err(struct nd_search *s) {
    const struct nd_dns_message *a = &s->ask.answers[0], *b = &s->ask.answers[1];
    if (!a->bytes)
        a = b;
    if (!b->bytes)
        b = a;
    if (!a->bytes || !b->bytes)
        return fail(s, TRY_AGAIN);
    unsigned code_a = nd_dns_rcode(a->bytes), code_b = nd_dns_rcode(b->bytes);
    bool full_a = nd_dns_answer_count(a->bytes) != 0, full_b = nd_dns_answer_count(b->bytes) != 0;
    if ((code_a == ND_NOERROR && full_a) || (code_b == ND_NOERROR && full_b))
        return true;
    switch (code_a == ND_NOERROR ? code_b : code_a) {
    case ND_NXDOMAIN:
        return fail(s, HOST_NOT_FOUND);
    case ND_SERVFAIL:
        return fail(s, TRY_AGAIN);
    case ND_NOERROR:
        return fail(s, NO_DATA);
    default:
        return fail(s, NO_RECOVERY);
    }
}

/* With no-aaaa, libc asks for A without EDNS instead of AAAA, to distinguish a name without addresses from a name that
 * does not exist. hide_records then removes all but the question from the answer. */
static int ask_a_instead(uint8_t *packet, int size, const struct nd_resolv_conf *conf) {
    if (conf->edns0 || conf->dnssec)
        size -= 11;
    packet[11] = 0;
    packet[size - 3] = ND_TYPE_A;
    return size;
}

static void hide_records(struct nd_dns_message *m) {
    struct nd_dns_reader reader;
    uint8_t name[ND_WIRE_NAME_MAX];
    if (!m->bytes || !nd_dns_read(&reader, m->bytes, m->size, name))
        return;
    memset(m->bytes + 6, 0, 6);
    m->size = reader.at;
    m->bytes[reader.at - 3] = ND_TYPE_AAAA;
}

/* In libc the answer that was received first stands first: it gives the canonical name, and the code where both are
 * errors. */
static void order_answers(struct nd_ask *ask) {
    struct nd_dns_message m = ask->answers[0];
    if (ask->first == 0)
        return;
    ask->answers[0] = ask->answers[1];
    ask->answers[1] = m;
}

bool nd_query(struct nd_search *s, const char *name) {
    uint8_t packets[2][ND_DNS_QUERY_MAX], ids[2][2];
    bool both = s->type == ND_TYPE_A_AND_AAAA;
    bool hidden = s->type == ND_TYPE_AAAA && s->conf->no_aaaa && s->dns_class == 1;
    nd_random(ids, sizeof ids);
    nd_ask_free(&s->ask);
    unsigned last_rcode = s->ask.last_rcode; /* stays where no server answers, as in libc's buffer */
    s->ask =
        (struct nd_ask){.conf = s->conf, .lookup = s->lookup, .question_count = both ? 2 : 1, .last_rcode = last_rcode};
    for (int i = 0; i < s->ask.question_count; i++) {
        int type = !both ? s->type : i == 0 ? ND_TYPE_A : ND_TYPE_AAAA;
        int size =
            nd_dns_make_query(packets[i], name, s->dns_class, type, s->conf, both ? 65535 : s->edns_size, ids[i]);
        if (size < 0) {
            s->error = EMSGSIZE;
            return fail(s, NO_RECOVERY);
        }
        if (hidden)
            size = ask_a_instead(packets[i], size, s->conf);
        s->ask.questions[i] = (struct nd_question){packets[i], (size_t)size};
    }
    if (!nd_connection_ask(&s->ask))
        nd_ask(&s->ask);
    if (hidden) {
        hide_records(&s->ask.answers[0]);
        hide_records(&s->ask.error_answer);
    }
    if (both)
        order_answers(&s->ask);
    memset(s->ask.questions, 0, sizeof s->ask.questions); /* they are in this frame */
    s->error = s->ask.error;
    if (!s->ask.answers[0].bytes && !s->ask.answers[1].bytes)
        return fail(s, TRY_AGAIN);
    if (set_h_err(s))
        return true;
    if (s->lookup->expired ||
        s->ask.incomplete) { /* a negative answer for one family and none for the other: not known */
        s->error = ETIMEDOUT;
        s->h_err = TRY_AGAIN;
    }
    return false;
}

bool nd_query_domain(struct nd_search *s, const char *name, const char *domain) {
    char full[MAX_NAME];
    size_t n = strlen(name), d = domain ? strlen(domain) : 0;
    if (!domain)
        return n == 0 || n >= MAX_NAME ? fail(s, NO_RECOVERY) : nd_query(s, name);
    if (n + d + 1 >= MAX_NAME)
        return fail(s, NO_RECOVERY);
    memcpy(full, name, n);
    full[n] = '.';
    memcpy(full + n + 1, domain, d);
    full[n + 1 + d] = '\0';
    return nd_query(s, full);
}

/* What the queries along the search list returned. */
struct search_results {
    bool searched, got_nodata, got_servfail, root_listed, refused, answered;
};

/* True: the next domain of the search list is to be queried. */
static bool try_next_domain(struct nd_search *s, struct search_results *w) {
    if (s->lookup->expired)
        return false;
    if (s->error == ECONNREFUSED) { /* no server is reachable: no other domain is queried */
        w->refused = true;
        return false;
    }
    switch (s->h_err) {
    case NO_DATA:
        w->got_nodata = true;
        return true;
    case HOST_NOT_FOUND:
        return true;
    case TRY_AGAIN:
        if (s->ask.last_rcode != ND_SERVFAIL)
            return false;
        w->got_servfail = true;
        return true;
    default:
        return false;
    }
}

static void query_search_list(struct nd_search *s, const char *name, struct search_results *w) {
    for (size_t i = 0; i < s->conf->search_count; i++) {
        const char *domain = s->conf->search[i];
        if (*domain == '.')
            domain++;
        w->searched = true;
        w->root_listed |= *domain == '\0';
        w->answered = nd_query_domain(s, name, domain);
        if (w->answered || !try_next_domain(s, w) || s->conf->no_search)
            return;
    }
}

bool nd_search(struct nd_search *s, const char *name) {
    const struct nd_resolv_conf *conf = s->conf;
    struct search_results w = {0};
    int dots = 0, first_h_err = -1;
    size_t size = strlen(name);
    for (const char *p = name; *p; p++)
        dots += *p == '.';
    bool absolute = size > 0 && name[size - 1] == '.';
    s->h_err = HOST_NOT_FOUND;
    s->error = 0;

    if (dots >= conf->ndots || absolute) {
        bool answered = nd_query_domain(s, name, NULL);
        if (answered || absolute || s->lookup->expired)
            return answered;
        first_h_err = s->h_err;
    }
    if (!absolute && (dots ? !conf->no_search : !conf->no_default_domain)) {
        query_search_list(s, name, &w);
        if (w.answered)
            return true;
        if (w.refused || s->lookup->expired)
            return fail(s, TRY_AGAIN);
    }
    bool as_is = dots || !w.searched || !conf->no_tld_query;
    if (as_is && first_h_err == -1 && !w.root_listed) {
        if (nd_query_domain(s, name, NULL))
            return true;
        if (s->lookup->expired)
            return false;
    }
    if (first_h_err != -1)
        s->h_err = first_h_err;
    else if (w.got_nodata)
        s->h_err = NO_DATA;
    else if (w.got_servfail)
        s->h_err = TRY_AGAIN;
    return false;
}
