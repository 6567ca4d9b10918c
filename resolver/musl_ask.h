/* Puts one or two questions to the name servers as musl does: to all of them at once, and again at equal intervals until
 * its time is over; the first answer that says "here it is" or "no such name" counts. c-ares has the sockets. */
#pragma once

#include "resolver/dns_question.h"
#include "resolver/musl_conf.h"

#define ND_MUSL_QUERY_MAX 280

struct nd_musl_ask {
    /* in */
    const struct nd_musl_conf *conf;
    struct nd_lookup *lookup;
    struct nd_question questions[2];
    int question_count;
    size_t room; /* of an answer no more is kept, and a longer one is asked for by TCP where the version does so */
    /* out */
    struct nd_dns_message answers[2]; /* released by nd_musl_ask_free */
    size_t lengths[2];                /* of the answers, also where there is no room for all of one; 0: none */
    int error;                        /* 0, or errno: nothing could be asked */
    bool has_failed;                  /* a server has answered with an error */
};

/* Makes a question. Returns its size, or -1: the name is not valid. `ad`: asks whether the answer is authentic. */
int nd_musl_make_query(uint8_t packet[ND_MUSL_QUERY_MAX], const char *name, int dns_class, int type, bool ad);

/* Sets lookup->expired at the deadline. May be left by cancellation where musl's own may, with nothing left behind. */
void nd_musl_ask(struct nd_musl_ask *ask);
void nd_musl_ask_free(struct nd_musl_ask *ask);
