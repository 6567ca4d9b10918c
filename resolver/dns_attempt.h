/* One exchange with one name server, by c-ares: a channel that lives as long as the exchange, driven by the caller's
 * poll. c-ares does the sockets, the matching of answers by id and question, and TCP where an answer is truncated; which
 * server is asked when is decided in dns_ask.c. Works with c-ares 1.18 to 1.34. */
#ifndef ND_RESOLVER_DNS_ATTEMPT_H
#define ND_RESOLVER_DNS_ATTEMPT_H

#include <poll.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "resolver/own_sockets.h"
#include "resolver/resolv_conf.h"

#define ND_ATTEMPT_FDS ND_OWN_SOCKETS

struct nd_attempt;

/* Told once for each question sent: `bytes` is NULL when there will be no answer from this server. */
typedef void nd_attempt_done(void *owner, struct nd_attempt *attempt, int which, const uint8_t *bytes, size_t size);

struct nd_attempt_question {
    struct nd_attempt *attempt;
    int which;
    const uint8_t *packet;
    size_t size;
    bool sent, done;
};

struct nd_attempt {
    struct ares_channeldata *channel;
    const union nd_server *server;
    int server_index;
    nd_attempt_done *told;
    void *owner;
    struct nd_attempt_question questions[2];
    bool plain; /* the channel has no unusual flags */
    struct nd_own_sockets sockets;
    int failures;
    bool tcp;         /* an exchange over TCP has begun */
    int socket_error; /* errno of a failed socket(2) */
    bool unreachable; /* a send told so; it may have been about an earlier packet */
};

/* A channel to `server`, nothing sent yet. NULL: no memory. */
struct nd_attempt *nd_attempt_new(const union nd_server *server, bool use_tcp, bool ignore_truncation,
                                  nd_attempt_done *told, void *owner);
void nd_attempt_send(struct nd_attempt *attempt, int which, const uint8_t *packet, size_t size);
bool nd_attempt_pending(const struct nd_attempt *attempt);

/* What to poll for; how many. */
int nd_attempt_poll_set(const struct nd_attempt *attempt, struct pollfd fds[ND_ATTEMPT_FDS]);
void nd_attempt_process(struct nd_attempt *attempt, const struct pollfd *fds, int count);
void nd_attempt_free(struct nd_attempt *attempt);

#endif
