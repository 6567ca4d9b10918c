/* Queries DNS for a name with the search list, as res_nquery and res_nsearch do in libc, for one type or for A and AAAA
 * together. */
#pragma once

#include "resolver/dns_ask.h"

#define ND_TYPE_A_AND_AAAA (-1)

struct nd_search {
    /* in */
    const struct nd_resolv_conf *conf;
    struct nd_lookup *lookup;
    int dns_class, type;
    int edns_size; /* size of the caller's buffer for an answer */
    /* out */
    struct nd_ask ask; /* the answers; released by nd_ask_free */
    int h_err;
    int error; /* errno, as libc sets it for its callers; 0: the question was answered or never sent */
};

/* True: there is an answer with records. Otherwise h_err has the reason, and `ask` the last message. */
bool nd_query(struct nd_search *search, const char *name);
bool nd_query_domain(struct nd_search *search, const char *name, const char *domain);
bool nd_search(struct nd_search *search, const char *name);
