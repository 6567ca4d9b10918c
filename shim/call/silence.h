/* Waiting for input while RECV bounds the silence of the connection: the wait that all receiving calls share.
 * Everything here is async-signal-safe. */
#pragma once

#include "shim/tls/scope.h"
#include "shim/wait/wait.h"

struct nd_silence {
    struct nd_wait wait;          /* first: the function `fired` casts back */
    nd_time limit, since;         /* RECV, 0 for none, and the time from which silence counts */
    const struct nd_scope *scope; /* the TLS operation that bounds the call, or NULL, and its deadline */
    nd_time scope_end;
    uint32_t generation; /* of the descriptor when the call began */
};

/* A wait of the call `operation` on `fd`, on which silence counts from `since`. The program's own timeout expires at
 * `own`. A call that may not have to wait calls nd_wait_begin when it does. */
struct nd_silence nd_silence_begin(enum nd_call operation, int fd, struct nd_sock *sock, nd_time limit, nd_time since,
                                   nd_time own);

/* Whether a call under SO_RCVTIMEO, which has returned `result` and errno, ended without bytes (EINTR, EAGAIN) on a
 * descriptor that is still the same and in blocking mode. Keeps errno. */
bool nd_silence_is_cut(const struct nd_silence *silence, long result);

/* Whether RECV is on and has expired, as far as this call knows. Keeps errno. */
static inline bool nd_silence_is_over(const struct nd_silence *silence) {
    return silence->limit && nd_now() - silence->since >= silence->limit;
}

/* Waits for input in poll. True where the call is to be made then; else silence->wait.how says how the call ended, with
 * errno as the program gets it (undefined after ND_EXPIRED). The time since `began` is carried over where the call was
 * interrupted or reached the program's own timeout. A call under SO_RCVTIMEO begins with this where time was carried
 * over to it: the kernel's timer would fire too late. */
bool nd_silence_wait(struct nd_silence *silence, nd_time began);

/* Continues the wait of a call that nd_silence_is_cut in poll where the plain call would not have returned. Returns as
 * nd_silence_wait. */
bool nd_silence_continue(struct nd_silence *silence, nd_time began);

/* The call, which began at `began`, has ended as silence->wait.how says: where it was interrupted or reached the
 * program's own timeout, the time that it waited under RECV counts in the next one. Keeps errno. */
void nd_silence_carry_over(const struct nd_silence *silence, nd_time began);

/* Whether the kernel knows when bytes were received last (TCP); and how long ago that was, at most `elapsed`: another
 * thread may have received bytes since this one began to wait. */
bool nd_silence_is_known(const struct nd_sock *sock);
nd_time nd_silence_of(int fd, const struct nd_sock *sock, nd_time elapsed);
