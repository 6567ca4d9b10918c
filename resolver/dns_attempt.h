/* One exchange with one name server over UDP or TCP, by a c-ares channel that the caller drives with poll. c-ares
 * handles the socket and matches answers by id and question; dns_ask.c decides which server is asked when and how.
 * Works with c-ares 1.18 to 1.34. */
#pragma once

#include <poll.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/clock.h"
#include "resolver/own_sockets.h"
#include "resolver/resolv_conf.h"
#include "resolver/unfinished.h"

#define ND_ATTEMPT_FDS ND_OWN_SOCKETS

struct nd_attempt;

/* Called once for each question sent. `bytes` is NULL where this server will give no answer. */
typedef void nd_attempt_done(void *owner, struct nd_attempt *attempt, int which, const uint8_t *bytes, size_t size);

struct nd_attempt_question {
    struct nd_attempt *attempt;
    int which;
    const uint8_t *packet;
    size_t size;
    uint8_t id[2];    /* as it was sent by UDP */
    uint8_t *as_sent; /* what the server has sent, where c-ares writes answers anew; else NULL */
    size_t as_sent_size;
    bool sent, done, answered;
};

struct nd_attempt {
    struct nd_held held; /* by the lookup */
    struct ares_channeldata *channel;
    const union nd_server *server;
    nd_attempt_done *on_answer;
    void *owner;
    struct nd_attempt_question questions[2];
    struct nd_own_sockets sockets;
    const void *datagram; /* the buffer and size of the one received last */
    size_t datagram_size;
    uint8_t *large; /* the whole of it, where c-ares' buffer is too small; else NULL */
    bool expects_large;
    bool writes_anew; /* c-ares does so */
    bool has_stream;  /* where messages over TCP begin is known */
    uint8_t *stream;  /* the message over TCP that is not whole yet */
    size_t stream_size;
    int answered, failures; /* questions */
    int sending;            /* the question that c-ares is given right now, or -1 */
    int socket_error;       /* errno of a failed socket(2) */
    bool tcp;
    int tcp_error;    /* as libc leaves errno: why the TCP connection has failed; 0: the server has closed it */
    bool useless;     /* over TCP there was an answer to another question, or none that can be read */
    bool unreachable; /* a send failed; the error may be about an earlier packet */
    /* of the owner */
    int server_index, slot;
    nd_time began;
    bool repeated;                   /* an unanswered question was sent once more, from another port */
    bool truncated;                  /* an answer is to be asked for again over TCP */
    bool also_by_tcp, is_second_way; /* asked by UDP, and there is another attempt by TCP; is that other attempt */
};

/* Creates a channel to `server` without sending anything. NULL: out of memory. */
struct nd_attempt *nd_attempt_new(const union nd_server *server, bool use_tcp, nd_attempt_done *on_answer, void *owner);
void nd_attempt_send(struct nd_attempt *attempt, int which, const uint8_t *packet, size_t size);
bool nd_attempt_pending(const struct nd_attempt *attempt);

/* Sends a question that is not answered yet once more, by UDP from the same port. Whichever answer comes counts. */
void nd_attempt_resend(struct nd_attempt *attempt, int which);

/* Fills `fds` with what to poll for. Returns their number. */
int nd_attempt_poll_set(const struct nd_attempt *attempt, struct pollfd fds[ND_ATTEMPT_FDS]);
void nd_attempt_process(struct nd_attempt *attempt, const struct pollfd *fds, int count);
void nd_attempt_free(struct nd_attempt *attempt);
