/* A name asked of DNS, with the search list: what res_nquery and res_nsearch are in libc, for one type or for A and AAAA
 * together. */
#ifndef ND_RESOLVER_DNS_SEARCH_H
#define ND_RESOLVER_DNS_SEARCH_H

#include "resolver/dns_ask.h"

#define ND_TYPE_A_AND_AAAA (-1)

struct nd_search {
    /* in */
    const struct nd_resolv_conf *conf;
    struct nd_lookup *lookup;
    int dns_class, type;
    int edns_size; /* the caller's room for an answer */
    /* out */
    struct nd_ask ask; /* the answers; nd_ask_free */
    int h_err;
    int error; /* errno, as libc leaves it for its callers to look at; 0: the name was answered or never sent */
};

/* True when there is an answer with records in it; else h_err says why not (the last packet is kept in `ask`). */
bool nd_query(struct nd_search *search, const char *name);
bool nd_query_domain(struct nd_search *search, const char *name, const char *domain);
bool nd_search(struct nd_search *search, const char *name);

#endif
