/* One or two questions (the A and AAAA of a name) asked of the configured servers in turn: what res_nsend is in libc.
 * The times are glibc's, pressed together where the budget is shorter, and a server that has been passed over is still
 * listened to: its late answer counts. */
#ifndef ND_RESOLVER_DNS_ASK_H
#define ND_RESOLVER_DNS_ASK_H

#include "resolver/dns_answer.h"
#include "resolver/resolv_conf.h"
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
    bool by_tcp; /* even where conf does not say so */
    /* out */
    struct nd_dns_message answers[2]; /* malloc'ed; see nd_ask_free */
    struct nd_dns_message refusal;    /* the last SERVFAIL, REFUSED … where no server answered better */
    unsigned first_rcode;             /* of the first reply that came, even one that was not taken */
    int error;                        /* 0, ETIMEDOUT, ECONNREFUSED, EMFILE … as res_nsend sets errno */
};

/* Sets error, and at the deadline lookup->expired. Answers that came are kept also then. */
void nd_ask(struct nd_ask *ask);
void nd_ask_free(struct nd_ask *ask);

#endif
