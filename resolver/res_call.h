/* A call of one of the res_… functions. */
#pragma once

struct __res_state;

enum nd_res_operation { ND_RES_QUERY, ND_RES_SEARCH, ND_RES_QUERYDOMAIN, ND_RES_SEND };

/* The arguments of any of these functions. */
struct nd_res_call {
    enum nd_res_operation operation;
    struct __res_state *state;
    const char *name, *domain;
    int dns_class, type;
    const unsigned char *query;
    int query_size;
    unsigned char *answer;
    int size;
};
