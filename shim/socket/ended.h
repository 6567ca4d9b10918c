/* The record that a deadline has ended a stream: every later call on it fails at once, in every thread, and in other
 * processes that have the socket. Everything here is async-signal-safe. */
#pragma once

#include <errno.h>

#include "shim/socket/record.h"

/* The mark of a stream that was ended, for processes that have no record of it: executed since, or forked before. It is
 * the value of an option without effect on an ended stream: TCP_USER_TIMEOUT (it would be 21 days), and where there is
 * none SO_RCVLOWAT. `netdeadline end` leaves it, too. */
#define ND_ENDED_MARK 1852074862

/* Notes that the stream behind `fd` is about to be ended, on every known descriptor of it, and leaves a mark in the
 * kernel for processes that have no such record. Errno undefined. */
void nd_ended_note(int fd, struct nd_sock *sock);

/* Notes that a timer of the kernel's ended the stream (a call in `direction` failed with ETIMEDOUT), so that the end of
 * file which the next call returns is not taken for the peer's. Keeps errno. */
void nd_expire_by_kernel(int fd, struct nd_sock *sock, enum nd_direction direction);

/* Whether the stream behind `fd` is the one that expired; clears a stale record. Keeps errno. */
bool nd_expired(int fd, struct nd_sock *sock);

/* The same, also for a stream that was ended by another process, or by this one before execve: reads the mark in the
 * kernel. Reports it if `netdeadline end` asks for that. For calls that failed, or returned end of file. Keeps errno. */
bool nd_expired_anywhere(int fd, struct nd_sock *sock);

/* Whether keepalive has ended the stream behind `fd`, whose end of file then is none of the peer's: notes it
 * as nd_expire_by_kernel does, with the error not yet delivered. Keeps errno. */
bool nd_ended_by_kernel(int fd, struct nd_sock *sock);

/* Errors of a stream that another process may have ended. */
static inline bool nd_is_end(int error) {
    return error == ECONNRESET || error == EPIPE || error == ENOTCONN || error == ECONNABORTED;
}

/* Clears the record of an expiry and the mark, for a connect after it. Keeps errno. */
void nd_expiry_clear(int fd, struct nd_sock *sock);

/* Sets errno for a call on an expired stream and returns -1: ETIMEDOUT the first time in each direction, then
 * ECONNRESET for receiving (wolfSSL takes a second ETIMEDOUT for "try again" and loops) and EPIPE for sending, without
 * SIGPIPE. */
int nd_expired_fail(int fd, struct nd_sock *sock, enum nd_direction direction);
