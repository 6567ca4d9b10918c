#include <errno.h>
#include <netdb.h>
#include <string.h>

#include "resolver/musl.h"
#include "resolver/musl_ask.h"
#include "resolver/res_call.h"

#define LEAST_ROOM 512 /* from 1.2.4 on */

/* Returns the answer's length, also where it is longer than `room`; -1: there is none, which is 0 before 1.2.1. */
static int send_query(const uint8_t *query, size_t size, uint8_t *answer, size_t room, struct nd_lookup *lookup) {
    struct nd_musl_conf conf;
    int length = -1;
    const int error = nd_musl_conf_read(&conf);
    if (error) {
        errno = error;
        return -1;
    }
    nd_lookup_extend_to(lookup, nd_musl_patience(&conf));
    const bool is_small = nd_musl_has_tcp() && room < LEAST_ROOM;
    struct nd_musl_ask ask = {.conf = &conf,
                              .lookup = lookup,
                              .questions = {{query, size}},
                              .question_count = 1,
                              .room = is_small ? LEAST_ROOM : room};
    nd_musl_ask(&ask);
    if (ask.error) {
        errno = ask.error;
    } else if (ask.lengths[0] > 0) {
        const size_t kept = ask.answers[0].size;
        memcpy(answer, ask.answers[0].bytes, kept < room ? kept : room);
        length = (int)ask.lengths[0];
    } else if (!nd_musl_needs_both()) {
        length = 0;
    }
    nd_musl_ask_free(&ask);
    return length;
}

static int fail(int h_err) {
    h_errno = h_err;
    return -1;
}

static int query(const struct nd_res_call *c, const char *name, struct nd_lookup *lookup) {
    uint8_t packet[ND_MUSL_QUERY_MAX];
    const int size = nd_musl_make_query(packet, name, c->dns_class, c->type, true);
    if (size < 0 || c->size < 0)
        return -1;
    const int length = send_query(packet, (size_t)size, c->answer, (size_t)c->size, lookup);
    if (!nd_musl_needs_both())
        return length;
    if (length < ND_DNS_HEADER || c->size < ND_DNS_HEADER)
        return fail(TRY_AGAIN);
    if (nd_dns_rcode(c->answer) == ND_NXDOMAIN)
        return fail(HOST_NOT_FOUND);
    if (nd_dns_rcode(c->answer) == ND_NOERROR && nd_dns_answer_count(c->answer) == 0)
        return fail(NO_DATA);
    return length;
}

static int query_domain(const struct nd_res_call *c, struct nd_lookup *lookup) {
    char name[ND_MUSL_NAME];
    const size_t length = strnlen(c->name, ND_MUSL_NAME), rest = strnlen(c->domain, ND_MUSL_NAME);
    if (length + rest + 1 > 254)
        return -1;
    memcpy(name, c->name, length);
    name[length] = '.';
    memcpy(name + length + 1, c->domain, rest + 1);
    return query(c, name, lookup);
}

int nd_musl_res(const struct nd_res_call *c, struct nd_lookup *lookup) {
    nd_lookup_reset(lookup);
    switch (c->operation) {
    case ND_RES_QUERY:
    case ND_RES_SEARCH:
        return query(c, c->name, lookup);
    case ND_RES_QUERYDOMAIN:
        return query_domain(c, lookup);
    default:
        if (c->query_size < ND_DNS_HEADER || c->size < 0)
            return -1;
        return send_query(c->query, (size_t)c->query_size, c->answer, (size_t)c->size, lookup);
    }
}
