/* Calls that waited and came back with nothing: a signal interrupted them, or the program's own timeout was over. Most programs
 * then make the same call again, and a limit that began anew each time would never end: what was waited in vain counts in the next
 * call in that direction, until bytes move. Everything here is async-signal-safe and keeps errno. */
#ifndef ND_LIMIT_CARRY_OVER_H
#define ND_LIMIT_CARRY_OVER_H

#include "shim/limit/send_space.h"
#include "shim/socket/change.h"
#include "shim/socket/record.h"

/* A receiving call has waited from `began` to `ended`. */
void nd_carry_over_receive(int fd, struct nd_sock *sock, nd_time began, nd_time ended);

/* When a receiving call that begins at `now` is taken to have begun: not before the question was asked. */
nd_time nd_carried_over_receive(const struct nd_sock *sock, nd_time now);

/* A sending call has waited until `now`, and what it knows of the room is this. */
void nd_carry_over_send(int fd, struct nd_sock *sock, const struct nd_send_space *room, nd_time now);

/* What a sending call that begins to wait for room at `now` starts from. */
struct nd_send_space nd_carried_over_send(int fd, struct nd_sock *sock, nd_time now);

/* A connect to `addr` that leaves no attempt behind (AF_UNIX, no room in the backlog) has waited for `waited` in all. */
void nd_carry_over_connect(int fd, struct nd_sock *sock, const struct sockaddr *addr, socklen_t len, nd_time waited);

/* When one that begins at `now` is taken to have begun. */
nd_time nd_carried_over_connect(const struct nd_sock *sock, const struct sockaddr *addr, socklen_t len, nd_time now);

/* Bytes have moved, or a connection has come about. */
static inline void nd_carry_over_end(int fd, struct nd_sock *sock, enum nd_direction direction) {
    const uint32_t flag = direction == ND_IN ? ND_SOCK_CARRIED_IN : ND_SOCK_CARRIED_OUT;
    if (__builtin_expect(nd_sock_flags(sock) & flag, 0))
        nd_sock_change(fd, sock, 0, flag);
}

#endif
