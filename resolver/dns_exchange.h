/* The state of one or two questions that are being asked: what each server has been asked and has answered, and when a
 * question is over. dns_ask.c decides what is sent when. */
#pragma once

#include "resolver/dns_attempt.h"
#include "resolver/dns_question.h"
#include "resolver/dns_schedule.h"

/* Two for each slot, and TCP connections. */
#define ND_EXCHANGE_ATTEMPTS 40

/* A set of servers has a bit for each. A negative answer of a server that was asked before libc would have asked it is
 * held: an earlier server may still know better. */
struct nd_exchange_question {
    unsigned asked;             /* servers */
    unsigned errors;            /* servers that answered with an error */
    unsigned truncated;         /* servers whose answer was truncated: over UDP they are not asked again */
    int answered_by;            /* the server, where there is an answer */
    struct nd_dns_message held; /* see nd_exchange_holds */
    int held_by, held_slot;
    struct nd_dns_message spare; /* given up for the sake of TCP; counts where nothing else is received */
};

struct nd_exchange {
    struct nd_ask *ask;
    struct nd_schedule schedule;
    nd_time began;
    struct nd_exchange_question questions[2];
    struct nd_attempt *attempts[ND_EXCHANGE_ATTEMPTS]; /* NULL: unused */
    int attempt_count;                                 /* places that were used so far */
    int slot, next_slot;                               /* of the schedule: the present one, and the next one */
    nd_time slot_start, slot_end;
    nd_time spent[ND_MAX_SLOTS]; /* until the server of a slot had answered, or failed */
    nd_time second_end; /* until when the second of two answers is waited for; ND_NEVER: without an end of its own */
    int code_slot;      /* the slot of ask->last_rcode */
    int truncated_slot; /* the first one with a truncated answer, where there is one */
    unsigned heard;     /* servers that answered anything */
    unsigned reset;     /* servers that were asked once more after a reset of their TCP connection */
    int interruptions;  /* of poll */
    bool timed_out, repeated, fatal_error;
    int tcp_error; /* of the last TCP connection that has failed, of those that libc would have made, too; else -1 */
};

/* The nd_attempt_done of an exchange, which is its `owner`. */
void nd_exchange_answer(void *exchange, struct nd_attempt *attempt, int which, const uint8_t *bytes, size_t size);

/* Adds an attempt at the server in that slot of the schedule. NULL: there is no place, or no memory (fatal_error). */
struct nd_attempt *nd_exchange_add(struct nd_exchange *exchange, int server, int slot, bool tcp, nd_time now);
void nd_exchange_send(struct nd_exchange *exchange, struct nd_attempt *attempt, int which);

/* An answer of the server was truncated: opens the other question again where the same server has answered it. As with
 * libc, both answers then come from one server. */
void nd_exchange_reopen(struct nd_exchange *exchange, int server);

/* Takes the spare answers that are needed, and frees what is not. */
void nd_exchange_end(struct nd_exchange *exchange);

/* Lets held answers count whose time has come. */
void nd_exchange_settle(struct nd_exchange *exchange, nd_time now);

/* Whether there is a negative answer to the question that will count when its time has come. One by UDP does not, where
 * another server said that it has more than fits into a datagram: libc would have asked by TCP. */
bool nd_exchange_holds(const struct nd_exchange *exchange, int which);

/* Whether the question is neither answered nor given up. */
bool nd_exchange_is_open(const struct nd_exchange *exchange, int which);

/* Whether the question is to be sent to the server when its turn comes. */
bool nd_exchange_wants(const struct nd_exchange *exchange, int which, int server);

/* Whether an answer to the question (-1: to any open one) may still come: from a server (-1: any), by the transport.
 * ND_TCP_OF_OURS are connections to servers that libc would have asked by UDP alone, before the truncated answer. */
enum nd_transport { ND_UDP = 1, ND_TCP_OF_LIBC = 2, ND_TCP_OF_OURS = 4, ND_TCP = 6, ND_UDP_OR_TCP = 7 };
bool nd_exchange_pending(const struct nd_exchange *exchange, int which, int server, enum nd_transport by);

/* Whether the question has an answer with records. */
bool nd_exchange_found(const struct nd_exchange *exchange, int which);

/* Two questions of which one has its answer: the number of the other one; else -1. */
int nd_exchange_second(const struct nd_exchange *exchange);

/* When libc would be done with so many slots, and begin the next one or give up: each server that says nothing has its
 * full time, others what they needed. */
nd_time nd_exchange_libc_time(const struct nd_exchange *exchange, int slots);

/* When the next held answer counts even though an earlier server is silent; ND_NEVER where none is held. */
nd_time nd_exchange_held_until(const struct nd_exchange *exchange);
