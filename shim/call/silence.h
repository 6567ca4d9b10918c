/* Waiting for input while RECV bounds the silence of the connection: the wait that all receiving calls share.
 * Everything here is async-signal-safe. */
#ifndef ND_CALL_SILENCE_H
#define ND_CALL_SILENCE_H

#include "shim/tls/scope.h"
#include "shim/wait/wait.h"

struct nd_silence {
    struct nd_wait wait; /* first: the function `fired` casts back */
    enum nd_call operation;
    nd_time limit, since;         /* RECV, 0 for none, and the time from which silence counts */
    const struct nd_scope *scope; /* the TLS operation that bounds the call, or NULL, and its deadline */
    nd_time scope_end;
};

/* A wait of the call `operation` on `fd`, on which silence counts from `since`. The program's own timeout expires at
 * `own`. */
struct nd_silence nd_silence_begin(enum nd_call operation, int fd, struct nd_sock *sock, nd_time limit, nd_time since,
                                   nd_time own);

/* A call under SO_RCVTIMEO has returned without bytes, with errno EINTR or EAGAIN. Continues the wait in poll where the
 * plain call would not have returned. True where the call is to be made again; else silence->wait.how says how it
 * ended, with errno as the program gets it (undefined after ND_EXPIRED), and the time since `began` is carried over to
 * the next call. */
bool nd_silence_goes_on(struct nd_silence *silence, nd_time began);

/* Whether the kernel knows when bytes were received last (TCP); and how long ago that was, at most `elapsed`: another
 * thread may have received bytes since this one began to wait. */
bool nd_silence_is_known(const struct nd_sock *sock);
nd_time nd_silence_of(int fd, const struct nd_sock *sock, nd_time elapsed);

#endif
