/* Waiting for bytes while a limit bounds the silence of the connection: the wait that every receiving call has in common. Everything here
 * is async-signal-safe. */
#ifndef ND_CALL_SILENCE_H
#define ND_CALL_SILENCE_H

#include "shim/tls/scope.h"
#include "shim/wait/wait.h"

struct nd_silence {
    struct nd_wait wait; /* first: what nd_wait_for gives back is this */
    enum nd_call operation;
    nd_time limit, since;         /* RECV, and since when silence counts; a limit of 0 for none */
    const struct nd_scope *scope; /* the TLS operation that bounds the call, or NULL; and its end */
    nd_time scope_end;
};

/* A wait of the call `operation` on `fd`, silent since `since` under `limit`. `own`: when the program's own timeout ends the call. */
struct nd_silence nd_silence_begin(enum nd_call operation, int fd, struct nd_sock *sock, nd_time limit, nd_time since,
                                   nd_time own);

/* A call that the kernel timed (SO_RCVTIMEO) has come back without bytes, with errno EINTR or EAGAIN. Goes on waiting, polled, where the
 * program would not have seen that. True where the call is to be made again; else silence->wait.how says how it ended, with errno as the
 * program is to see it but for an expiry, and what was waited since `began` counts in the next call. */
bool nd_silence_goes_on(struct nd_silence *silence, nd_time began);

/* Whether the kernel says when bytes came last; and how long the connection has been silent, as far as that is less than `elapsed`:
 * another thread may have read from it since this one began to wait. */
bool nd_silence_is_known(const struct nd_sock *sock);
nd_time nd_silence_of(int fd, const struct nd_sock *sock, nd_time elapsed);

#endif
