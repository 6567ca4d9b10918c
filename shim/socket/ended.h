/* The memory of a stream that a deadline ended: every later call on it fails at once, in every thread, and in other processes that have
 * the socket. Everything here is async-signal-safe. */
#ifndef ND_SOCKET_ENDED_H
#define ND_SOCKET_ENDED_H

#include <errno.h>
#include <stdbool.h>

#include "shim/socket/record.h"

/* Notes that the stream behind `fd` is about to be ended, on every descriptor of it that is known, and leaves a mark in the kernel for
 * processes that have no such memory. Errno undefined. */
void nd_ended_note(int fd, struct nd_sock *sock);

/* Notes that the kernel itself ended the stream by a timer (a call gave ETIMEDOUT), so that the end of file it shows next is
 * not taken for a clean one. `direction` has been told. Keeps errno. */
void nd_expire_by_kernel(int fd, struct nd_sock *sock, enum nd_direction direction);

/* True if the stream behind `fd` is the one that expired; a stale memory is dropped. Keeps errno. */
bool nd_expired(int fd, struct nd_sock *sock);

/* True also if another process ended the stream, or this program before it was executed anew: asks the kernel, where there is
 * a mark. For calls that failed, or found the end. Keeps errno. */
bool nd_expired_anywhere(int fd, struct nd_sock *sock);

/* True if a timer of the kernel's ended the stream behind `fd`, whose end of file then is none: it is noted as by
 * nd_expire_by_kernel, with nothing told. Keeps errno. */
bool nd_ended_by_kernel(int fd, struct nd_sock *sock);

/* Errors of a stream that somebody else may have ended. */
static inline bool nd_is_end(int error) {
    return error == ECONNRESET || error == EPIPE || error == ENOTCONN;
}

/* The descriptor begins anew (a connect after an expiry): forgets, and takes the mark off. Keeps errno. */
void nd_expiry_clear(int fd, struct nd_sock *sock);

/* Sets errno for a call on an expired stream and returns -1: ETIMEDOUT the first time in each direction, then ECONNRESET for
 * receiving (wolfSSL takes a second ETIMEDOUT for "try again" and spins) and EPIPE for sending, without SIGPIPE. */
int nd_expired_fail(int fd, struct nd_sock *sock, enum nd_direction direction);

#endif
