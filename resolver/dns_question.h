/* The questions that are put to the name servers for one name, and their answers. */
#pragma once

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
    struct nd_dns_message answers[2];   /* of dns_message.h; released by nd_ask_free */
    int first;                          /* which of two answers was received first */
    struct nd_dns_message error_answer; /* the last SERVFAIL, REFUSED …, for where no server answers better */
    unsigned last_rcode;                /* of the last server that answered, accepted or not; kept where none did */
    bool incomplete;                    /* of two answers one is missing, and libc would not have done without it */
    int error;                          /* 0, ETIMEDOUT, ECONNREFUSED, EMFILE … as res_nsend sets errno */
};
