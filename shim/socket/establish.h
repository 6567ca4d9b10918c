/* ESTABLISH: which budget a connect or a TLS handshake has. The budgets are found by the addresses that lookups have
 * found. All functions are async-signal-safe and lock-free. */
#pragma once

#include "shim/settings/endpoint.h"
#include "shim/socket/budget.h"
#include "shim/socket/limits.h"

/* How many lookups are known at most; a further one replaces the oldest. */
enum { ND_ESTABLISH_LOOKUPS = 256 };

/* The calling thread, as budgets know it. */
uint64_t nd_establish_thread(void);

/* When the budget of a lookup of `name` for `family` began that `thread` begins at `now`, under the limit: then, or
 * earlier where an establishment goes on. */
nd_time nd_establish_lookup_began(const char *name, int family, uint64_t thread, nd_time limit, nd_time now);

/* Begins the budget of a lookup that began at `began`, to which the addresses that it found are added; and stores it at
 * `now`, when the lookup has ended. */
struct nd_budget nd_establish_lookup(const char *name, uint64_t thread, nd_time began);
void nd_establish_found(struct nd_budget *budget, const struct in6_addr *address);
void nd_establish_store(struct nd_budget *budget, int family, nd_time now);

/* Begins a connect of `sock` to `address` by `thread` at `now`. Returns false where its budget is used up, and `may_fail`
 * allows the connect to fail. Where no lookup has found the address, the connect has a budget of its own. */
bool nd_establish_attempt(struct nd_sock *sock, const struct nd_endpoint_address *address, uint64_t thread,
                          bool may_fail, nd_time now);

/* What has become of the establishment that a connect of `sock` began. */
enum nd_establish_news {
    ND_ESTABLISH_FAILED,    /* the connect has failed */
    ND_ESTABLISH_SUCCEEDED, /* or has succeeded */
    ND_ESTABLISH_REOPENED   /* and a TLS handshake on the connection has expired */
};
/* Notes that, at `now`, in the budget of the socket's connect. */
void nd_establish_change(const struct nd_sock *sock, enum nd_establish_news news, nd_time now);
/* The same where ESTABLISH is on. */
static inline void nd_establish_note(const struct nd_sock *sock, enum nd_establish_news news) {
    if (__builtin_expect(nd_sock_establish_limit(sock) != 0, 0))
        nd_establish_change(sock, news, nd_now());
}

/* A TLS handshake on it is over: the connection is established. */
void nd_establish_done(struct nd_sock *sock);

/* `duplicate` is another descriptor of the same socket. */
void nd_establish_inherit(const struct nd_sock *sock, struct nd_sock *duplicate);
