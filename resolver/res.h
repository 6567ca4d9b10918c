/* The res_… functions with a deadline: raw answers, flags and h_errno as libc's. `state` is the program's own for the
 * res_n… forms; NULL means _res. Each sets lookup->libc_why and returns -1 where libc has to make the call. */
#pragma once

#include <resolv.h>

#include "resolver/res_call.h"
#include "resolver/resolver.h"

/* Makes the call that `call` describes: one of the following. */
int nd_res(const struct nd_res_call *call, struct nd_lookup *lookup);

/* As libc's functions of these names: the length of the answer, or -1 with h_errno set. */
int nd_res_query(struct __res_state *state, const char *name, int dns_class, int type, unsigned char *answer, int size,
                 struct nd_lookup *lookup);
int nd_res_search(struct __res_state *state, const char *name, int dns_class, int type, unsigned char *answer, int size,
                  struct nd_lookup *lookup);
int nd_res_querydomain(struct __res_state *state, const char *name, const char *domain, int dns_class, int type,
                       unsigned char *answer, int size, struct nd_lookup *lookup);

/* Returns -1 with errno ETIMEDOUT or ECONNREFUSED where no server gave an answer. */
int nd_res_send(struct __res_state *state, const unsigned char *query, int query_size, unsigned char *answer, int size,
                struct nd_lookup *lookup);
