/* res_query, res_search, res_querydomain, res_send and their res_n forms: DNS queries, bounded by RESOLVE. Those that
 * the resolver cannot make (because of HOSTALIASES or unusual options), and those that another library has functions
 * for, are made in a helper thread. */
#include "base/libc.h"
#include "resolver/helper_res.h"

#include "shim/call/lookup.h"
#include "shim/hook/hook.h"
#include "shim/next.h"

/* Whether another library has a function of the call's kind. */
static bool is_others(const struct nd_res_call *call) {
    if (!nd_next_any)
        return false;
    switch (call->operation) {
    case ND_RES_QUERY:
        return call->state ? nd_next_is(res_nquery) : nd_next_is(res_query);
    case ND_RES_SEARCH:
        return call->state ? nd_next_is(res_nsearch) : nd_next_is(res_search);
    case ND_RES_QUERYDOMAIN:
        return call->state ? nd_next_is(res_nquerydomain) : nd_next_is(res_querydomain);
    default:
        return call->state ? nd_next_is(res_nsend) : nd_next_is(res_send);
    }
}

ND_COLD static int run_query(enum nd_call function, const struct nd_res_call *call) {
    struct nd_lookup_use use;
    struct nd_lookup lookup = nd_lookup_begin(&use, function, call->name);
    bool others = is_others(call);
    int length = others ? -1 : nd_res(call, &lookup);
    if (others || lookup.libc_why) {
        struct nd_res_real real = {.nquery = nd_real.res_nquery,
                                   .nsearch = nd_real.res_nsearch,
                                   .nquerydomain = nd_real.res_nquerydomain,
                                   .nsend = nd_real.res_nsend,
                                   .query = nd_real.res_query,
                                   .search = nd_real.res_search,
                                   .querydomain = nd_real.res_querydomain,
                                   .send = nd_real.res_send};
        length = nd_helper_res(&real, call, &lookup);
    }
    if (length < 0 && lookup.expired && call->operation != ND_RES_SEND) { /* res_send has errno only */
        nd_lookup_set_h_errno(&lookup);
        if (!nd_libc_is_musl()) /* which has one state, and does not use it */
            (call->state ? call->state : &_res)->res_h_errno = h_errno;
    }
    nd_lookup_end(&use, call->name, &lookup);
    return length;
}

static int query_name(enum nd_call function, enum nd_res_operation operation, struct __res_state *state,
                      const char *name, const char *domain, int dns_class, int type, unsigned char *answer, int size) {
    struct nd_res_call call = {.operation = operation,
                               .state = state,
                               .name = name,
                               .domain = domain,
                               .dns_class = dns_class,
                               .type = type,
                               .answer = answer,
                               .size = size};
    return run_query(function, &call);
}

static int send_packet(enum nd_call function, struct __res_state *state, const unsigned char *query, int query_size,
                       unsigned char *answer, int size) {
    struct nd_res_call call = {.operation = ND_RES_SEND,
                               .state = state,
                               .query = query,
                               .query_size = query_size,
                               .answer = answer,
                               .size = size};
    return run_query(function, &call);
}

int nd_hook_res_query(const char *name, int dns_class, int type, unsigned char *answer, int size) {
    if (nd_lookup_is_bounded(name))
        return query_name(ND_OPERATION_res_query, ND_RES_QUERY, NULL, name, NULL, dns_class, type, answer, size);
    return nd_lookup_by_libc(ND_OPERATION_res_query, name, nd_real.res_query(name, dns_class, type, answer, size));
}
ND_ALIAS_OF(__res_query, res_query);

int nd_hook_res_nquery(struct __res_state *state, const char *name, int dns_class, int type, unsigned char *answer,
                       int size) {
    if (nd_lookup_is_bounded(name))
        return query_name(ND_OPERATION_res_nquery, ND_RES_QUERY, state, name, NULL, dns_class, type, answer, size);
    return nd_lookup_by_libc(ND_OPERATION_res_nquery, name,
                             nd_real.res_nquery(state, name, dns_class, type, answer, size));
}
ND_ALIAS_OF(__res_nquery, res_nquery);

int nd_hook_res_search(const char *name, int dns_class, int type, unsigned char *answer, int size) {
    if (nd_lookup_is_bounded(name))
        return query_name(ND_OPERATION_res_search, ND_RES_SEARCH, NULL, name, NULL, dns_class, type, answer, size);
    return nd_lookup_by_libc(ND_OPERATION_res_search, name, nd_real.res_search(name, dns_class, type, answer, size));
}
ND_ALIAS_OF(__res_search, res_search);

int nd_hook_res_nsearch(struct __res_state *state, const char *name, int dns_class, int type, unsigned char *answer,
                        int size) {
    if (nd_lookup_is_bounded(name))
        return query_name(ND_OPERATION_res_nsearch, ND_RES_SEARCH, state, name, NULL, dns_class, type, answer, size);
    return nd_lookup_by_libc(ND_OPERATION_res_nsearch, name,
                             nd_real.res_nsearch(state, name, dns_class, type, answer, size));
}
ND_ALIAS_OF(__res_nsearch, res_nsearch);

int nd_hook_res_querydomain(const char *name, const char *domain, int dns_class, int type, unsigned char *answer,
                            int size) {
    if (nd_lookup_is_bounded(name))
        return query_name(ND_OPERATION_res_querydomain, ND_RES_QUERYDOMAIN, NULL, name, domain, dns_class, type, answer,
                          size);
    return nd_lookup_by_libc(ND_OPERATION_res_querydomain, name,
                             nd_real.res_querydomain(name, domain, dns_class, type, answer, size));
}
ND_ALIAS_OF(__res_querydomain, res_querydomain);

int nd_hook_res_nquerydomain(struct __res_state *state, const char *name, const char *domain, int dns_class, int type,
                             unsigned char *answer, int size) {
    if (nd_lookup_is_bounded(name))
        return query_name(ND_OPERATION_res_nquerydomain, ND_RES_QUERYDOMAIN, state, name, domain, dns_class, type,
                          answer, size);
    return nd_lookup_by_libc(ND_OPERATION_res_nquerydomain, name,
                             nd_real.res_nquerydomain(state, name, domain, dns_class, type, answer, size));
}
ND_ALIAS_OF(__res_nquerydomain, res_nquerydomain);

int nd_hook_res_send(const unsigned char *query, int query_size, unsigned char *answer, int size) {
    if (nd_lookup_is_bounded(NULL))
        return send_packet(ND_OPERATION_res_send, NULL, query, query_size, answer, size);
    return nd_lookup_by_libc(ND_OPERATION_res_send, NULL, nd_real.res_send(query, query_size, answer, size));
}
ND_ALIAS_OF(__res_send, res_send);

int nd_hook_res_nsend(struct __res_state *state, const unsigned char *query, int query_size, unsigned char *answer,
                      int size) {
    if (nd_lookup_is_bounded(NULL))
        return send_packet(ND_OPERATION_res_nsend, state, query, query_size, answer, size);
    return nd_lookup_by_libc(ND_OPERATION_res_nsend, NULL, nd_real.res_nsend(state, query, query_size, answer, size));
}
ND_ALIAS_OF(__res_nsend, res_nsend);
