/* Sends one or two questions (A and AAAA of a name) to the configured name servers in turn, as res_nsend does in libc.
 * The timeouts are glibc's, scaled down where the budget is shorter. An answer counts even after its server's timeout,
 * while the next server is being asked. */
#ifndef ND_RESOLVER_DNS_ASK_H
#define ND_RESOLVER_DNS_ASK_H

#include "resolver/dns_packet.h"
#include "resolver/resolver.h"

struct nd_question {
    const uint8_t *packet;
    size_t size;
};

struct nd_ask {
    /* in */
    const struct nd_resolv_conf *conf;
    struct nd_lookup *lookup;
    struct nd_question questions[2];
    int question_count;
    bool by_tcp; /* use TCP even where `conf` does not ask for it */
    /* out */
    struct nd_dns_message answers[2];   /* malloc'ed; released by nd_ask_free */
    struct nd_dns_message error_answer; /* the last SERVFAIL, REFUSED …, for where no server answers better */
    unsigned first_rcode;               /* of the first answer received, even one that was not accepted */
    int error;                          /* 0, ETIMEDOUT, ECONNREFUSED, EMFILE … as res_nsend sets errno */
};

/* Sets `error`, and lookup->expired at the deadline. Answers received before the deadline are kept. */
void nd_ask(struct nd_ask *ask);
void nd_ask_free(struct nd_ask *ask);

#endif
